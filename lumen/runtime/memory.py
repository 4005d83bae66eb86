"""Free memory, the window size it allows, and returning freed memory to the system."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
from pathlib import Path

from lumen.runtime.control_groups import lines_of, own_groups

RAM_SHARE = 0.6
VRAM_SHARE = 0.7
CPU_WINDOW_PX = 1024  # larger windows save little halo, and cost memory and cache misses
GPU_WINDOW_PX = 2048
MIN_WINDOW_PX = 128
FALLBACK_VRAM_BYTES = 4 << 30
FALLBACK_BYTES = 2 << 30  # if the system does not say: safe on any desktop machine

# Settings for `mallopt` of the GNU C library, by environment variable: number and value.
_MALLOPT = {
    "MALLOC_MMAP_THRESHOLD_": (-3, 128 << 10),
    "MALLOC_TRIM_THRESHOLD_": (-1, 128 << 10),
    "MALLOC_ARENA_MAX": (-8, 2),
}
_MEMINFO = Path("/proc/meminfo")
# By the version of control groups: limit, usage, and in `memory.stat` what can be reclaimed.
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def free_ram_bytes() -> int:
    """Return the memory that this process may still use, in bytes.

    It is the smallest of the available memory of the system and of each control group of the process.
    """
    return max(0, min([_system_free_bytes(), *_cgroup_free_bytes()]))


def free_vram_bytes(index: int = 0) -> int:
    """Return the free memory of CUDA device `index` in bytes, or 4 GiB if it is unknown."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return FALLBACK_VRAM_BYTES
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    name = visible[index] if index < len(visible) else str(index)
    command = [tool, "--query-gpu=memory.free", "--format=csv,noheader,nounits", "-i", name]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        return int(answer.split()[0]) << 20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return FALLBACK_VRAM_BYTES


def window_side_px(budget_bytes: int, bytes_per_px: int, *, largest_px: int) -> int:
    """Return the side of the largest square window for a memory budget, within [MIN_WINDOW_PX, largest_px]."""
    side = math.isqrt(budget_bytes // bytes_per_px)
    return max(MIN_WINDOW_PX, min(side, largest_px))


def return_freed_memory() -> bool:
    """Have the allocator return the memory of freed pictures to the system; return whether it was set so.

    By default the GNU C library keeps freed buffers of up to 32 MiB in its heap, once it has seen one of that size.
    Pictures of many sizes fragment the heap, and a long-running process only grows. With another C library, or if the
    environment configures the allocator, nothing is changed.
    """
    tuned = {*_MALLOPT, "GLIBC_TUNABLES"} & os.environ.keys()
    if tuned or not _has_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    answers = [mallopt(number, value) for number, value in _MALLOPT.values()]
    return answers == [1] * len(answers)


def _has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # Windows has no confstr, other C libraries lack the name
        return False


def _system_free_bytes() -> int:
    for line in lines_of(_MEMINFO):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, macOS lacks the name
        return FALLBACK_BYTES


def _cgroup_free_bytes() -> list[int]:
    """Return the free memory of each control group with a limit."""
    found = (_group_free_bytes(group, *_FILES[version]) for version, group in own_groups("memory"))
    return [left for left in found if left is not None]


def _group_free_bytes(group: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """Return limit - usage + reclaimable page cache; None for a group without a limit."""
    limits, used = lines_of(group / limit), lines_of(group / usage)
    if not limits or not used or not limits[0].strip().isdigit():  # version 2 says "max"
        return None
    cache = [int(line.split()[1]) for line in lines_of(group / "memory.stat") if line.startswith(reclaimable + " ")]
    return int(limits[0]) - int(used[0]) + sum(cache)
