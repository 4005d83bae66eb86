"""Stand-ins for onnxruntime: sessions that fail, and machines with NVIDIA devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lumen.config import RuntimeOptions
from lumen.runtime.session import CPU, CUDA

THUMBNAIL = np.full((1, 32, 32, 3), 0.25, np.float32)
TILES = np.zeros((1, 64, 72, 3), np.uint8)
EV = np.zeros(1, np.float32)


def native(message: str) -> Exception:
    """Return an error of onnxruntime's own."""
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    error: Exception = Fail(message)
    return error


class FaultySession:
    """A session that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def run(self, *_: Any) -> list[Any]:
        raise self.error


class Runtime:
    """The part of the module `onnxruntime` that opening a model touches; CUDA is built in and never comes up."""

    def __init__(self, real: Any, fails: Exception | None = None) -> None:
        self._real = real
        self._fails = fails
        self.asked: list[list[Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU]

    def preload_dlls(self) -> None:
        print("Failed to load libcurand")  # noqa: T201

    def InferenceSession(self, path: str, options: Any, *, providers: list[Any], enable_fallback: int) -> Any:  # noqa: N802
        self.asked.append(providers)
        if self._fails and len(providers) > 1:
            raise self._fails
        return self._real.InferenceSession(path, options, providers=[CPU], enable_fallback=enable_fallback)


class WorkingRuntime(Runtime):
    """A machine where CUDA works."""

    def InferenceSession(self, *args: Any, providers: list[Any], **options: Any) -> Any:  # noqa: N802
        session = super().InferenceSession(*args, providers=providers, **options)
        return OnDevice(session) if len(providers) > 1 else session


class OnDevice:
    """A session that says it runs on an NVIDIA device."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]


def cpu(path: Path) -> RuntimeOptions:
    """Return the options that open a file on one thread of the CPU."""
    return RuntimeOptions(model=str(path), device="cpu", threads=1)
