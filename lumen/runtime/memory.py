"""How much memory is free, how large a window it allows, and that what is freed goes back to the system."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
from pathlib import Path

RAM_SHARE = 0.6
VRAM_SHARE = 0.7
CPU_WINDOW_PX = 1024  # beyond this a larger window saves little halo and only costs memory and cache misses
GPU_WINDOW_PX = 2048
MIN_WINDOW_PX = 128
FALLBACK_VRAM_BYTES = 4 << 30
FALLBACK_BYTES = 2 << 30  # where the system does not say: little enough for any machine that runs a desktop

# What `mallopt` of the GNU C library is told: by the variable that says it from outside, its number and our value.
_MALLOPT = {
    "MALLOC_MMAP_THRESHOLD_": (-3, 128 << 10),
    "MALLOC_TRIM_THRESHOLD_": (-1, 128 << 10),
    "MALLOC_ARENA_MAX": (-8, 2),
}
_CGROUPS = Path("/proc/self/cgroup")
_MEMINFO = Path("/proc/meminfo")
_MOUNT = Path("/sys/fs/cgroup")


def free_ram_bytes() -> int:
    """Return the memory this process may still take, in bytes.

    The least of what the system says is available and what each control group around the process leaves.
    """
    free = _system_free_bytes()
    return max(0, min([free, *_cgroup_free_bytes()]))


def free_vram_bytes(index: int = 0) -> int:
    """Return the free memory of CUDA device `index` in bytes, 4 GiB where nobody tells."""
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
    """Return the side of the largest square window a budget allows, within [MIN_WINDOW_PX, largest_px].

    Args:
        budget_bytes: Memory one inference may take.
        bytes_per_px: What the model takes per window pixel (`ModelSpec.bytes_per_px`).
        largest_px: Never more than this.
    """
    side = math.isqrt(budget_bytes // bytes_per_px)
    return max(MIN_WINDOW_PX, min(side, largest_px))


def return_freed_memory() -> bool:
    """Have the memory of freed pictures go back to the system, for the whole process; return whether that was said.

    Left alone, the GNU C library learns from each freed buffer to keep the next one of its size in its heap, up to 32
    MiB. Pictures of all sizes break that heap up, and a process that runs for long only grows. Where there is another C
    library, or whoever started the process has set its allocator, nothing is done.
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
    except (AttributeError, ValueError, OSError):  # Windows has no confstr, other libraries no such name
        return False


def _system_free_bytes() -> int:
    for line in _lines(_MEMINFO):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, macOS no such name
        return FALLBACK_BYTES


def _cgroup_free_bytes() -> list[int]:
    """Return what each memory control group from ours up to the root leaves, versions 1 and 2."""
    free = []
    for line in _lines(_CGROUPS):
        _, controllers, own = line.split(":", 2)
        if controllers == "":
            root, names = _MOUNT, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = _MOUNT / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # Inside a container the path is the host's and may not exist; its own group is then mounted at the root.
        folder = Path(own.strip()).relative_to("/")
        for group in (root / folder, *(root / parent for parent in folder.parents)):
            left = _group_free_bytes(group, *names)
            if left is not None:
                free.append(left)
    return free


def _group_free_bytes(group: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """Return limit - usage + page cache that the kernel gives back on demand; None for a group without a limit."""
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
