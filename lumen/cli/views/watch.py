"""The log of a watcher, one line or JSON object per event, stable enough for programs; and its status."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TextIO

from lumen.cli.state import State
from lumen.cli.streams import journal_prefix
from lumen.cli.views.console import print_json, print_line
from lumen.cli.views.tables import print_table
from lumen.errors import Exit, OutputError
from lumen.text import printable, span
from lumen.watching.events import Event, Level
from lumen.watching.ledger.folders import FolderNumbers
from lumen.watching.ledger.status import WatchStatus, read_status

_LEVELS = logging.getLevelNamesMapping()
_LEAST = {-1: logging.WARNING, 0: logging.INFO, 1: logging.DEBUG, 2: logging.DEBUG}
_FOLDERS = 30  # that are shown


class EventLog:
    """Writes events to stderr, stdout or a file; in its `with` block the log of lumen is written as events too."""

    def __init__(self, state: State, path: Path | None, *, as_json: bool) -> None:
        """Open the file; without one, lines go to stderr and JSON goes to stdout.

        Raises:
            OutputError: The file cannot be written.
        """
        self._least = _LEAST[state.verbosity]
        self._path = path
        self._json = as_json
        self._file = None if path is None else _open(path)
        self._is_to_reopen = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        logger = logging.getLogger("lumen")
        self._before = list(logger.handlers)
        logger.handlers = [_LogForwarder(self)]
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("lumen").handlers = self._before
        if self._file is not None:
            with suppress(OSError):  # its disk may be full, which was reported when it happened
                self._file.close()

    def reopen(self) -> None:
        """Reopen the file before the next line, because it was renamed. Safe in signal handlers."""
        self._is_to_reopen = True

    def tell(self, event: Event) -> None:
        """Write one event.

        Raises:
            OSError: It cannot be written.
        """
        if _LEVELS[event.level.upper()] < self._least:
            return
        now = datetime.now(UTC)
        with self._lock:
            if self._is_to_reopen and self._path is not None:
                self._is_to_reopen = False
                before, self._file = self._file, _open(self._path)
                if before is not None:
                    before.close()
            stream = self._file or (sys.stdout if self._json else sys.stderr)
            line = event_json(event, now) if self._json else event_line(event, now)
            stream.write(f"{journal_prefix(event.level, stream)}{line}\n")
            stream.flush()


class _LogForwarder(logging.Handler):
    """Writes the log records of lumen as events."""

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; if that fails, drop it."""
        level: Level = "debug" if record.levelno < logging.WARNING else "warning"
        facts = {"message": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            facts["error"] = repr(record.exc_info[1])
        try:
            self._log.tell(Event(name="log", level=level, facts=facts))
        except Exception:  # noqa: BLE001
            return  # logging must not fail the code that logs


def event_json(event: Event, now: datetime) -> str:
    """Return an event as one JSON object."""
    return json.dumps({"time": _stamp(now), "event": event.name, "level": event.level, **event.facts}, default=str)


def event_line(event: Event, now: datetime) -> str:
    """Return an event as one line: time, level where it matters, name, and facts as `key=value`.

    Values that are empty or contain spaces, quotes or `=` are quoted as in JSON, which options are anyway.

    >>> event_line(Event(name="gone", level="info", facts={"path": "a b.jpg"}), datetime(2026, 1, 2, tzinfo=UTC))
    '2026-01-02T00:00:00.000Z info gone path="a b.jpg"'
    """
    facts = " ".join(f"{key}={_value(value)}" for key, value in event.facts.items())
    return f"{_stamp(now)} {event.level} {event.name} {facts}".rstrip()


def show_status(state: State, folder: Path, *, stale_s: float, as_json: bool) -> Exit:
    """Print the status of an output folder.

    Returns:
        0 all is well, 3 files failed or wait for longer than `stale_s`, 6 paused or no watcher is alive.

    Raises:
        NothingToDoError: The folder has no ledger.
        OutputError: The ledger cannot be read.
    """
    now = time.time()
    status = read_status(folder, now, stale_s)
    if as_json:
        print_json(status.as_dict())
        return status.exit_code
    try:
        rows = _rows(status, now)
        folders = [_folder(each, now) for each in sorted(status.folders, key=lambda each: -each.last_arrival)]
        errors = [[_when(each.at), each.status, printable(each.path), str(each.reason)] for each in status.errors]
    except (TypeError, ValueError, OverflowError) as error:  # of values that lumen did not write
        raise OutputError(f"cannot show the ledger of {printable(folder)}: it was altered ({error})") from error
    print_table(state, ["", ""], rows, left=2)
    if len(folders) > 1 or (folders and folders[0][0] != "."):
        headers = ["folder", "done", "failed", "unsupported", "waiting", "last arrival", "delay"]
        print_table(state, headers, sorted(folders[:_FOLDERS]))
        if len(folders) > _FOLDERS:
            print_line(f"{len(folders) - _FOLDERS} more folders with earlier arrivals: --json lists all")
    if errors:
        print_table(state, ["last errors", "", "", ""], errors, left=4)
    return status.exit_code


def _rows(status: WatchStatus, now: float) -> list[list[str]]:
    facts = status.facts
    named = {"gone": "gone (not stopped)"}.get(status.state, status.state)
    rows = [["state", named + (f": {status.reason}" if status.reason else "")]]
    rows += [["problem", problem] for problem in status.problems]
    if "input" in facts:
        rows.append(["input", printable(facts["input"])])
    if "noted_at" in facts:
        rows.append(["sign of life", _ago(facts["noted_at"], now)])
    rows += [[name, str(count)] for name, count in status.counts.items() if count or name in ("done", "failed")]
    rows += [
        ["settling", str(facts.get("settling", 0))],
        ["done in the last minute", str(status.done_per_minute)],
        ["done in the last hour", f"{status.done_last_hour} ({status.megapixels_last_hour:.1f} megapixels)"],
    ]
    if status.oldest is not None:
        why = f", {status.oldest.reason}" if status.oldest.reason else ""
        oldest = f"{printable(status.oldest.path)} ({status.oldest.status}, {span(status.oldest.seconds)}{why})"
        rows.append(["oldest waiting", oldest])
    return rows


def _folder(numbers: FolderNumbers, now: float) -> list[str]:
    delay = ""
    if numbers.delay_s is not None and numbers.longest_delay_s is not None:
        delay = f"{numbers.delay_s:.1f} s, at most {numbers.longest_delay_s:.1f} s"
    counts = (numbers.done, numbers.failed, numbers.unsupported, numbers.waiting)
    return [printable(numbers.name), *map(str, counts), _ago(numbers.last_arrival, now), delay]


def _ago(seconds: float, now: float) -> str:
    return f"{span(max(0.0, now - seconds))} ago"


def _when(seconds: float | None) -> str:
    return "" if seconds is None else _stamp(datetime.fromtimestamp(seconds, UTC))


def _stamp(now: datetime) -> str:
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(value: Any) -> str:
    text = printable(json.dumps(value, default=str) if isinstance(value, dict | list) else value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in ' "=' for c in text) else text


def _open(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OutputError(f"cannot write the log {path}: {error.strerror}") from error
