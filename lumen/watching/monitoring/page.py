"""The page of a watcher: its state, arrivals, the last day, failures, and the last pictures of each camera."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from lumen.pages.page import render
from lumen.pages.plots import Bar, round_ticks, time_plot
from lumen.text import counted, printable, span
from lumen.watching.ledger.folders import FolderNumbers
from lumen.watching.ledger.status import STALE_S
from lumen.watching.monitoring.frames import Frame
from lumen.watching.monitoring.last_day import PART_S, Part
from lumen.watching.monitoring.snapshot import Snapshot

OLD_S: Final = 180  # a page that was written so long ago warns of itself
RELOAD_S: Final = 10
QUIET_S: Final = 3600  # a folder in which nothing arrived for so long while something did in another is pointed out
MOST_FOLDERS: Final = 50
TIMES: Final = ("24 h", "18 h", "12 h", "6 h", "now")
DELAYS: Final = {0: "", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36_000: "10 h", 864_000: "10 d"}
STATES: Final = {
    "watching": ("Watching", "good"),
    "paused": ("Paused", "bad"),
    "stopping": ("Stopping", "warn"),
    "stopped": ("Stopped", "bad"),
    "silent": ("No sign of life", "bad"),
}

Values = Mapping[str, Any]


def page_values(seen: Snapshot, frames: Sequence[Frame]) -> Values:
    """Return what a page shows; equal values make equal pages, but for the time of writing."""
    status = seen.status
    title, tone = STATES.get(seen.state, (seen.state, "bad"))
    if seen.state == "stopped" and status.facts.get("oneshot") is True:
        title, tone = "Finished", "good"
    folders = sorted(status.folders, key=lambda each: -each.last_arrival)
    newest = folders[0].last_arrival if folders else 0.0
    return {
        "heading": f"lumen watch: {seen.input.name or seen.input}",
        "title": title,
        "tone": "warn" if tone == "good" and (status.failed_since_start or status.stale) else tone,
        "stopped": seen.state == "stopped",
        "input": str(seen.input),
        "output": str(seen.output.absolute()),
        "started": _time(status.facts.get("started_at")),
        "reasons": list(seen.sign.paused.values()),
        "notes": _notes(seen),
        "tiles": _tiles(seen),
        "folders": [
            _folder(each, seen.input, is_quiet=newest - each.last_arrival > QUIET_S)
            for each in sorted(folders[:MOST_FOLDERS], key=lambda each: each.name)
        ],
        "more_folders": max(0, len(folders) - MOST_FOLDERS),
        "errors": [(_time(each.at), each.path, each.status, each.reason) for each in status.errors],
        "throughput": _throughput(seen.day),
        "delays": _delays(seen.day),
        "frames": [
            (_title(folder, seen.input), [(each.path, each.path_below, _time(each.at), *each.sides) for each in own])
            for folder, own in groupby(frames, key=lambda each: each.folder)
        ],
    }


def watch_page(values: Values, kept: Mapping[str, Any], written: float) -> str:
    """Return the page as HTML.

    Args:
        values: From `page_values`.
        kept: The pictures of the frames, as the page keeps them.
        written: When it is written, in seconds since 1970.
    """
    return render(
        "watching/monitoring/page.html",
        **values,
        kept=kept,
        written=_time(written),
        epoch=round(written),
        old=OLD_S,
        reload=RELOAD_S,
    )


def _notes(seen: Snapshot) -> list[str]:
    """Return what a person should know, besides why the watcher is paused."""
    status = seen.status
    notes = []
    if seen.state == "silent":
        notes.append("The watcher hangs: its loop stands still. A restart may help; nothing is lost by it.")
    if not seen.is_current:
        notes.append("The ledger cannot be read at the moment; the numbers are older.")
    if status.failed_since_start:
        failed = counted(status.failed_since_start, "file")
        notes.append(f"{failed} failed or were unsupported since the start, or in the last day.")
    if status.stale:
        notes.append(f"{counted(status.stale, 'file')} waited for more than {span(STALE_S)}.")
    return notes


def _tiles(seen: Snapshot) -> list[tuple[str, str, str, str]]:
    """Return title, value, explanation and a time that belongs to it of the numbers that matter most."""
    status, counts = seen.status, seen.status.counts
    waiting = sum(counts[name] for name in ("ready", "retry", "working"))
    oldest, since = "none waits", ""
    if status.oldest is not None:
        reason = f"; {status.oldest.reason}" if status.oldest.reason else ""
        oldest = f"oldest: {printable(status.oldest.path)}{reason}; seen"
        since = _time(seen.now - status.oldest.seconds)
    done = [part for _, part in seen.day if part.done]
    pictures = sum(part.done for part in done)
    mean = sum(part.delay_s * part.done for part in done) / max(1, pictures)
    longest = max((part.longest_delay_s for part in done), default=0.0)
    ended = f"{counts['failed']:,} failed, {counts['unsupported']:,} unsupported"
    tiles = [
        ("Waiting", f"{waiting:,}", oldest, since),
        ("Settling", f"{seen.sign.settling:,}", "arrived, and may still be uploading", ""),
        ("Last hour", f"{status.done_last_hour:,}", f"done, {status.megapixels_last_hour:,.1f} megapixels", ""),
        ("Done in all", f"{counts['done']:,}", ended, ""),
        ("Delay", _short(mean) if done else "–", f"at most {_short(longest)} in the last day" if done else "", ""),
    ]
    if seen.disk is not None:
        share = f"of {_bytes(seen.disk.total)} ({seen.disk.free / max(1, seen.disk.total):.0%})"
        tiles.append(("Free for results", _bytes(seen.disk.free), share, ""))
    else:
        tiles.append(("Free for results", "–", "the output folder has gone", ""))
    return tiles


def _title(folder: str, root: Path) -> str:
    """Return what a first folder is called: that of files which lie in none has no name of its own."""
    return f"directly in {root.name or root}" if folder == "." else folder


def _folder(numbers: FolderNumbers, root: Path, *, is_quiet: bool) -> tuple[str, str, bool, tuple[str, ...]]:
    delay = "" if numbers.delay_s is None else _short(numbers.delay_s)
    longest = "" if numbers.longest_delay_s is None else _short(numbers.longest_delay_s)
    counts = (numbers.done, numbers.failed, numbers.unsupported, numbers.waiting, numbers.done_last_hour)
    cells = (*(f"{count:,}" for count in counts), delay, longest)
    return _title(numbers.name, root), _time(numbers.last_arrival), is_quiet, cells


def _throughput(day: Sequence[tuple[float, Part]]) -> Markup:
    bars = [
        Bar(front=part.done, back=part.done + part.failed, told=_told(at, _ended(part.done, part.failed)))
        for at, part in day
    ]
    done, failed = sum(part.done for _, part in day), sum(part.failed for _, part in day)
    ticks = {value: f"{value:g}" for value in round_ticks(0, max(4.0, *(bar.back for bar in bars)))}
    label = f"Files in each quarter of an hour of the last day: {_ended(done, failed)} in all"
    return time_plot(bars, ticks, TIMES, label)


def _ended(done: int, failed: int) -> str:
    return f"{done} done, {failed} failed or unsupported"


def _delays(day: Sequence[tuple[float, Part]]) -> Markup:
    """Return the delays on an axis of growing steps: one file that waited for hours must not flatten all others."""
    bars = [
        Bar(
            front=math.log1p(part.delay_s),
            back=math.log1p(part.longest_delay_s),
            told=_told(at, f"{_short(part.delay_s)} on average, {_short(part.longest_delay_s)} at most"),
        )
        for at, part in day
    ]
    longest = max(part.longest_delay_s for _, part in day)
    top = next((each for each in DELAYS if each >= max(longest, 10)), max(DELAYS))
    ticks = {math.log1p(each): text for each, text in DELAYS.items() if each <= top}
    label = f"Delay in each quarter of an hour of the last day, at most {_short(longest)}"
    return time_plot(bars, ticks, TIMES, label)


def _told(at: float, text: str) -> str:
    begin, end = (datetime.fromtimestamp(each, UTC).strftime("%H:%M") for each in (at, at + PART_S))
    return f"{begin}–{end} UTC: {text}"


def _time(seconds: Any) -> str:
    """Return a time in UTC, which the script shows as that of its reader; empty if there is none."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (TypeError, ValueError, OverflowError, OSError):  # lumen did not write it
        return ""


def _short(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)


def _bytes(amount: int) -> str:
    return f"{amount / 1e12:.2f} TB" if amount >= 1e12 else f"{amount / 1e9:.1f} GB"
