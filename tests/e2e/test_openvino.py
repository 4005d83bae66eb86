"""OpenVINO as users ask for it: by name, by precision, missing, interrupted."""

from __future__ import annotations

import signal
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Run
from tests.support.commands import command, start
from tests.support.fakes import write_fake_onnx

with_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with an 8-bit and a 16-bit picture, and models for both."""
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full((24, 32, 3), 60, np.uint8)).save(tmp_path / "in" / "a.png")
    Image.fromarray(np.full((24, 32), 9000, np.uint16)).save(tmp_path / "in" / "deep.png")
    write_fake_onnx(tmp_path / "m.onnx", radius=0)
    write_fake_onnx(tmp_path / "m.u16.onnx", "uint16", radius=0)
    return tmp_path


@pytest.mark.skipif(find_spec("openvino") is not None, reason="OpenVINO is installed")
@pytest.mark.parametrize("options", [("--device", "openvino"), ("--device", "openvino:GPU"), ("--precision", "bf16")])
def test_asked_for_by_name_and_missing_ends_with_5(photos: Path, lumen_command: Run, options: tuple[str, str]) -> None:
    done = lumen_command("enhance", "in", "-o", "out", "-m", "m.onnx", *options, cwd=photos)
    assert done.returncode == 5
    assert "needs openvino; install it with: pip install" in done.stderr
    assert not list(photos.glob("out/*.png"))


@pytest.mark.parametrize("device", ["openvino:", "openvino:0", "openvino:cpu", "openvino:CPU,GPU", "openvino:GPU.x"])
def test_names_of_no_device_end_with_2(photos: Path, lumen_command: Run, device: str) -> None:
    done = lumen_command("enhance", "in", "-o", "out", "-m", "m.onnx", "--device", device, cwd=photos)
    assert done.returncode == 2
    assert "openvino:CPU" in done.stderr


@with_openvino
def test_pictures_are_enhanced_and_the_run_says_where(photos: Path, lumen_command: Run) -> None:
    done = lumen_command("-v", "enhance", "in", "-o", "out", "-m", "m.onnx", "--device", "openvino", cwd=photos)
    assert done.returncode == 0, done.stderr
    assert "on openvino:CPU (" in done.stderr and "(uint16, fp32)" in done.stderr
    with Image.open(photos / "out" / "a.png") as image:
        assert int(np.asarray(image).max()) == 120
    with Image.open(photos / "out" / "deep.png") as image:
        assert abs(int(np.asarray(image).max()) - 18000) <= 1
    (record,) = (photos / "out" / ".lumen" / "runs").glob("*.json*")
    assert "openvino:CPU" in record.read_text()


@with_openvino
def test_scores_say_device_and_precision(photos: Path, lumen_command: Run) -> None:
    (photos / "in" / "deep.png").unlink()
    line = ("eval", "in", "--gt", "in", "-m", "m.onnx", "--json", "--device", "openvino")
    done = lumen_command(*line, "--precision", "fp32", cwd=photos)
    assert done.returncode == 0, done.stderr
    assert "model fake on openvino:CPU" in done.stdout and "bf16" not in done.stdout


@with_openvino
def test_a_device_that_openvino_does_not_see_ends_with_5(photos: Path, lumen_command: Run) -> None:
    done = lumen_command("enhance", "in", "-o", "out", "-m", "m.onnx", "--device", "openvino:GPU.7", cwd=photos)
    assert done.returncode == 5
    assert "openvino:GPU.7 cannot be used: OpenVINO sees only CPU" in done.stderr


@with_openvino
@pytest.mark.skipif(sys.platform != "linux", reason="signals of Linux")
@pytest.mark.parametrize(("number", "times", "code"), [(signal.SIGINT, 2, 130), (signal.SIGTERM, 1, 143)])
def test_signals_end_a_run(tmp_path: Path, number: signal.Signals, times: int, code: int) -> None:
    model = write_fake_onnx(tmp_path / "m.onnx", burn=40)
    Image.fromarray(np.zeros((2000, 2000, 3), np.uint8)).save(tmp_path / "large.png")
    paths = (tmp_path / "large.png", "-o", tmp_path / "out")
    line = command("enhance", *paths, "--device", "openvino", "--tile", "96", model=model)
    with start(line) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("0 of 1 files ("), "the picture is in work"
            for _ in range(times):
                process.send_signal(number)
                time.sleep(0.3)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert not list((tmp_path / "out").glob("*.png"))
