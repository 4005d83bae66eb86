"""Models on disk, and machines with NVIDIA devices."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lumen.runtime import choice
from lumen.runtime import onnxruntime_engine as engine
from tests.support.fakes import write_fake_onnx
from tests.support.runtime import Runtime, WorkingRuntime

SWELL = 400.0  # twice 90, times 400, is more than the 65504 that half precision holds


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of both sample types."""
    folder = tmp_path_factory.mktemp("model")
    write_fake_onnx(folder / "m.u16.onnx", "uint16")
    return write_fake_onnx(folder / "m.onnx")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a doubling model in both precisions; bright tiles overflow in half precision."""
    folder = tmp_path_factory.mktemp("halved")
    write_fake_onnx(folder / "m.onnx", radius=0, swell=SWELL)
    write_fake_onnx(folder / "m.u16.onnx", "uint16", radius=0)
    write_fake_onnx(folder / "m.fp16.onnx", radius=0, swell=SWELL, precision="fp16")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed by a test."""
    return Path(shutil.copytree(made, tmp_path / "model"))


@pytest.fixture
def silent_fallback(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A machine with an NVIDIA device whose libraries are missing: sessions come up without CUDA and without a word."""
    import onnxruntime

    runtime = Runtime(onnxruntime)
    monkeypatch.setattr(engine, "load_onnxruntime", lambda: runtime)
    monkeypatch.setattr(engine, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(choice, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(engine, "why_no_cuda", lambda *_: "libcublasLt.so.13 cannot be loaded")
    return runtime


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> WorkingRuntime:
    """A machine with two NVIDIA devices."""
    import onnxruntime

    runtime = WorkingRuntime(onnxruntime)
    monkeypatch.setattr(engine, "load_onnxruntime", lambda: runtime)
    monkeypatch.setattr(engine, "cuda_device_count", lambda: 2)
    monkeypatch.setattr(choice, "cuda_device_count", lambda: 2)
    return runtime
