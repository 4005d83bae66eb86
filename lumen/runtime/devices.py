"""Devices, and the reason why CUDA cannot be used.

onnxruntime silently falls back to the CPU when CUDA's libraries are missing. `get_available_providers` only returns
what was compiled in; the providers of a session show the truth, and the loader's error shows the cause.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib import metadata, util
from pathlib import Path

HELPERS_PER_GPU = 4  # a GPU is faster than one thread that compresses PNG files

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_PROVIDER = "onnxruntime_providers_cuda.dll" if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"


@cache
def cuda_device_count() -> int:
    """Return the number of NVIDIA devices that the driver shows; 0 without a driver."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def why_no_cuda(index: int = 0) -> str:
    """Return one line: why CUDA device `index` cannot be used, and what to do.

    Call it after a session came up without CUDA.
    """
    distributions = onnxruntime_distributions()
    if "onnxruntime-gpu" not in distributions:
        return "the installed onnxruntime has no CUDA support; install onnxruntime-gpu instead"
    if len(distributions) > 1:
        return f"{' and '.join(distributions)} overwrite each other; uninstall both, then install onnxruntime-gpu"
    count = cuda_device_count()
    if count == 0:
        return f"no NVIDIA device or driver was found ({_DRIVER}); install the driver or use --device cpu"
    if index >= count:
        return f"there is no device {index}, the driver shows {count}; use --device cuda:{count - 1} or lower"
    missing = missing_cuda_library()
    if missing is not None:
        return f"{missing} cannot be loaded; install the libraries with: pip install 'lumen-enhance[cuda]'"
    return "onnxruntime could not start CUDA; run again with -v to see its messages"


def missing_cuda_library() -> str | None:
    """Return the first library that prevents onnxruntime's CUDA part from loading, or None."""
    origin = util.find_spec("onnxruntime")
    if origin is None or origin.origin is None:
        return "onnxruntime"
    library = Path(origin.origin).parent / "capi" / _PROVIDER
    if not library.exists():
        return _PROVIDER
    try:
        # The CUDA part needs symbols from this library, which onnxruntime loads first.
        shared = library.with_name(library.name.replace("cuda", "shared"))
        ctypes.CDLL(str(shared), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(library))
    except OSError as error:
        name = re.match(r"(\S+\.so[.\d]*):", str(error))
        return name.group(1) if name else str(error)
    return None


def onnxruntime_distributions() -> list[str]:
    """Return the installed distributions with the module `onnxruntime`; more than one is a fault."""
    return sorted(set(metadata.packages_distributions().get("onnxruntime", [])))


def device_index(device: str) -> int:
    """Return N of `cuda:N`, or 0 without a number."""
    return int(device.partition(":")[2] or 0)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def helper_threads(devices: Sequence[str]) -> int:
    """Return the number of reading threads, and of writing threads, beside models on `devices`.

    When the CPU runs the model, there is no time to spare for more.
    """
    gpus = sum(device != "cpu" for device in devices)
    return max(1, min(HELPERS_PER_GPU * gpus, (os.cpu_count() or 1) // 4))
