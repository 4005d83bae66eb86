"""The graph around a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper

from lumen.models.plain import exposed
from lumen.spec import SampleType
from lumen_export.foreign.reading import read_foreign
from lumen_export.foreign.wrapping import plain, wrapped_network
from lumen_export.wrapper import shift_exposure
from tests.support import foreign_networks as nets

SIDE = 32


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def inputs(sample: SampleType, tiles: int, thumbnails: int, ev: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    levels = np.iinfo(sample).max
    return {
        "tiles": (rng.random((tiles, 10, 14, 3)) * 0.4 * levels).astype(sample),
        "thumbnails": (rng.random((thumbnails, SIDE, SIDE, 3)) * 0.4).astype(np.float32),
        "ev": np.full(thumbnails, ev, np.float32),
    }


def blurred(pictures: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.conv2d(pictures, torch.from_numpy(nets.blur()), padding=1)


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("sample", ["uint8", "uint16"])
@pytest.mark.parametrize("ev", [0.0, 1.0, -1.5])
def test_results_and_brightness_are_those_of_plain_networks(
    tmp_path: Path, sample: SampleType, ev: float, one_by_one: bool
) -> None:
    network = replace(read_foreign(nets.planes(tmp_path / "net.onnx")), one_by_one=one_by_one)
    model = session(wrapped_network(network, sample, SIDE))
    levels = np.iinfo(sample).max
    for tiles, thumbnails in ((1, 1), (3, 1), (3, 3)):
        feeds = inputs(sample, tiles, thumbnails, ev)
        enhanced, brightness, finite = model.run(["enhanced", "brightness", "finite"], feeds)
        x = torch.from_numpy(feeds["tiles"].astype(np.float32) / np.float32(levels)).permute(0, 3, 1, 2)
        seen = blurred(torch.from_numpy(feeds["thumbnails"]).permute(0, 3, 1, 2)).clamp(0, 1)
        chosen = seen.mean(dim=(1, 2, 3))
        wanted = shift_exposure(chosen, torch.from_numpy(feeds["ev"]))
        expected = (exposed(blurred(x), seen, chosen, wanted).clamp(0, 1) * levels).round().permute(0, 2, 3, 1).numpy()
        assert enhanced.dtype == sample and enhanced.shape == feeds["tiles"].shape
        tolerance = 1 if sample == "uint8" else 2 if ev == 0 else 16
        assert np.abs(enhanced.astype(float) - expected).max() <= tolerance
        assert brightness == pytest.approx(wanted.numpy(), abs=1e-5)
        assert finite.tolist() == [True] * tiles


@pytest.mark.parametrize("make", [nets.planes, nets.channels_last, nets.half], ids=lambda make: make.__name__)
def test_layout_and_precision_are_converted(tmp_path: Path, make: Any) -> None:
    run = session(plain(read_foreign(make(tmp_path / "net.onnx")))).run
    picture = np.random.default_rng(0).random((2, 6, 9, 3), np.float32) / 2
    expected = blurred(torch.from_numpy(picture).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    (found,) = run(["results"], {"pictures": picture})
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= (2e-3 if make is nets.half else 1e-6)


def test_names_of_the_network_may_be_those_around_it(tmp_path: Path) -> None:
    nodes = [nets.conv("image", "enhanced", "tiles"), helper.make_node("Identity", ["enhanced"], ["better"])]
    network = read_foreign(nets.write_network(tmp_path / "net.onnx", nodes, {"tiles": nets.blur()}))
    model = session(wrapped_network(network, "uint8", SIDE))
    plainly = session(wrapped_network(read_foreign(nets.planes(tmp_path / "plain.onnx")), "uint8", SIDE))
    feeds = inputs("uint8", 1, 1, 0.0)
    assert np.array_equal(model.run(["enhanced"], feeds)[0], plainly.run(["enhanced"], feeds)[0])


def test_both_runs_share_the_weights_and_nothing_of_the_wrapping_is_left(tmp_path: Path) -> None:
    model = wrapped_network(read_foreign(nets.planes(tmp_path / "net.onnx")), "uint8", SIDE)
    assert [tensor.name for tensor in model.graph.initializer] == ["weights.0"]
    assert sum("weights.0" in node.input for node in model.graph.node) == 2
    assert len(model.functions) == 0
    assert [each.domain for each in model.opset_import] == [""]


def test_nan_and_infinity_are_told(tmp_path: Path) -> None:
    nodes = [nets.conv("image", "out"), helper.make_node("Div", ["out", "image"], ["better"])]
    network = read_foreign(nets.write_network(tmp_path / "net.onnx", nodes, {"w": nets.blur()}))
    feeds = inputs("uint8", 3, 1, 0.0)
    feeds["tiles"] = np.maximum(feeds["tiles"], 1)
    feeds["tiles"][1, 3:8, 3:8] = 0  # 0 / 0
    feeds["tiles"][2, 3, 3] = 0  # 1 / 0
    (finite,) = session(wrapped_network(network, "uint8", SIDE)).run(["finite"], feeds)
    assert finite.tolist() == [True, False, False]
