"""Devices and the facts about them, and the reason why CUDA cannot be used.

onnxruntime silently falls back to the CPU when CUDA's libraries are missing. `get_available_providers` only returns
what was compiled in; the providers of a session show the truth, and the loader's error shows the cause.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import util
from pathlib import Path
from typing import Literal

from lumen.extras import install_line
from lumen.runtime.cores import has_core_of_several, usable_cores
from lumen.runtime.memory import RAM_SHARE, VRAM_SHARE, free_ram_bytes

ComputePrecision = Literal["fp32", "fp16", "bf16"]

HELPERS_PER_GPU = 4  # a GPU is faster than one thread that compresses PNG files

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_PROVIDER = "onnxruntime_providers_cuda.dll" if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"


@dataclass(frozen=True, kw_only=True)
class Device:
    """A place where models run, and the facts that decide how.

    Attributes:
        name: As `--device` names it, with its number: `cpu`, `cuda:0`, `openvino:CPU`.
        engine: What computes there.
        kind: What it is: `cpu`, `gpu` or `npu`.
        label: Name of the product, for people.
        shares_memory: Whether it works in the memory of the computer.
        own_bytes: Returns the free bytes of its own memory, if it has one.
        precisions: What the hardware computes in, the fastest first.
        casts: Whether it computes an fp32 file in any of these. Otherwise half precision needs a file of its own.
    """

    name: str
    engine: Literal["onnxruntime", "openvino"]
    kind: Literal["cpu", "gpu", "npu"]
    label: str = ""
    shares_memory: bool = True
    own_bytes: Callable[[], int] = field(default=lambda: 0, compare=False, repr=False)
    precisions: tuple[ComputePrecision, ...] = ("fp32",)
    casts: bool = False

    def budget_bytes(self) -> int:
        """Return the memory that one inference may take now, in bytes."""
        return int(RAM_SHARE * free_ram_bytes() if self.shares_memory else VRAM_SHARE * self.own_bytes())

    def described(self) -> str:
        """Return the name with that of the product."""
        return f"{self.name} ({self.label})" if self.label else self.name

    def __str__(self) -> str:
        return self.name


CPU = Device(name="cpu", engine="onnxruntime", kind="cpu")  # is always there, and computes every model


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
        return f"{missing} cannot be loaded; install the libraries with: {install_line('cuda')}"
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
    from importlib import metadata  # only here: it takes long to load

    return sorted(set(metadata.packages_distributions().get("onnxruntime", [])))


def device_index(device: str) -> int:
    """Return N of `cuda:N`, or 0 without a number."""
    return int(device.partition(":")[2] or 0)


def helper_threads(devices: Sequence[Device]) -> int:
    """Return the number of reading threads, and of writing threads, beside models on `devices`.

    When the CPU runs the model, there is no time to spare for more than one, and for none where a control group grants
    the time of one core: it would be throttled.
    """
    beside = sum(device.kind != "cpu" for device in devices)
    if not beside and has_core_of_several():
        return 0
    return max(1, min(HELPERS_PER_GPU * beside, usable_cores() // 4))
