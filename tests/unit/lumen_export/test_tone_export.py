"""Files of contract 2: what is decided per picture is a vector of its own, and tiles equal the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.tiles import enhance_pixels
from lumen.imaging.thumbnail import area_thumbnail
from lumen.models import build_network
from lumen.models.tone_mirnet import ToneMIRNet
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.onnxruntime_engine import OnnxRuntimeSession
from lumen.runtime.open import open_model
from lumen.runtime.protocols import Floats
from lumen.train.checkpoint import Checkpoint, save_checkpoint
from lumen.train.start import read_start
from lumen_export.export import export_checkpoint
from lumen_export.verify import compare
from tests.support.networks import SMALL_CONTEXT
from tests.support.training import darker, scene, tiny_recipe


@pytest.fixture(scope="module")
def network() -> ToneMIRNet:
    torch.manual_seed(0)
    network = build_network("tone-mirnet", **SMALL_CONTEXT).eval()
    assert isinstance(network, ToneMIRNet)
    for name, parameter in network.named_parameters():
        if name.startswith(("head.", "shape.", "local.")):
            torch.nn.init.normal_(parameter, std=3 if name.startswith("local.") else 0.02)
    return network


@pytest.fixture(scope="module")
def path(network: ToneMIRNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tone")
    recipe = tiny_recipe(network={"architecture": "tone-mirnet", "hyperparameters": dict(network.hyperparameters)})
    weights = network.state_dict()
    save_checkpoint(
        Checkpoint(
            iteration=5, recipe=recipe.to_dict(), weights=weights, ema=weights, optimizer=None, best=0.0, facts={}
        ),
        folder / "best.pt",
    )
    return export_checkpoint(folder / "best.pt", folder / "m.onnx").files[0]


@pytest.fixture
def model(path: Path) -> OnnxModel:
    return open_model(RuntimeOptions(model=str(path), device="cpu", threads=1))


def picture() -> np.ndarray:
    return darker(scene(1, 152, 200), 0.2)


def test_a_training_begins_from_all_weights_of_the_file(
    network: ToneMIRNet, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = read_start(str(path)).filled(network)
    assert weights.keys() == network.state_dict().keys() and not caplog.records
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())


def test_the_file_equals_the_network(network: ToneMIRNet, path: Path) -> None:
    assert compare(network, path, "uint8", 5).worst_levels <= 1  # the export compared both samples already


def test_the_halves_share_nothing(path: Path) -> None:
    graph = onnx.load(path).graph
    assert [each.name for each in graph.input] == ["tiles", "tones", "boxes", "thumbnails", "ev", "shadows"]
    needed = {"enhanced", "finite"}
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
    assert {"tiles", "tones", "boxes"} <= needed and not {"thumbnails", "ev", "shadows"} & needed
    (branch,) = (each.g for node in graph.node for each in node.attribute if each.name == "then_branch")
    made, made_within = ({name for node in each.node for name in node.output} for each in (graph, branch))
    assert not made & ({name for node in branch.node for name in node.input} - made_within)
    assert all(node.input[2] for node in graph.node if node.op_type == "Resize"), "factors, not sizes"


def test_a_tile_computes_no_tone(model: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tones = []
    run = OnnxRuntimeSession.run

    def watched(session: OnnxRuntimeSession, outputs: Sequence[str], feeds: Mapping[str, Any]) -> Sequence[Any]:
        tones.append(run(session, ["tone"], feeds)[0])
        return run(session, outputs, feeds)

    tile, thumbnail = picture()[None, :64, :64], area_thumbnail(picture(), model.spec.thumbnail_px)[None]
    monkeypatch.setattr(OnnxRuntimeSession, "run", watched)
    model.run(tile, thumbnail, np.zeros(1, np.float32))
    of_picture, of_tile = tones
    assert np.isfinite(of_picture).all() and np.isnan(of_tile).all()


def test_the_tone_is_decided_once_per_picture(model: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def tone(*facts: Floats) -> Floats:
        asked.append(facts)
        return OnnxModel._tones(model, *facts)

    monkeypatch.setattr(model, "_tones", tone)
    whole = enhance_pixels(picture(), model, EnhanceOptions(quality_passes=4), lambda _: None)
    assert len(asked) == 1
    tiled = enhance_pixels(picture(), model, EnhanceOptions(quality_passes=4, tile_px=168), lambda _: None)
    assert len(asked) == 1, "mirrored passes have the same tone"
    difference = np.abs(whole.astype(int) - tiled)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3
    enhance_pixels(picture(), model, EnhanceOptions(ev=1.0), lambda _: None)
    assert len(asked) == 2


@pytest.mark.parametrize("shadows", [0.0, 1.0, 2.0])
def test_tiles_equal_the_whole_with_local_light_and_turned_passes(model: OnnxModel, shadows: float) -> None:
    options = EnhanceOptions(quality_passes=8, shadows=shadows)
    whole, tiled = (
        enhance_pixels(picture(), model, replace(options, tile_px=size), lambda _: None) for size in (512, 168)
    )
    difference = np.abs(whole.astype(int) - tiled)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


def test_the_brightness_is_that_of_the_network(network: ToneMIRNet, model: OnnxModel) -> None:
    thumbnail = area_thumbnail(picture(), 32)
    with torch.no_grad():
        expected = float(network.brightness(torch.from_numpy(thumbnail).permute(2, 0, 1)[None]))
    assert model.brightness(thumbnail) == pytest.approx(expected, abs=1e-3)
    assert model.brightness(thumbnail, 0.5) > model.brightness(thumbnail)
    tone = model.tone(thumbnail[None], np.zeros(1, np.float32), np.ones(1, np.float32))
    assert tone.shape == (1, network.tone_size) == (1, model.spec.tone_size)
