"""Stand-ins for onnxruntime: sessions that fail, and machines with NVIDIA devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from lumen.config import RuntimeOptions
from lumen.runtime.onnxruntime_engine import CPU_PROVIDER, CUDA, OnnxRuntimeSession

THUMBNAIL = np.full((1, 32, 32, 3), 0.25, np.float32)
TILES = np.zeros((1, 64, 72, 3), np.uint8)
EV = np.zeros(1, np.float32)


def native(message: str) -> Exception:
    """Return an error of onnxruntime's own."""
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    error: Exception = Fail(message)
    return error


class NativeSession:
    """The part of `onnxruntime.InferenceSession` that lumen uses, without a graph."""

    def get_providers(self) -> list[str]:
        return [CPU_PROVIDER]

    def get_modelmeta(self) -> Any:
        return SimpleNamespace(custom_metadata_map={})

    def get_inputs(self) -> list[Any]:
        return []

    get_outputs = get_inputs

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, Any], _: Any, /) -> Sequence[Any]:
        raise NotImplementedError


def faulty_session(error: Exception) -> OnnxRuntimeSession:
    """Return a session that fails with an error of onnxruntime."""

    class Faulty(NativeSession):
        def run(self, *_: Any) -> Sequence[Any]:
            raise error

    return OnnxRuntimeSession(Faulty())


class Runtime:
    """The part of the module `onnxruntime` that opening a model touches; CUDA is built in and never comes up."""

    def __init__(self, real: Any, fails: Exception | None = None) -> None:
        self._real = real
        self._fails = fails
        self.asked: list[list[Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU_PROVIDER]

    def preload_dlls(self) -> None:
        print("Failed to load libcurand")  # noqa: T201

    def InferenceSession(self, path: str, options: Any, *, providers: list[Any], enable_fallback: int) -> Any:  # noqa: N802
        self.asked.append(providers)
        if self._fails and len(providers) > 1:
            raise self._fails
        return self._real.InferenceSession(path, options, providers=[CPU_PROVIDER], enable_fallback=enable_fallback)


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
        return [CUDA, CPU_PROVIDER]


def cpu(path: Path) -> RuntimeOptions:
    """Return the options that open a file on one thread of the CPU."""
    return RuntimeOptions(model=str(path), device="cpu", threads=1)
