from __future__ import annotations

from pathlib import Path

import pytest

from lumen.config import RuntimeOptions
from lumen.errors import DeviceError
from lumen.runtime import onnxruntime_engine as module
from lumen.runtime.open import model_sets, open_model
from tests.support.runtime import Runtime, native


def test_cuda_by_name_fails_loudly_when_it_falls_back(
    silent_fallback: Runtime, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DeviceError, match=r"cuda:0 cannot be used: libcublasLt\.so\.13"):
        open_model(RuntimeOptions(model=str(path), device="cuda"))
    name, facts = silent_fallback.asked[0][0]
    assert (name, facts["device_id"], facts["cudnn_conv_algo_search"]) == (module.CUDA, 0, "HEURISTIC")
    assert facts["use_tf32"] == 0
    assert capsys.readouterr().out == ""  # stdout carries results only


def test_cuda_errors_at_creation_are_device_errors(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(module, "load_onnxruntime", lambda: Runtime(onnxruntime, native("CUDA failure 100\nmore")))
    monkeypatch.setattr(module, "cuda_device_count", lambda: 2)
    with pytest.raises(DeviceError, match=r"cuda:1 cannot be used: CUDA failure 100$"):
        open_model(RuntimeOptions(model=str(path), device="cuda:1"))


@pytest.mark.usefixtures("two_devices")
def test_the_libraries_are_loaded_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[None] = []
    monkeypatch.setattr(Runtime, "preload_dlls", lambda _: loads.append(None))
    for models in model_sets(RuntimeOptions(model=str(path), device="cuda:0,1")):
        models.for_sample("uint8")
        models.for_sample("uint16")
    assert len(loads) == 1
