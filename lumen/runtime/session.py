"""A model over onnxruntime: opened on the device that was asked for, checked, and run."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lumen.config import RuntimeOptions
from lumen.errors import DeviceError, ModelError, OutOfMemoryError, UnavailableError
from lumen.runtime.devices import cuda_device_count, free_vram_bytes, why_no_cuda
from lumen.runtime.memory import RAM_SHARE, VRAM_SHARE, free_ram_bytes
from lumen.runtime.model import Floats, Pixels
from lumen.runtime.weights import find_model
from lumen.spec import ModelSpec, SampleType

log = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

# What onnxruntime, cuDNN and cuBLAS say when memory is short; there is no error class for it.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|failed to allocate|bad_?alloc|bad allocation|alloc_failed|available memory of \d+ is smaller",
    re.IGNORECASE,
)


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` that lumen runs."""

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, Any], /) -> Sequence[Any]:
        """Run the graph."""


class OnnxModel:
    """A model ready to run, on one device. One thread at a time.

    Attributes:
        spec: Facts about the model, from the file's metadata.
        device: `cpu` or `cuda:N`: where the session really runs, not what was asked for.
        window_limit_px: Largest window side that memory has proved to allow; None while it was never short.
    """

    def __init__(
        self, spec: ModelSpec, device: str, connect: Callable[[], Session], session: Session | None = None
    ) -> None:
        """Wrap a way to make sessions, and the first session where there is one already."""
        self.spec = spec
        self.device = device
        self.window_limit_px: int | None = None
        self._connect = connect
        self._session = session

    @cached_property
    def budget_bytes(self) -> int:
        """Memory one inference may take, as it stood when first asked.

        Asked once: the session's own arena keeps what it took, and would make every later answer smaller.
        """
        if self.device == "cpu":
            return int(RAM_SHARE * free_ram_bytes())
        return int(VRAM_SHARE * free_vram_bytes(_index(self.device)))

    def run(self, tiles: Pixels, thumbnails: Floats, ev: Floats) -> Pixels:
        """Enhance tiles.

        Args:
            tiles: `spec.sample` [N, H, W, 3], H and W multiples of `spec.align`.
            thumbnails: float32 [M, t, t, 3] in [0, 1], t = `spec.thumbnail_px`, M = 1 or N.
            ev: float32 [M], stops relative to the model's own choice.

        Returns:
            The enhanced tiles, same shape and type as `tiles`.

        Raises:
            OutOfMemoryError: Memory was short; `release` and try a smaller window.
            ModelError: The graph failed otherwise.
        """
        return np.asarray(self._run("enhanced", tiles, thumbnails, ev))

    def brightness(self, thumbnail: Floats, ev: float = 0.0) -> float:
        """Return the mean sRGB level in [0, 1] that the output aims at.

        Args:
            thumbnail: float32 [t, t, 3] in [0, 1] of the whole picture.
            ev: Stops relative to the model's own choice.
        """
        # Brightness depends on the thumbnail alone; the graph still wants a tile, so give it the smallest.
        tile = np.zeros((1, self.spec.align, self.spec.align, 3), self.spec.sample)
        return float(self._run("brightness", tile, thumbnail[None], np.array([ev], np.float32))[0])

    def release(self) -> None:
        """Give the memory of the session back; the next run makes a new one."""
        self._session = None

    def _run(self, output: str, tiles: Pixels, thumbnails: Floats, ev: Floats) -> Any:
        feeds = {"tiles": tiles, "thumbnails": thumbnails, "ev": ev}
        try:
            if self._session is None:
                self._session = self._connect()
            return self._session.run([output], feeds)[0]
        except _native_errors() as error:
            if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
                raise OutOfMemoryError(_no_memory(tiles, self.device)) from error
            raise ModelError(f"model {self.spec.name!r} failed on {self.device}: {_first_line(error)}") from error


class ModelSet:
    """The 8-bit and the 16-bit twin of one model, opened when first needed; safe to share between threads."""

    def __init__(self, options: RuntimeOptions | None = None) -> None:
        """Remember what to open."""
        self.options = options or RuntimeOptions()
        self._opened: dict[SampleType, OnnxModel] = {}
        self._lock = threading.Lock()

    def for_sample(self, sample: SampleType) -> OnnxModel:
        """Return the twin for a sample type.

        Raises:
            ModelError: There is no such model, or its file is damaged or of another contract.
            DeviceError: The asked device cannot be used.
        """
        with self._lock:
            if sample not in self._opened:
                self._opened[sample] = open_model(self.options, sample=sample)
            return self._opened[sample]


