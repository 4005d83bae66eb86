"""What a page and metrics are made of: the state of a watcher at one moment."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lumen.watching.ledger.status import SILENT_S, WatchStatus
from lumen.watching.monitoring.last_day import Part

CAUSES: Final = ("input", "output", "space")  # of pauses, as `Watcher.paused` names them


@dataclass(frozen=True, kw_only=True)
class Sign:
    """What the loop of a watcher says of itself.

    Attributes:
        at: When, in seconds since 1970.
        state: `watching`, `paused`, `stopping` or `stopped`.
        paused: Why no file is started, by what is at fault.
        settling: Files that have yet to settle.
    """

    at: float
    state: str
    paused: Mapping[str, str]
    settling: int


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The disk of the output folder, in bytes."""

    free: int
    total: int

    @classmethod
    def of(cls, folder: Path) -> Disk | None:
        """Return that of a folder, None if it has gone."""
        with suppress(OSError):
            usage = shutil.disk_usage(folder)
            return cls(free=usage.free, total=usage.total)
        return None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A watcher at one moment.

    Attributes:
        now: The moment, in seconds since 1970.
        input: The watched folder.
        output: The output folder.
        sign: The last sign of its loop.
        status: What the ledger says, the last time that it could be read.
        is_current: Whether it could be read now.
        day: The parts of the last day with the time at which each begins, oldest first.
        disk: The disk of the output folder, None if it has gone.
    """

    now: float
    input: Path
    output: Path
    sign: Sign
    status: WatchStatus
    is_current: bool
    day: list[tuple[float, Part]]
    disk: Disk | None

    @property
    def state(self) -> str:
        """The state of the watcher; `silent` if its loop stands still."""
        is_silent = self.sign.state != "stopped" and self.now - self.sign.at > SILENT_S
        return "silent" if is_silent else self.sign.state
