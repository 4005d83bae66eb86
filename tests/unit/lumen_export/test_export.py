"""Export: the contract, the checks, and what they catch."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

from lumen.config import RuntimeOptions
from lumen.errors import ModelError, NotFiniteError, UsageError
from lumen.models import Network, build_network
from lumen.runtime.model_files import bundled_models
from lumen.runtime.open import open_model
from lumen.spec import ModelSpec
from lumen.train.checkpoint import Checkpoint, save_checkpoint
from lumen_export.bundle import bundle
from lumen_export.convert import to_onnx
from lumen_export.export import Exported, export_checkpoint, twin_path
from lumen_export.halo import LEAST_PX, TOLERANCE, calibrate_halo, halo_error, halo_pictures
from lumen_export.tile_safety import lint
from lumen_export.verify import compare
from lumen_export.wrapper import TileModel, shift_exposure
from tests.support.training import tiny_recipe
from tests.unit.models.test_context_mirnet import SMALL, random_network

VARIANTS = (("uint8", "fp32"), ("uint16", "fp32"), ("uint8", "fp16"))


@pytest.fixture(scope="module")
def network() -> Network:
    """A network whose every weight matters, the exposure head included."""
    network = random_network(**SMALL)
    nn.init.normal_(network.get_parameter("exposure.out.weight"), std=0.5)
    return network


@pytest.fixture(scope="module")
def checkpoint(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "best.pt"
    recipe = tiny_recipe(network={"hyperparameters": dict(network.hyperparameters)})
    weights = network.state_dict()
    facts = {"validation": {"psnr": 20.0}}
    save_checkpoint(
        Checkpoint(
            iteration=5, recipe=recipe.to_dict(), weights=weights, ema=weights, optimizer=None, best=0.0, facts=facts
        ),
        path,
    )
    return path


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    out = tmp_path_factory.mktemp("model") / "tiny.onnx"
    return export_checkpoint(checkpoint, out, scores={"set": {"psnr_db": 1.0}}, precision="fp16")


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_all_files_follow_the_contract(exported: Exported, network: Network) -> None:
    assert [path.name for path in exported.files] == ["tiny.onnx", "tiny.u16.onnx", "tiny.fp16.onnx"]
    for path, (sample, precision) in zip(exported.files, VARIANTS, strict=True):
        opened = session(path)
        assert [i.name for i in opened.get_inputs()] == ["tiles", "thumbnails", "ev"]
        assert [o.name for o in opened.get_outputs()] == ["enhanced", "brightness", "finite"]
        assert opened.get_inputs()[0].type == f"tensor({sample})"
        spec = ModelSpec.from_metadata(opened.get_modelmeta().custom_metadata_map)
        assert (spec.sample, spec.precision, spec.name, spec.align) == (sample, precision, "tiny", network.align)
        assert spec.weights_sha256 == exported.spec.weights_sha256
        assert spec.training["scores"] == {"set": {"psnr_db": 1.0}}
        assert spec.training["validation"] == {"psnr": 20.0}
        assert spec.bytes_per_px > 20
        assert spec.halo_px >= LEAST_PX


def test_torch_and_onnxruntime_agree(exported: Exported) -> None:
    found = {(agreement.sample, agreement.precision): agreement for agreement in exported.agreements}
    assert found["uint8", "fp32"].worst_levels <= 1 and found["uint8", "fp32"].differing < 1e-3
    assert found["uint16", "fp32"].worst_levels <= 2
    assert found["uint8", "fp16"].worst_levels <= 1 and found["uint8", "fp16"].differing < 0.05


def test_half_precision_is_in_the_weights(exported: Exported) -> None:
    kinds = [
        {each.data_type for each in onnx.load(path).graph.initializer if len(each.dims) == 4} for path in exported.files
    ]
    assert kinds == [{TensorProto.FLOAT}, {TensorProto.FLOAT}, {TensorProto.FLOAT, TensorProto.FLOAT16}]
    assert exported.files[2].stat().st_size < exported.files[0].stat().st_size


@torch.no_grad()
def test_what_half_precision_cannot_hold_is_told(network: Network) -> None:
    """Large values between the layers: sound in fp32, infinite in half precision."""
    large = copy_of(network)
    large.get_parameter("stem.weight").mul_(5e5)
    large.get_parameter("head.weight").div_(5e5)
    assert float(large.get_parameter("stem.weight").abs().max()) < 65504
    tiles = torch.full((2, 16, 16, 3), 200, dtype=torch.uint8)
    feeds = (tiles, torch.full((1, 32, 32, 3), 0.8), torch.zeros(1))
    assert TileModel(large, torch.uint8)(*feeds)[2].tolist() == [True, True]
    large.halve()
    assert TileModel(large, torch.uint8)(*feeds)[2].tolist() == [False, False]


def test_an_exported_file_that_overflows_runs_in_fp32_or_not_at_all(
    exported: Exported, network: Network, tmp_path: Path
) -> None:
    """A weight above 65504 is infinite in half precision; onnxruntime computes the rest in fp32 on a CPU."""
    full, _, half = (Path(shutil.copy(path, tmp_path)) for path in exported.files)
    model = onnx.load(half)
    stem = next(each for each in model.graph.initializer if each.name.endswith("stem.bias"))
    weights = onnx.numpy_helper.to_array(stem).copy()
    weights[0] = np.inf
    stem.CopyFrom(onnx.numpy_helper.from_array(weights, stem.name))
    onnx.save(model, half)
    with pytest.raises(ModelError, match="the fp16 file gives NaN or infinity for 2 of 2 tiles"):
        compare(network, half, "uint8", count=2, precision="fp16")

    feeds = np.full((1, 16, 16, 3), 20, np.uint8), np.full((1, 32, 32, 3), 0.08, np.float32), np.zeros(1, np.float32)
    options = RuntimeOptions(model=str(full), device="cpu", precision="fp16")
    expected = open_model(replace(options, precision="fp32")).run(*feeds)
    assert np.array_equal(open_model(options).run(*feeds), expected)
    full.unlink()
    with pytest.raises(NotFiniteError, match="put its fp32 file beside it"):
        open_model(replace(options, model=str(half))).run(*feeds)


def test_another_network_is_caught(exported: Exported, network: Network) -> None:
    other = copy_of(network)
    with torch.no_grad():
        other.get_parameter("head.weight").mul_(1.5)
    with pytest.raises(ModelError, match="differ by"):
        compare(other, exported.files[0], "uint8", count=4)


def test_any_aligned_size_any_batch_one_or_many_thumbnails(exported: Exported) -> None:
    opened = session(exported.files[0])
    rng = np.random.default_rng(0)
    for batch, thumbnails, height, width in ((1, 1, 4, 4), (3, 1, 8, 20), (3, 3, 40, 12)):
        feed = {
            "tiles": rng.integers(0, 256, (batch, height, width, 3), dtype=np.uint8),
            "thumbnails": rng.random((thumbnails, 32, 32, 3), dtype=np.float32),
            "ev": np.zeros(thumbnails, np.float32),
        }
        enhanced, brightness, finite = opened.run(None, feed)
        assert enhanced.shape == (batch, height, width, 3) and enhanced.dtype == np.uint8
        assert brightness.shape == (thumbnails,)
        assert finite.tolist() == [True] * batch


def test_exposure_is_obeyed(exported: Exported) -> None:
    opened = session(exported.files[0])
    picture = (np.random.default_rng(1).random((1, 32, 32, 3)) * 60).astype(np.uint8)
    thumbnail = (picture / 255).astype(np.float32)
    levels = [
        float(
            opened.run(["brightness"], {"tiles": picture, "thumbnails": thumbnail, "ev": np.array([ev], np.float32)})[
                0
            ][0]
        )
        for ev in (-1.0, 0.0, 1.0)
    ]
    assert levels[0] < levels[1] < levels[2]


def test_shift_exposure_is_stops_of_linear_light() -> None:
    level = torch.tensor([0.5])
    up_down = shift_exposure(shift_exposure(level, torch.tensor([1.0])), torch.tensor([-1.0]))
    assert float(up_down) == pytest.approx(0.5, abs=1e-5)
    assert float(shift_exposure(level, torch.tensor([0.0]))) == 0.5
    assert float(shift_exposure(level, torch.tensor([1.0]))) == pytest.approx(0.6858, abs=1e-3)
    assert float(shift_exposure(level, torch.tensor([4.0]))) == pytest.approx(0.98)


def copy_of(network: Network) -> Network:
    copy = build_network("context-mirnet", **network.hyperparameters).eval()
    copy.load_state_dict(network.state_dict())
    return copy


def pooled(network: Network) -> Network:
    """Return a copy of a network whose output depends on the mean of the tile."""
    copy = copy_of(network)
    restore = copy.restore

    def seeing_all(tiles: Tensor, thumbnails: Tensor, brightness: Tensor) -> Tensor:
        return restore(tiles, thumbnails, brightness) * (1 + tiles.mean(dim=(2, 3), keepdim=True))

    copy.restore = seeing_all  # type: ignore[method-assign]
    return copy


def test_lint_passes_the_family_and_catches_a_global_pool(network: Network, exported: Exported) -> None:
    for path in exported.files:
        assert lint(onnx.load(path)) == []
    faults = lint(to_onnx(pooled(network), "uint8"))
    assert len(faults) == 1 and "ReduceMean" in faults[0]


def test_lint_knows_pooling_operators() -> None:
    node = onnx.helper.make_node("GlobalAveragePool", ["tiles"], ["enhanced"], name="gap")
    graph = onnx.helper.make_graph([node], "g", [], [])
    assert lint(onnx.helper.make_model(graph)) == ["GlobalAveragePool 'gap' pools over the whole tile"]


def test_halo_is_enough_and_a_global_pool_has_none(network: Network) -> None:
    halo = calibrate_halo(network)
    picture = halo_pictures(512)["noise"]
    assert halo_error(network, picture, halo) <= TOLERANCE
    assert halo_error(network, picture, 0) > TOLERANCE
    with pytest.raises(ModelError, match="looks too far"):
        calibrate_halo(pooled(network))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports that only write the names of their precision."""

    def write(_network: Network, spec: ModelSpec, path: Path) -> ModelSpec:
        path.write_bytes(spec.precision.encode())
        return spec

    monkeypatch.setattr("lumen_export.export.write_model", write)
    monkeypatch.setattr("lumen_export.export.calibrate_halo", lambda _: 32)


