"""A model over onnxruntime: opened on the device that was asked for, checked, and run."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from lumen.config import RuntimeOptions
from lumen.errors import DeviceError, ModelError, NotFiniteError, OutOfMemoryError, UnavailableError
from lumen.runtime.devices import cuda_device_count, free_vram_bytes, usable_cores, why_no_cuda
from lumen.runtime.memory import RAM_SHARE, VRAM_SHARE, free_ram_bytes
from lumen.runtime.model import Floats, Pixels
from lumen.runtime.weights import find_model, full_of, half_of
from lumen.spec import ModelSpec, SampleType

log = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

T = TypeVar("T")

# What onnxruntime, cuDNN and cuBLAS say when memory is short; there is no error class for it.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|failed to allocate|bad_?alloc|bad allocation|alloc_failed|available memory of \d+ is smaller",
    re.IGNORECASE,
)


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` that lumen runs."""

    def run(
        self, output_names: Sequence[str], input_feed: Mapping[str, Any], run_options: Any = None, /
    ) -> Sequence[Any]:
        """Run the graph."""


class OnnxModel:
    """A model ready to run, on one device. One thread at a time.

    Attributes:
        spec: Facts about the model, from the file's metadata.
        device: `cpu` or `cuda:N`: where the session really runs, not what was asked for.
        window_limit_px: Largest window side that memory has proved to allow; None while it was never short.
    """

    def __init__(
        self,
        spec: ModelSpec,
        device: str,
        connect: Callable[[], Session],
        session: Session | None = None,
        *,
        guarded: bool = False,
        in_full: Callable[[], OnnxModel] | None = None,
    ) -> None:
        """Wrap a session.

        Args:
            spec: Facts about the model.
            device: `cpu` or `cuda:N`.
            connect: Makes a session.
            session: The first one, where there is one already.
            guarded: Whether the graph has the output `finite`.
            in_full: Opens the same model in fp32, for tiles that half precision cannot hold.
        """
        self.spec = spec
        self.device = device
        self.window_limit_px: int | None = None
        self._connect = connect
        self._session = session
        self._outputs = ("enhanced", "brightness", "finite") if guarded else ("enhanced", "brightness")
        self._in_full = in_full
        self._full: OnnxModel | None = None
        self._tired = False

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
            thumbnails: float32 [M, h, w, 3] in [0, 1] as `spec.thumbnail` says, M = 1 or N.
            ev: float32 [M], stops relative to the model's own choice.

        Returns:
            The enhanced tiles, same shape and type as `tiles`.

        Raises:
            OutOfMemoryError: Memory was short; `release` and try a smaller window.
            NotFiniteError: The model gave NaN or infinity, in fp32 too where it is there to be tried.
            ModelError: The graph failed otherwise.
        """
        feeds = {"tiles": tiles, "thumbnails": thumbnails, "ev": ev}
        enhanced, brightness, *finite = self._run(self._outputs, feeds)
        if np.isfinite(brightness).all() and all(map(np.all, finite)):
            return np.asarray(enhanced)
        return self._run_in_full(tiles, thumbnails, ev)

    def brightness(self, thumbnail: Floats, ev: float = 0.0) -> float:
        """Return the mean sRGB level in [0, 1] that the output aims at.

        Args:
            thumbnail: float32 [h, w, 3] in [0, 1] of the whole picture.
            ev: Stops relative to the model's own choice.

        Raises:
            NotFiniteError: The model gave NaN or infinity.
        """
        level = float(self._run(("brightness",), self._smallest(thumbnail, ev))[0][0])
        if not math.isfinite(level):
            raise NotFiniteError(f"model {self.spec.name!r} gave {level} as the brightness to aim at")
        return level

    def rest(self) -> None:
        """Give back the memory that the CPU keeps between runs, for as long as another model works; any thread may."""
        session, tired, self._tired = self._session, self._tired, False
        if session is not None and tired and self.device == "cpu":
            options = _onnxruntime().RunOptions()
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
            dark = np.zeros((self.spec.thumbnail_px, self.spec.thumbnail_px, 3), np.float32)
            with contextlib.suppress(*_native_errors()):  # it is given back at the end of a run: of a tiny one
                session.run(("brightness",), self._smallest(dark, 0.0), options)
        if self._full is not None:
            self._full.rest()

    def release(self) -> None:
        """Give the memory of the session back; the next run makes a new one."""
        self._session = None
        if self._full is not None:
            self._full.release()

    def _smallest(self, thumbnail: Floats, ev: float) -> Mapping[str, Any]:
        """Return inputs with the smallest tile there is, for what depends on the thumbnail [t, t, 3] alone."""
        tile = np.zeros((1, self.spec.align, self.spec.align, 3), self.spec.sample)
        return {"tiles": tile, "thumbnails": thumbnail[None], "ev": np.array([ev], np.float32)}

    def _run(self, outputs: Sequence[str], feeds: Mapping[str, Any]) -> Sequence[Any]:
        tiles = feeds["tiles"]
        if self._session is None:
            self._session = self._open(self._connect, tiles)
        try:
            return self._session.run(outputs, feeds)
        except _native_errors() as error:
            if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
                raise OutOfMemoryError(_no_memory(tiles, self.device)) from error
            raise ModelError(f"model {self.spec.name!r} failed on {self.device}: {_first_line(error)}") from error
        finally:
            self._tired = True

    def _run_in_full(self, tiles: Pixels, thumbnails: Floats, ev: Floats) -> Pixels:
        """Run once more in fp32 what came out as NaN or infinity."""
        if self._in_full is None:
            height, width = tiles.shape[1:3]
            half = self.spec.precision == "fp16"
            hint = "its fp32 file must stand beside it, or use --precision fp32" if half else "nothing is written"
            raise NotFiniteError(
                f"model {self.spec.name!r} ({self.spec.precision}) gave NaN or infinity for a window of "
                f"{width}x{height} pixels; {hint}"
            )
        if self._full is None:
            log.warning("half precision is too narrow for a part of the pictures, which is computed in fp32")
            self._full = self._open(self._in_full, tiles)
        return self._full.run(tiles, thumbnails, ev)

    def _open(self, connect: Callable[[], T], tiles: Pixels) -> T:
        """Connect; memory that is short already for that is told apart from other faults."""
        try:
            return connect()
        except UnavailableError as error:
            if _OUT_OF_MEMORY.search(str(error)):
                raise OutOfMemoryError(_no_memory(tiles, self.device)) from error
            raise


class ModelSet:
    """The 8-bit and the 16-bit twin of one model, opened when first needed; safe to share between threads."""

    def __init__(self, options: RuntimeOptions | None = None) -> None:
        """Remember what to open.

        Raises:
            UsageError: The options name several devices (`model_sets` makes a set for each).
        """
        self.options = options or RuntimeOptions()
        self.options.require_one_device()
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
                # What the first twin found out about the device holds for the second, and is said once.
                device = next((model.device for model in self._opened.values()), self.options.device)
                self._opened[sample] = open_model(replace(self.options, device=device), sample=sample)
            for other, model in self._opened.items():
                if other != sample:
                    model.rest()  # or two of them would keep the memory of two
            return self._opened[sample]


def model_sets(options: RuntimeOptions) -> tuple[ModelSet, ...]:
    """Return a set of models for each device that the options name."""
    return tuple(ModelSet(replace(options, device=device)) for device in options.devices)


def open_model(options: RuntimeOptions | None = None, *, sample: SampleType = "uint8") -> OnnxModel:
    """Open a model on the device that the options ask for.

    Raises:
        ModelError: There is no such model, or its file is damaged, of another contract, or not in the asked precision.
        DeviceError: CUDA was asked for by name and cannot be used; the message names the cause.
        UsageError: The options name several devices.
    """
    options = options or RuntimeOptions()
    options.require_one_device()
    device = choose_device(options.device)
    try:
        return _open_on(device, options, sample)
    except DeviceError as error:
        if options.device != "auto":
            raise
        log.warning("running on the CPU although an NVIDIA device is present: %s", error)
        return _open_on("cpu", options, sample)


def _open_on(device: str, options: RuntimeOptions, sample: SampleType) -> OnnxModel:
    path = _find_file(options, sample, device)
    model = _open_file(path, device, options.threads)
    if model.spec.sample != sample:
        raise ModelError(f"{path} works on {model.spec.sample} samples, expected {sample}; name the 8-bit file M.onnx")
    log.info("model %s (%s, %s) on %s", model.spec.name, sample, model.spec.precision, device)
    return model


def _find_file(options: RuntimeOptions, sample: SampleType, device: str) -> Path:
    """Return the file of the asked precision: half precision is for 8-bit pictures, and by itself for GPUs alone."""
    path = find_model(options.model, sample)
    if sample != "uint8":
        return path
    if options.precision == "auto":
        return half_of(path) if device != "cpu" and half_of(path).is_file() else path
    wanted = full_of(path) if options.precision == "fp32" else half_of(path)
    if not wanted.is_file() and not Path(options.model).is_file():
        raise ModelError(f"the bundled model {options.model} comes in fp32 alone; use --precision auto or fp32")
    if not wanted.is_file():
        raise ModelError(
            f"--precision {options.precision} needs {wanted.name} beside {path}; "
            "`lumen export-onnx --precision fp16` writes both"
        )
    return wanted


def _open_file(path: Path, device: str, threads: int) -> OnnxModel:
    connect = partial(_make_session, path, device, threads)
    session = connect()
    spec = _spec_of(session, path)
    guarded = any(output.name == "finite" for output in session.get_outputs())
    in_full = None
    if spec.precision == "fp16" and full_of(path) != path and full_of(path).is_file():
        in_full = partial(_open_in_full, full_of(path), device, threads, spec)
    return OnnxModel(spec, device, connect, session, guarded=guarded, in_full=in_full)


def _open_in_full(path: Path, device: str, threads: int, half: ModelSpec) -> OnnxModel:
    model = _open_file(path, device, threads)
    if model.spec.weights_sha256 != half.weights_sha256 or model.spec.precision != "fp32":
        raise ModelError(f"{path} is not the fp32 form of {half_of(path).name}; export both again, or name it alone")
    return model


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
        _preload(ort)
        # TF32 would round fp32 to 11 bits without a word, and 16-bit pictures with it.
        facts = {"device_id": _index(device), "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": 0}
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


@cache
def _preload(ort: Any) -> None:
    """Load the CUDA libraries, once: what is printed meanwhile by other threads would be lost."""
    with contextlib.redirect_stdout(io.StringIO()) as said:  # it prints, and stdout carries results only
        ort.preload_dlls()
    log.debug("%s", said.getvalue().strip() or "CUDA libraries loaded")


def _session_options(ort: Any, threads: int) -> Any:
    options = ort.SessionOptions()
    options.enable_mem_pattern = False  # halves the working memory at no cost in time
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # be kind where cores are shared
    options.inter_op_num_threads = 1
    usable = usable_cores()
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
