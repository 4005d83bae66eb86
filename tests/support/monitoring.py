"""A watcher at one moment, as its page and metrics see it, and small pictures for its page."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from lumen.errors import Exit
from lumen.watching.ledger.status import WatchStatus
from lumen.watching.monitoring.frames import Frame
from lumen.watching.monitoring.last_day import PARTS, Part
from lumen.watching.monitoring.snapshot import Disk, Sign, Snapshot
from tests.support.ledger import NOW

COUNTS = {"done": 7, "failed": 2, "unsupported": 1, "skipped": 4, "ready": 3, "retry": 2, "working": 1}


def status_of(**facts: Any) -> WatchStatus:
    """Return what a ledger says."""
    plain: dict[str, Any] = {
        "state": "watching",
        "exit_code": Exit.OK,
        "problems": (),
        "reason": "",
        "facts": {"started_at": NOW - 100},
        "counts": COUNTS,
        "done_per_minute": 1,
        "done_last_hour": 5,
        "megapixels_last_hour": 2.5,
        "failed_since_start": 0,
        "stale": 0,
        "oldest": None,
        "folders": (),
        "errors": (),
    }
    return WatchStatus(**(plain | facts))


def sign_of(state: str = "watching", at: float = NOW, **paused: str) -> Sign:
    """Return what the loop of a watcher says."""
    return Sign(at=at, state=state, paused=paused, settling=9)


def snapshot_of(status: WatchStatus | None = None, **facts: Any) -> Snapshot:
    """Return a watcher at one moment."""
    plain: dict[str, Any] = {
        "now": NOW,
        "input": Path("/srv/cameras"),
        "output": Path("/srv/enhanced"),
        "sign": sign_of(),
        "is_current": True,
        "day": [(float(number * 900), Part()) for number in range(PARTS)],
        "disk": Disk(free=25 * 10**9, total=10**11),
    }
    return Snapshot(status=status or status_of(), **(plain | facts))


def frame_of(path: str, at: float = NOW, level: int = 30) -> Frame:
    """Return a small frame of grey pictures."""
    files = []
    for grey in (level, 3 * level):
        stream = io.BytesIO()
        Image.new("RGB", (40, 30), (grey, grey, grey)).save(stream, "jpeg")
        files.append(stream.getvalue())
    return Frame(path=path, at=at, before=files[0], after=files[1])
