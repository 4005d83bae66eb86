"""Export: the contract, and what is left when something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from lumen.errors import ModelError, UsageError
from lumen.models import Network
from lumen.spec import ModelSpec
from lumen_export.export import export_checkpoint
from lumen_export.exported import Exported
from lumen_export.halo_search import LEAST_PX

VARIANTS = (("uint8", "fp32"), ("uint16", "fp32"), ("uint8", "fp16"))


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


def test_files_tell_nothing_of_the_machine_that_made_them(exported: Exported) -> None:
    for path in exported.files:
        assert not any(node.metadata_props or node.doc_string for node in onnx.load(path).graph.node)
        assert str(Path.cwd()).encode() not in path.read_bytes()


def test_half_precision_is_in_the_weights(exported: Exported) -> None:
    kinds = [
        {each.data_type for each in onnx.load(path).graph.initializer if len(each.dims) == 4} for path in exported.files
    ]
    assert kinds == [{TensorProto.FLOAT}, {TensorProto.FLOAT}, {TensorProto.FLOAT, TensorProto.FLOAT16}]
    assert exported.files[2].stat().st_size < exported.files[0].stat().st_size


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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports that only write the names of their precision."""

    def write(_graph: object, spec: ModelSpec, path: Path) -> ModelSpec:
        path.write_bytes(spec.precision.encode())
        return spec

    monkeypatch.setattr("lumen_export.export.write_model", write)
    for name in ("to_onnx", "of_16_bits"):
        monkeypatch.setattr(f"lumen_export.export.{name}", lambda _: None)
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
