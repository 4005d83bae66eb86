"""ONNX Runtime: the CPU and NVIDIA GPUs, and sessions that really run there."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from lumen.errors import DeviceError, UnavailableError
from lumen.runtime.cores import usable_cores
from lumen.runtime.devices import (
    CPU,
    ComputePrecision,
    Device,
    cuda_device_count,
    device_index,
    why_no_cuda,
)
from lumen.runtime.engine import EngineError, Value, unloadable
from lumen.runtime.memory import free_vram_bytes
from lumen.runtime.runs import run_cancellable

log = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"


_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}  # the others have numpy's names


class OnnxRuntimeSession:
    """A session of ONNX Runtime, with what its file says; see `lumen.runtime.engine.Session`."""

    def __init__(self, native: Any) -> None:
        """Wrap an `onnxruntime.InferenceSession`."""
        self._native = native
        self._arena = CUDA not in native.get_providers()
        self.metadata: Mapping[str, str] = native.get_modelmeta().custom_metadata_map
        self.inputs = {each.name: _declared(each) for each in native.get_inputs()}
        self.outputs = {each.name: _declared(each) for each in native.get_outputs()}

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Any], *, limit_s: float | None = None) -> Sequence[Any]:
        """Compute some outputs."""
        return self._run(outputs, feeds, load_onnxruntime().RunOptions(), limit_s)

    def trim(self, feeds: Mapping[str, Any]) -> None:
        """Trim the arena of the CPU, which happens at the end of a run."""
        options = load_onnxruntime().RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        if self._arena:
            with contextlib.suppress(EngineError):
                self._run(("brightness",), feeds, options)

    def _run(
        self, outputs: Sequence[str], feeds: Mapping[str, Any], options: Any, limit_s: float | None = None
    ) -> Sequence[Any]:
        options.only_execute_path_to_fetches = True

        def cancel() -> None:
            options.terminate = True

        def run() -> Sequence[Any]:
            found: Sequence[Any] = self._native.run(outputs, feeds, options)
            return found

        try:
            return run_cancellable(run, cancel, limit_s=limit_s)
        except native_errors() as error:
            raise EngineError(error, first_line(error)) from error


def find(name: str) -> Device:
    """Return `cpu`, `cuda` or `cuda:N`.

    Raises:
        DeviceError: There is no such NVIDIA device, or no CUDA build of onnxruntime.
    """
    if name == CPU.name:
        return CPU
    index = device_index(name)
    if index >= cuda_device_count() or CUDA not in load_onnxruntime().get_available_providers():
        raise DeviceError(f"{name} cannot be used: {why_no_cuda(index)}")
    return Device(
        name=f"cuda:{index}",
        engine="onnxruntime",
        kind="gpu",
        shares_memory=False,
        own_bytes=partial(free_vram_bytes, index),
        precisions=("fp16", "fp32"),
    )


def open_session(path: Path, device: Device, _: ComputePrecision, threads: int) -> OnnxRuntimeSession:
    """Return a session that really runs on `device`, or raise `DeviceError` or `UnusableModelError`."""
    ort = load_onnxruntime()
    # Level 4 silences the C++ messages about missing libraries; lumen reports them itself.
    # Warnings (2) are about the making of the file, such as initializers that nothing uses.
    ort.set_default_logger_severity(3 if log.isEnabledFor(logging.DEBUG) else 4)
    providers: list[Any] = [CPU_PROVIDER]
    if device != CPU:
        _preload(ort)
        # TF32 would silently round fp32, and so 16-bit pictures, to 11 bits.
        facts = {"device_id": device_index(device.name), "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": 0}
        providers = [(CUDA, facts), CPU_PROVIDER]
    try:
        # Without fallback, which would print to stdout, hide the cause and continue silently.
        session = ort.InferenceSession(
            str(path), _session_options(ort, threads), providers=providers, enable_fallback=0
        )
    except native_errors() as error:
        if device != CPU:
            raise DeviceError(f"{device} cannot be used: {first_line(error)}") from error
        raise unloadable(path, first_line(error)) from error
    if device != CPU and CUDA not in session.get_providers():
        raise DeviceError(f"{device} cannot be used: {why_no_cuda(device_index(device.name))}")
    return OnnxRuntimeSession(session)


def _declared(each: Any) -> Value:
    """Return what a graph says of an input or output."""
    dtype = _TYPES.get(each.type, each.type.removeprefix("tensor(").removesuffix(")"))
    return Value(dtype, tuple(each.shape))


@cache
def _preload(ort: Any) -> None:
    """Load the CUDA libraries, once, because output of other threads is lost meanwhile."""
    with contextlib.redirect_stdout(io.StringIO()) as said:  # it prints, but stdout carries results only
        ort.preload_dlls()
    log.debug("%s", said.getvalue().strip() or "CUDA libraries loaded")


def _session_options(ort: Any, threads: int) -> Any:
    options = ort.SessionOptions()
    options.enable_mem_pattern = False  # halves the working memory at no cost in time
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning wastes shared cores
    options.inter_op_num_threads = 1
    # By default onnxruntime takes all cores of the machine, even those this process may not use, and binds to them.
    options.intra_op_num_threads = threads or usable_cores()
    return options


def load_onnxruntime() -> Any:
    """Import onnxruntime on first use; `UnavailableError` if it cannot be loaded."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError(f"onnxruntime cannot be loaded ({error}); run `lumen doctor` for details") from error
    return onnxruntime


def native_errors() -> tuple[type[Exception], ...]:
    """Return the exception classes of onnxruntime, which have no common base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    found = [value for value in vars(native).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*found, ValueError, RuntimeError, MemoryError)


def first_line(error: Exception) -> str:
    """Return the first of the many lines of an onnxruntime error."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
