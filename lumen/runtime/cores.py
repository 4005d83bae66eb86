"""The cores that this process may use: the default of `--threads`."""

from __future__ import annotations

import os
from pathlib import Path

from lumen.runtime.control_groups import lines_of, own_groups


def usable_cores() -> int:
    """Return the number of cores that this process may use, at least 1.

    It is the smallest of its affinity and of the CPU time that each of its control groups grants, rounded up.
    """
    return max(1, min([_allowed_cores(), *_granted_cores()]))


def has_core_of_several() -> bool:
    """Tell whether a control group grants the CPU time of one core where threads could run on more.

    Whatever runs beside a busy thread then takes its time: all are stopped for the rest of the period.
    """
    return usable_cores() == 1 < _allowed_cores()


def _allowed_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _granted_cores() -> list[int]:
    """Return the cores of each control group with a quota."""
    found = (_granted(version, group) for version, group in own_groups("cpu"))
    return [cores for cores in found if cores is not None]


def _granted(version: int, group: Path) -> int | None:
    """Return quota / period, rounded up; None for a group without a quota."""
    if version == 2:
        words = " ".join(lines_of(group / "cpu.max")).split()  # "max 100000", or "150000 100000"
    else:
        words = [*lines_of(group / "cpu.cfs_quota_us"), *lines_of(group / "cpu.cfs_period_us")]  # -1 is none
    if len(words) != 2 or not all(word.strip().isdigit() for word in words) or int(words[1]) == 0:
        return None
    return -(-int(words[0]) // int(words[1]))
