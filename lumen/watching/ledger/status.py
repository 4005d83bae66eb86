"""The status of a watcher, read from its ledger: whether it is well, counts, speed, what waits, the last errors."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lumen.errors import Exit, NothingToDoError, OutputError
from lumen.files.lock import STATE
from lumen.files.state import look_at_database
from lumen.text import span
from lumen.watching.ledger.folders import COUNTED, FolderNumbers, add_functions, folder_numbers
from lumen.watching.ledger.ledger import NAME
from lumen.watching.ledger.schema import schema_of
from lumen.watching.ledger.sums import FACT, Sums

STALE_S = 600.0
SILENT_S = 60.0  # without a sign of life, which a watcher gives every few seconds
FAILURES_S = 86_400.0  # failures count for a day: an alarm that nobody can end is soon ignored
ERRORS = 10
STATUSES = ("done", "failed", "unsupported", "skipped", "ready", "retry", "working")


@dataclass(frozen=True, kw_only=True)
class FailedVersion:
    """A version that failed, or is of a kind that lumen does not read."""

    path: str
    status: str
    reason: str
    attempts: int
    at: float | None


@dataclass(frozen=True, kw_only=True)
class WaitingVersion:
    """The version that has waited longest."""

    path: str
    status: str
    reason: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class WatchStatus:
    """The status at one moment.

    Attributes:
        state: What the watcher last said of itself: `watching`, `paused`, `stopping`, `stopped`; `gone` where its
            process ended without saying so, `silent` where there was no sign of life for a minute.
        exit_code: 0 all is well, 3 files failed or wait too long, 6 paused or no watcher is alive.
        problems: Why it is not 0.
        reason: Why the watcher is paused.
        facts: What else the watcher recorded: its folder, process, host, start, last sign of life (`noted_at`), files
            that are settling.
        counts: Versions by status.
        done_per_minute: Over the last minute.
        done_last_hour: Versions done in the last hour.
        megapixels_last_hour: Their total size.
        failed_since_start: Versions that failed or were unsupported since the watcher started, in the last day at most.
        stale: Versions that wait for longer than asked.
        oldest: The version that has waited longest, None if none waits.
        folders: The numbers of each first folder below the watched one.
        errors: The last versions that failed or were unsupported, newest first.
        sums: Over all versions that were done; None in the ledger of an earlier version.
    """

    state: str
    exit_code: Exit
    problems: tuple[str, ...]
    reason: str
    facts: dict[str, Any]
    counts: dict[str, int]
    done_per_minute: int
    done_last_hour: int
    megapixels_last_hour: float
    failed_since_start: int
    stale: int
    oldest: WaitingVersion | None
    folders: tuple[FolderNumbers, ...]
    errors: tuple[FailedVersion, ...]
    sums: Sums | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def read_status(folder: Path, now: float, stale_s: float = STALE_S) -> WatchStatus:
    """Read the status of an output folder, whether a watcher is running or not; nothing is written.

    Args:
        folder: The output folder.
        now: Seconds since 1970.
        stale_s: How long a file may wait.

    Raises:
        NothingToDoError: There is no ledger.
        OutputError: It cannot be read.
    """
    with reading(folder) as (database, schema):
        return _read(database, now, stale_s, counted="folders" if schema > 2 else f"({COUNTED})")


@contextmanager
def reading(folder: Path) -> Iterator[tuple[sqlite3.Connection, int]]:
    """Yield the ledger of an output folder and its format, for reading alone.

    Raises:
        NothingToDoError: There is no ledger.
        OutputError: It cannot be read.
    """
    path = folder / STATE / NAME
    try:
        look_at_database(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NothingToDoError(f"there is no ledger {path}; name the output folder of a `lumen watch`") from error
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    try:
        with closing(_open(path)) as database:
            schema = schema_of(database, path)
            add_functions(database)
            yield database, schema
    except sqlite3.Error as error:
        raise OutputError(f"cannot read {path}: {error}") from error
    except (TypeError, ValueError, OverflowError, RecursionError) as error:  # of values that lumen did not write
        raise OutputError(f"cannot read {path}: it was altered ({error})") from error


def _open(path: Path) -> sqlite3.Connection:
    """Open for reading; in a read-only folder only a ledger that is not in use can be read."""
    place = path.absolute().as_uri()
    database = sqlite3.connect(f"{place}?mode=ro", uri=True, timeout=10)
    try:
        database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        database.close()
        return sqlite3.connect(f"{place}?mode=ro&immutable=1", uri=True)
    return database


def _read(database: sqlite3.Connection, now: float, stale_s: float, *, counted: str) -> WatchStatus:
    facts = {name: json.loads(value) for name, value in database.execute("SELECT name, value FROM facts")}
    folders = tuple(folder_numbers(database, now, counted=counted))
    per_minute, _ = _done_since(database, now - 60)
    last_hour, megapixels = _done_since(database, now - 3600)
    facts.pop("mark", None)
    sums = Sums.of_json(facts.pop(FACT, None))
    for name in ("noted_at", "started_at"):
        if name in facts:
            facts[name] = float(facts[name])
    state, reason = str(facts.pop("state", "stopped")), str(facts.pop("reason", ""))
    if state != "stopped":
        state = "gone" if _is_gone(facts) else "silent" if _is_silent(facts, now) else state
    if state != "paused":  # a reason of earlier
        reason = ""
    failed, stale = _failed_since(database, facts, now), _stale(database, now - stale_s)
    problems = _problems(failed, stale, stale_s)
    is_well = state == "watching" or (state == "stopped" and facts.get("oneshot") is True)  # until it is started again
    return WatchStatus(
        state=state,
        exit_code=Exit.OUTPUT if not is_well else Exit.SOME_FAILED if problems else Exit.OK,
        problems=problems if is_well else (_absence(state, facts, now), *problems),
        reason=reason,
        facts=facts,
        counts=_counts(database, folders),
        done_per_minute=per_minute,
        done_last_hour=last_hour,
        megapixels_last_hour=round(megapixels, 3),
        failed_since_start=failed,
        stale=stale,
        oldest=_oldest(database, now),
        folders=folders,
        errors=_errors(database),
        sums=sums,
    )


def _counts(database: sqlite3.Connection, folders: Sequence[FolderNumbers]) -> dict[str, int]:
    """Return the versions by status; those that have ended are counted already, and may be millions."""
    counts = dict.fromkeys(STATUSES, 0)
    for status in ("done", "failed", "unsupported"):
        counts[status] = sum(getattr(each, status) for each in folders)
    skipped = "SELECT COUNT(*) FROM versions WHERE finished_at IS NOT NULL AND status = 'skipped'"
    (counts["skipped"],) = database.execute(skipped).fetchone()
    waiting = "SELECT status, COUNT(*) FROM versions WHERE finished_at IS NULL GROUP BY status"
    return counts | dict(database.execute(waiting))


def _done_since(database: sqlite3.Connection, since: float) -> tuple[int, float]:
    query = (
        "SELECT COUNT(*), TOTAL(megapixels) FROM versions "
        "WHERE finished_at IS NOT NULL AND status = 'done' AND finished_at > ?"
    )
    count, megapixels = database.execute(query, (since,)).fetchone()
    return int(count), float(megapixels)


def _oldest(database: sqlite3.Connection, now: float) -> WaitingVersion | None:
    waiting = "SELECT path, status, reason, first_seen FROM versions WHERE finished_at IS NULL"
    row = database.execute(f"{waiting} ORDER BY first_seen, id LIMIT 1").fetchone()
    if row is None:
        return None
    path, status, reason, first_seen = row
    return WaitingVersion(
        path=os.fsdecode(path), status=status, reason=reason, seconds=round(max(0.0, now - first_seen), 3)
    )


def _errors(database: sqlite3.Connection) -> tuple[FailedVersion, ...]:
    query = (
        "SELECT path, status, reason, attempts, finished_at FROM versions "
        "WHERE finished_at IS NOT NULL AND status = ? ORDER BY finished_at DESC LIMIT ?"
    )
    rows = [row for status in ("failed", "unsupported") for row in database.execute(query, (status, ERRORS))]
    rows.sort(key=lambda row: -row[4])
    return tuple(
        FailedVersion(path=os.fsdecode(path), status=status, reason=reason, attempts=attempts, at=at)
        for path, status, reason, attempts, at in rows[:ERRORS]
    )


def _failed_since(database: sqlite3.Connection, facts: dict[str, Any], now: float) -> int:
    query = (
        "SELECT COUNT(*) FROM versions WHERE finished_at IS NOT NULL AND status IN ('failed', 'unsupported') "
        "AND finished_at >= ?"
    )
    since = max(facts.get("started_at", 0.0), now - FAILURES_S)
    return int(database.execute(query, (since,)).fetchone()[0])


def _stale(database: sqlite3.Connection, before: float) -> int:
    query = "SELECT COUNT(*) FROM versions WHERE finished_at IS NULL AND first_seen < ?"
    return int(database.execute(query, (before,)).fetchone()[0])


def _problems(failed: int, stale: int, stale_s: float) -> tuple[str, ...]:
    """Return what is wrong with files, in words."""
    found = [
        f"{failed} failed or unsupported since the start" if failed else "",
        f"{stale} waiting for more than {span(stale_s)}" if stale else "",
    ]
    return tuple(filter(None, found))


def _absence(state: str, facts: dict[str, Any], now: float) -> str:
    """Return why no file is started, in words."""
    return {
        "paused": "no file is started until the reason is gone",
        "stopping": "the watcher is stopping",
        "stopped": "no watcher is running: it was stopped",
        "gone": "no watcher is running: it was killed, or ended with the machine",
        "silent": f"no sign of life for {span(now - facts.get('noted_at', 0.0))}: the watcher hangs, or cannot write "
        "its ledger",
    }.get(state, f"the watcher says {state}")


def _is_silent(facts: dict[str, Any], now: float) -> bool:
    """Tell whether signs of life are missing; those of earlier versions were rare."""
    return "sign_s" in facts and now - facts.get("noted_at", 0.0) > SILENT_S + float(facts["sign_s"])


def _is_gone(facts: dict[str, Any]) -> bool:
    """Tell whether the watcher's process has ended, as far as this host can tell."""
    if os.name != "posix" or facts.get("host") != platform.node():
        return False
    try:
        os.kill(int(facts["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, LookupError, ValueError):
        return False
    return False
