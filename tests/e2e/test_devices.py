"""Devices and precision as users ask for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.runtime.devices import cuda_device_count
from tests.conftest import Run
from tests.support.fakes import write_fake_onnx

no_gpu = pytest.mark.skipif(cuda_device_count() > 0, reason="a GPU is there")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a dark picture, and one too bright for the half-precision model."""
    for name, level in (("bright", 90), ("dark", 20)):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(np.full((24, 32, 3), level, np.uint8)).save(tmp_path / "in" / f"{name}.png")
    write_fake_onnx(tmp_path / "m.onnx", radius=0, swell=400.0)
    write_fake_onnx(tmp_path / "m.fp16.onnx", radius=0, swell=400.0, precision="fp16")
    return tmp_path


def level(path: Path) -> int:
    with Image.open(path) as image:
        return int(np.asarray(image).max())


@no_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "cuda:0,1"])
def test_a_device_that_is_not_there_ends_with_5(photos: Path, lumen_here: Run, device: str) -> None:
    done = lumen_here("enhance", "in", "-o", "out", "-m", "m.onnx", "--device", device, cwd=photos)
    assert done.returncode == 5
    assert "cannot be used: no NVIDIA device or driver was found" in done.stderr
    assert not list(photos.glob("out/*.png"))


@pytest.mark.parametrize("device", ["cuda:", "cuda:0,", "cuda:0,0", "cpu:0", "auto,cpu", "CUDA", "cuda:-1"])
def test_names_of_no_device_end_with_2(photos: Path, lumen_here: Run, device: str) -> None:
    done = lumen_here("enhance", "in", "-o", "out", "-m", "m.onnx", "--device", device, cwd=photos)
    assert done.returncode == 2
    assert "--device" in done.stderr


def test_scoring_runs_on_one_device(photos: Path, lumen_here: Run) -> None:
    done = lumen_here("eval", "in", "--gt", "in", "-m", "m.onnx", "--device", "cuda:0,1", cwd=photos)
    assert done.returncode == 2
    assert "one device" in done.stderr


def test_half_precision_falls_back_to_fp32(photos: Path, lumen_here: Run) -> None:
    done = lumen_here("enhance", "in", "-o", "out", "-m", "m.onnx", "--precision", "fp16", cwd=photos)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("half precision overflows") == 1
    assert [level(photos / "out" / f"{name}.png") for name in ("dark", "bright")] == [40, 180]


def test_infinity_is_never_written(photos: Path, lumen_here: Run) -> None:
    (photos / "m.onnx").unlink()
    done = lumen_here("enhance", "in", "-o", "out", "-m", "m.fp16.onnx", cwd=photos)
    assert done.returncode == 3
    assert "bright.png: model 'fake' (fp16) gave NaN or infinity" in done.stderr
    assert [path.name for path in (photos / "out").glob("*.png")] == ["dark.png"]


def test_half_precision_that_is_not_there_ends_with_5(photos: Path, lumen_here: Run) -> None:
    (photos / "m.fp16.onnx").unlink()
    done = lumen_here("enhance", "in", "-o", "out", "-m", "m.onnx", "--precision", "fp16", cwd=photos)
    assert done.returncode == 5
    assert "needs m.fp16.onnx beside m.onnx" in done.stderr
