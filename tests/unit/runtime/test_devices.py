from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lumen.runtime import devices


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
    def load(name: str, mode: int = 0) -> None:
        if "shared" not in name:
            raise OSError("libcublasLt.so.13: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(Path, "exists", lambda *_: True)
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert devices.missing_cuda_library() == "libcublasLt.so.13"


def test_free_vram_comes_from_the_tool_and_respects_visible_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def answer(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="1000\n")

    monkeypatch.setattr(shutil, "which", lambda name: "/bin/" + name)
    monkeypatch.setattr(subprocess, "run", answer)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,3")
    assert devices.free_vram_bytes(1) == 1000 << 20
    assert commands[0][-2:] == ["-i", "3"]


def test_free_vram_has_a_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    assert devices.free_vram_bytes() == devices.FALLBACK_VRAM_BYTES
