"""Free memory, the window size it allows, and returning freed memory to the system."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
from pathlib import Path

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
_CGROUPS = Path("/proc/self/cgroup")
_MEMINFO = Path("/proc/meminfo")
_MOUNT = Path("/sys/fs/cgroup")


def free_ram_bytes() -> int:
    """Return the memory that this process may still use, in bytes.

    It is the smallest of the available memory of the system and of each control group of the process.
    """
    free = _system_free_bytes()
    return max(0, min([free, *_cgroup_free_bytes()]))


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
    """Return the side of the largest square window for a memory budget, within [MIN_WINDOW_PX, largest_px].

    Args:
        budget_bytes: Memory that one inference may take.
        bytes_per_px: Memory of the model per window pixel (`ModelSpec.bytes_per_px`).
        largest_px: Upper bound.
    """
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
    for line in _lines(_MEMINFO):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, macOS lacks the name
        return FALLBACK_BYTES


def _cgroup_free_bytes() -> list[int]:
    """Return the free memory of each control group from ours up to the root, versions 1 and 2."""
    free = []
    for line in _lines(_CGROUPS):
        _, controllers, own = line.split(":", 2)
        if controllers == "":
            root, names = _MOUNT, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = _MOUNT / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # In a container the path is the host's and may not exist; the container's own group is mounted at the root.
        folder = Path(own.strip()).relative_to("/")
        for group in (root / folder, *(root / parent for parent in folder.parents)):
            left = _group_free_bytes(group, *names)
            if left is not None:
                free.append(left)
    return free


def _group_free_bytes(group: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """Return limit - usage + reclaimable page cache; None for a group without a limit."""
    limits, used = _lines(group / limit), _lines(group / usage)
    if not limits or not used or not limits[0].strip().isdigit():  # version 2 says "max"
        return None
    cache = [int(line.split()[1]) for line in _lines(group / "memory.stat") if line.startswith(reclaimable + " ")]
    return int(limits[0]) - int(used[0]) + sum(cache)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
