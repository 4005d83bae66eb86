"""What a new training starts from: checkpoints, exported files, bundled models."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from lumen.errors import ModelError
from lumen.models import Network, build_network
from lumen.spec import ModelSpec
from lumen.train.data.load import Example
from lumen.train.start import read_start
from tests.support.networks import SMALL_CONTEXT
from tests.support.training import scene


def write_onnx(network: Network, path: Path, **training: object) -> Path:
    """Write a file that holds a network's weights as an exported one does, but no graph."""
    tensors = [
        onnx.numpy_helper.from_array(value.numpy(), f"network.{name}") for name, value in network.state_dict().items()
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph([], "weights", [], [], [*tensors]))
    spec = ModelSpec(
        name="small",
        architecture="context-mirnet",
        hyperparameters=SMALL_CONTEXT,
        sample="uint8",
        align=4,
        halo_px=32,
        edge_px=16,
        thumbnail_px=32,
        bytes_per_px=1,
        gmacs_per_mp=1.0,
        parameters=1,
        weights_sha256="",
        training=training,
    )
    onnx.helper.set_model_props(model, spec.to_metadata())
    onnx.save(model, path)
    return path


def small(architecture: str) -> Network:
    torch.manual_seed(1)
    return build_network(architecture, **SMALL_CONTEXT)


def test_an_exported_file_gives_back_the_weights(tmp_path: Path) -> None:
    network = small("context-mirnet")
    start = read_start(str(write_onnx(network, tmp_path / "m.onnx")))
    weights = network.state_dict()
    assert start.filled(network).keys() == weights.keys()
    assert all(torch.equal(start.weights[name], weights[name]) for name in weights)


def test_what_a_file_lacks_starts_fresh_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    start = read_start(str(write_onnx(small("context-mirnet"), tmp_path / "m.onnx")))
    network = small("tone-mirnet")
    network.load_state_dict(start.filled(network))
    assert "lacks local, shape: trained from the start" in caplog.text


def test_the_bundled_model_is_named_and_lacks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    start = read_start("lumen-s")
    network = build_network(start.network.architecture, **start.network.hyperparameters)
    network.load_state_dict(start.filled(network))
    assert not start.held_out_joined and start.data["train_pairs"] > 0
    held_out = Example(name=start.data["val_pairs"][0], low=scene(0), high=scene(0))
    assert start.trained_on([held_out]) == []
    joined = replace(start, held_out_joined=True)
    assert joined.trained_on([held_out, Example(name="new", low=scene(1), high=scene(1))]) == [held_out.name]
    assert not caplog.records


@pytest.mark.parametrize("name", ["nothing", "broken.onnx", "missing.onnx", "missing.pt"])
def test_what_is_no_model_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    with pytest.raises(ModelError):
        read_start(str(tmp_path / name) if "." in name else name)


@pytest.mark.parametrize(
    ("training", "value"),
    [({"data": [3]}, 1.0), ({"data": {"val_pairs": 5}}, 1.0), ({"data": {"val_pairs": [[1]]}}, 1.0), ({}, math.nan)],
)
def test_wrong_facts_and_weights_of_an_exported_file(tmp_path: Path, training: dict[str, object], value: float) -> None:
    network = small("context-mirnet")
    with torch.no_grad():
        next(iter(network.parameters())).mul_(value)
    path = write_onnx(network, tmp_path / "m.onnx", **training)
    if math.isnan(value):
        with pytest.raises(ModelError, match="weights that are NaN"):
            read_start(str(path))
        return
    assert read_start(str(path)).trained_on([Example(name="a", low=scene(0), high=scene(0))]) == []


@pytest.mark.parametrize("fault", ["size", "elsewhere", "huge"])
def test_tensors_of_an_exported_file_that_are_not_there(tmp_path: Path, fault: str) -> None:
    path = write_onnx(small("context-mirnet"), tmp_path / "m.onnx")
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    if fault == "size":
        tensor.dims[0] = 3_000_000
    elif fault == "elsewhere":
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../../etc/passwd")
    path.write_bytes(model.SerializeToString())
    if fault == "huge":
        with path.open("r+b") as file:
            file.truncate(10 << 40)
    with pytest.raises(ModelError):
        read_start(str(path))
