"""Sessions of onnxruntime that really run on the requested device."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from lumen.errors import DeviceError, UnavailableError, UnusableModelError
from lumen.runtime.devices import cuda_device_count, device_index, usable_cores, why_no_cuda

log = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` that lumen runs."""

    def run(
        self, output_names: Sequence[str], input_feed: Mapping[str, Any], run_options: Any = None, /
    ) -> Sequence[Any]:
        """Run the graph."""


def choose_device(asked: str) -> str:
    """Return the device to try, `cpu` or `cuda:N`, for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        DeviceError: CUDA was requested by name, and there is no such device or no CUDA build of onnxruntime.
    """
    if asked == "cpu":
        return asked
    device = asked if ":" in asked else "cuda:0"
    if device_index(device) < cuda_device_count() and CUDA in load_onnxruntime().get_available_providers():
        return device
    if asked != "auto":
        raise DeviceError(f"{asked} cannot be used: {why_no_cuda(device_index(device))}")
    if cuda_device_count():
        log.warning("running on the CPU although an NVIDIA device is present: %s", why_no_cuda())
    return "cpu"


def make_session(path: Path, device: str, threads: int) -> Any:
    """Return a session that really runs on `device`, or raise `DeviceError` or `UnusableModelError`."""
    ort = load_onnxruntime()
    # Level 4 silences the C++ messages about missing libraries; lumen reports them itself.
    ort.set_default_logger_severity(2 if log.isEnabledFor(logging.DEBUG) else 4)
    providers: list[Any] = [CPU]
    if device != "cpu":
        _preload(ort)
        # TF32 would silently round fp32, and so 16-bit pictures, to 11 bits.
        facts = {"device_id": device_index(device), "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": 0}
        providers = [(CUDA, facts), CPU]
    try:
        # Without fallback, which would print to stdout, hide the cause and continue silently.
        session = ort.InferenceSession(
            str(path), _session_options(ort, threads), providers=providers, enable_fallback=0
        )
    except native_errors() as error:
        if device != "cpu":
            raise DeviceError(f"{device} cannot be used: {first_line(error)}") from error
        raise UnusableModelError(f"{path} cannot be loaded as an ONNX model: {first_line(error)}") from error
    if device != "cpu" and CUDA not in session.get_providers():
        raise DeviceError(f"{device} cannot be used: {why_no_cuda(device_index(device))}")
    return session


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
    usable = usable_cores()
    # By default onnxruntime counts all cores of the machine, even those this process may not use.
    options.intra_op_num_threads = threads or (usable if usable < (os.cpu_count() or 1) else 0)
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
