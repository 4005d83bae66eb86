from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import pytest

from lumen.runtime import devices
from lumen.runtime.devices import CPU, Device, helper_threads


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the machine looks like, to be changed by a test."""
    facts: dict[str, Any] = {"distributions": ["onnxruntime-gpu"], "count": 1, "missing": None}
    monkeypatch.setattr(devices, "onnxruntime_distributions", lambda: facts["distributions"])
    monkeypatch.setattr(devices, "cuda_device_count", lambda: facts["count"])
    monkeypatch.setattr(devices, "missing_cuda_library", lambda: facts["missing"])
    return facts


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"distributions": ["onnxruntime"]}, "no CUDA support"),
        ({"distributions": ["onnxruntime", "onnxruntime-gpu"]}, "overwrite each other"),
        ({"count": 0}, "no NVIDIA device or driver"),
        ({"count": 1, "index": 2}, "no device 2, the driver shows 1"),
        ({"missing": "libcurand.so.10"}, r"libcurand\.so\.10 cannot be loaded; .*lumen-enhance\[cuda\]"),
        ({}, "could not start CUDA"),
    ],
)
def test_each_cause_has_its_line(facts: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    facts.update(change)
    line = devices.why_no_cuda(facts.get("index", 0))
    assert "\n" not in line
    assert re.search(reason, line)


def test_the_loader_names_the_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, **_: int) -> None:
        if "shared" not in name:
            raise OSError("libcublasLt.so.13: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(Path, "exists", lambda *_: True)
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert devices.missing_cuda_library() == "libcublasLt.so.13"


def test_what_is_beside_the_cpu_gets_helpers_and_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "usable_cores", lambda: 32)
    monkeypatch.setattr(devices, "has_core_of_several", lambda: False)
    monkeypatch.setattr(devices, "free_ram_bytes", lambda: 1000)
    gpu = Device(name="cuda:0", engine="onnxruntime", kind="gpu", shares_memory=False, own_bytes=lambda: 2000)
    built_in = Device(name="openvino:GPU", engine="openvino", kind="gpu")
    processor = Device(name="openvino:CPU", engine="openvino", kind="cpu")
    assert [helper_threads(each) for each in ([CPU], [processor], [gpu], [built_in, gpu])] == [1, 1, 4, 8]
    monkeypatch.setattr(devices, "usable_cores", lambda: 1)
    monkeypatch.setattr(devices, "has_core_of_several", lambda: True)
    assert [helper_threads(each) for each in ([CPU], [processor], [gpu], [built_in, gpu], [])] == [0, 0, 1, 1, 0]
    assert [each.budget_bytes() for each in (CPU, processor, built_in, gpu)] == [600, 600, 600, 1400]