def open_model(options: RuntimeOptions | None = None, *, sample: SampleType = "uint8") -> OnnxModel:
    """Open a model on the device that the options ask for.

    Raises:
        ModelError: There is no such model, or its file is damaged or of another contract.
        DeviceError: CUDA was asked for by name and cannot be used; the message names the cause.
    """
    options = options or RuntimeOptions()
    path = find_model(options.model, sample)
    device = choose_device(options.device)
    try:
        session = _make_session(path, device, options.threads)
    except DeviceError as error:
        if options.device != "auto":
            raise
        log.warning("running on the CPU although an NVIDIA device is present: %s", error)
        device = "cpu"
        session = _make_session(path, device, options.threads)
    spec = _spec_of(session, path)
    if spec.sample != sample:
        raise ModelError(f"{path} works on {spec.sample} samples, expected {sample}; name the 8-bit file M.onnx")
    log.info("model %s (%s) on %s", spec.name, sample, device)
    return OnnxModel(spec, device, partial(_make_session, path, device, options.threads), session)


def read_spec(path: Path) -> ModelSpec:
    """Return the facts stored in a model file.

    Raises:
        ModelError: It is not an ONNX file made by lumen.
    """
    return _spec_of(_make_session(path, "cpu", 1), path)


def choose_device(asked: str) -> str:
    """Return `cpu` or `cuda:N` to try for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        DeviceError: CUDA was asked for by name, and there is no such device or no CUDA build of onnxruntime.
    """
    if asked == "cpu":
        return asked
    device = asked if ":" in asked else "cuda:0"
    if _index(device) < cuda_device_count() and CUDA in _onnxruntime().get_available_providers():
        return device
    if asked != "auto":
        raise DeviceError(f"{asked} cannot be used: {why_no_cuda(_index(device))}")
    if cuda_device_count():
        log.warning("running on the CPU although an NVIDIA device is present: %s", why_no_cuda())
    return "cpu"


def _make_session(path: Path, device: str, threads: int) -> Any:
    """Make a session that really runs on `device`, or raise `DeviceError` or `ModelError`."""
    ort = _onnxruntime()
    # Level 4 silences the C++ lines about missing libraries, which lumen says in its own words.
    ort.set_default_logger_severity(2 if log.isEnabledFor(logging.DEBUG) else 4)
    providers: list[Any] = [CPU]
    if device != "cpu":
        with contextlib.redirect_stdout(io.StringIO()) as said:  # it prints, and stdout carries results only
            ort.preload_dlls()
        log.debug("%s", said.getvalue().strip() or "CUDA libraries loaded")
        facts = {"device_id": _index(device), "cudnn_conv_algo_search": "HEURISTIC"}
        providers = [(CUDA, facts), CPU]
    try:
        # Without fallback: it would print to stdout, hide the cause and run on in silence.
        session = ort.InferenceSession(
            str(path), _session_options(ort, threads), providers=providers, enable_fallback=0
        )
    except _native_errors() as error:
        if device != "cpu":
            raise DeviceError(f"{device} cannot be used: {_first_line(error)}") from error
        raise ModelError(f"{path} cannot be loaded as an ONNX model: {_first_line(error)}") from error
    if device != "cpu" and CUDA not in session.get_providers():
        raise DeviceError(f"{device} cannot be used: {why_no_cuda(_index(device))}")
    return session


def _session_options(ort: Any, threads: int) -> Any:
    options = ort.SessionOptions()
    options.enable_mem_pattern = False  # halves the working memory at no cost in time
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # be kind where cores are shared
    options.inter_op_num_threads = 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Left to itself onnxruntime counts the machine's cores, also those this process may not use.
    options.intra_op_num_threads = threads or (usable if usable < (os.cpu_count() or 1) else 0)
    return options


def _spec_of(session: Any, path: Path) -> ModelSpec:
    try:
        return ModelSpec.from_metadata(session.get_modelmeta().custom_metadata_map)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError(f"onnxruntime cannot be loaded ({error}); `lumen doctor` says more") from error
    return onnxruntime


def _native_errors() -> tuple[type[Exception], ...]:
    """Return the exception classes of onnxruntime, which have no common base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    found = [value for value in vars(native).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*found, ValueError, RuntimeError, MemoryError)


def _index(device: str) -> int:
    return int(device.partition(":")[2] or 0)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _no_memory(tiles: Pixels, device: str) -> str:
    height, width = tiles.shape[1:3]
    return f"not enough memory on {device} for a window of {width}x{height} pixels; close other programs or use --tile"
