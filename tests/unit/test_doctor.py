from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from lumen import doctor
from lumen.codecs import codec
from lumen.config import RuntimeOptions
from lumen.doctor import Check, diagnose
from lumen.errors import DeviceError, EncodeError
from lumen.extras import install_line
from lumen.imaging.formats import SUFFIXES
from lumen.runtime import model_files
from lumen.runtime.devices import Device
from tests.support.fakes import FakeModel


def find(name: str) -> Check:
    return next(check for check in diagnose() if check.name == name)


def test_everything_that_is_needed_works_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "DATA", tmp_path)
    found = {check.name: check for check in diagnose()}
    assert [check for check in found.values() if check.status == "broken"] == []
    assert found.keys() >= {"lumen", "onnxruntime", "cpu", "cuda", "models", "train", *SUFFIXES.values()}
    assert found["png"].detail == "reads and writes 8 and 16 bits"
    assert found["models"].status == "warning"


def test_two_onnxruntimes_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "onnxruntime_distributions", lambda: ["onnxruntime", "onnxruntime-gpu"])
    check = find("onnxruntime")
    assert check.status == "warning"
    assert "onnxruntime and onnxruntime-gpu overwrite each other" in check.detail


def test_a_device_without_its_libraries_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "DATA", tmp_path)
    monkeypatch.setattr(doctor, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(doctor, "missing_cuda_library", lambda: "libcudnn.so.9")
    monkeypatch.setattr(doctor, "why_no_cuda", lambda: "libcudnn.so.9 cannot be loaded")
    assert find("cuda") == Check(name="cuda", status="warning", detail="libcudnn.so.9 cannot be loaded")


def test_every_device_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def opened(options: RuntimeOptions, **_: str) -> FakeModel:
        if options.device == "cuda:2":
            raise DeviceError("cuda:2 cannot be used: out of memory")
        tried.append(options.device)
        return FakeModel()

    monkeypatch.setattr(doctor, "open_model", opened)
    monkeypatch.setattr(doctor, "cuda_device_count", lambda: 2)
    assert find("cuda") == Check(name="cuda", status="ok", detail="a model runs on cuda:0, cuda:1")
    monkeypatch.setattr(doctor, "cuda_device_count", lambda: 3)
    assert find("cuda") == Check(name="cuda", status="warning", detail="cuda:2 cannot be used: out of memory")
    assert tried == ["cuda:0", "cuda:1"] * 2


def test_a_format_that_fails_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> tuple[str, ...]:
        raise EncodeError("no encoder")

    monkeypatch.setattr(codec, "write_picture", fail)
    assert find("webp") == Check(name="webp", status="broken", detail="uint8: no encoder")


def test_a_damaged_bundled_model_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models.json").write_text("{")
    monkeypatch.setattr(model_files, "DATA", tmp_path)
    assert find("models").status == "broken"


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    check = find("train")
    assert (check.status, check.detail) == ("no", f"torch is missing; {install_line('train')}")


NATIVE = Device(
    name="openvino:CPU", engine="openvino", kind="cpu", label="Xeon", precisions=("bf16", "fp32"), casts=True
)


@pytest.fixture
def openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO is installed, and sees one CPU."""
    monkeypatch.setattr(doctor, "PACKAGE", SimpleNamespace(name="pytest", is_installed=lambda: True))
    monkeypatch.setattr(doctor, "targets", lambda: ["CPU"])
    monkeypatch.setattr(doctor, "find_device", lambda _: NATIVE)


@pytest.mark.usefixtures("openvino")
def test_what_openvino_computes_and_auto_takes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FakeModel()
    model.device, model.precision = NATIVE, "bf16"
    monkeypatch.setattr(doctor, "open_model", lambda *_, **__: model)
    check = find("openvino")
    assert (check.status, check.detail) == (
        "ok",
        f"{pytest.__version__}: openvino:CPU (Xeon) computes in bf16 and fp32",
    )
    assert find("--device auto") == Check("--device auto", "ok", "takes openvino:CPU (Xeon), in bf16")


@pytest.mark.usefixtures("openvino")
def test_an_openvino_that_does_not_run_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> FakeModel:
        raise DeviceError("openvino:CPU cannot be used: no")

    monkeypatch.setattr(doctor, "open_model", fail)
    assert find("openvino") == Check("openvino", "warning", "openvino:CPU cannot be used: no")
    assert find("--device auto").status == "no"


def test_the_bundled_model_brightens_what_doctor_shows_it() -> None:
    details = [check.detail for check in doctor._check_models()]
    assert details
    for detail in details:
        before, after = map(int, re.findall(r"(\d+)%", detail))
        assert before < after


def test_clips_are_written_by_the_codecs_that_ffmpeg_has() -> None:
    pytest.importorskip("av")
    check = find("video")
    assert check.status == "ok"
    assert "reads clips, writes h264 (libx264), hevc (libx265), av1 (libsvtav1), ffv1 (ffv1)" in check.detail


def test_a_codec_that_is_missing_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr(doctor, "known_codecs", lambda: (["h264 (libx264)"], ["av1 (libsvtav1)"]))
    check = find("video")
    assert check.status == "warning"
    assert check.detail.endswith("it lacks av1 (libsvtav1)")