@pytest.mark.usefixtures("quick")
def test_nothing_is_left_when_the_check_fails(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        assert len(list(tmp_path.rglob("m.onnx"))) == 1
        raise ModelError("differ")

    monkeypatch.setattr("lumen_export.export.compare", fail)
    with pytest.raises(ModelError, match="differ"):
        export_checkpoint(checkpoint, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m.bin", "m.fp16.onnx"])
def test_only_onnx_names_are_written(checkpoint: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"ending in \.onnx but not in \.fp16\.onnx"):
        export_checkpoint(checkpoint, tmp_path / name)


@pytest.mark.usefixtures("quick")
def test_a_half_file_of_an_earlier_export_does_not_stay(checkpoint: Path, tmp_path: Path) -> None:
    export_checkpoint(checkpoint, tmp_path / "m.onnx", check=False, precision="fp16")
    assert (tmp_path / "m.fp16.onnx").read_bytes() == b"fp16"
    export_checkpoint(checkpoint, tmp_path / "m.onnx", check=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "m.u16.onnx"]


def test_bundle_lists_what_is_there(exported: Exported) -> None:
    folder = exported.files[0].parent
    bundle(folder)
    (model,) = bundled_models(folder)
    assert model.name == "tiny"
    assert model.files["uint16"].path == twin_path(folder / "tiny.onnx", "uint16")
    assert model.files["uint8"].size == exported.files[0].stat().st_size
