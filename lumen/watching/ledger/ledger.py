"""The ledger: what became of every version of every file, in an SQLite file that survives `kill -9`.

A version is recorded from the moment it settles. `ready`, `retry` (again later) and `working` have no `finished_at`;
`done`, `failed`, `unsupported` and `skipped` are final. Files wait here and not in memory.
For one thread.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from lumen.files.lock import STATE
from lumen.watching.ledger.folders import COUNT_ONE, FolderNumbers, folder_numbers
from lumen.watching.ledger.lights import KEEP_LIGHT, light_of
from lumen.watching.ledger.rows import COLUMNS, VersionStatus, path_in, row_of
from lumen.watching.ledger.rows import FileOutcome as FileOutcome
from lumen.watching.ledger.rows import FinalStatus as FinalStatus
from lumen.watching.ledger.rows import Row as Row
from lumen.watching.ledger.schema import DamagedLedgerError, connect, faults
from lumen.watching.versions import Candidate, Version

NAME = "watch.db"
REASON_CHARACTERS = 500
CTIMES_AT_ONCE = 1000
SUSPECT_AFTER = (
    3  # interruptions after which a file is a suspect: it may end the process, and is processed last and alone
)

_SAME = "path = ? AND size = ? AND mtime_ns = ? AND inode = ?"
_EXACT = f"SELECT id, status, ctime_ns FROM versions WHERE {_SAME} AND ctime_ns = ?"  # nearly always enough
_CLOSE = (  # one of the ctimes is not known, or there is nothing to compare
    f"SELECT id, status, ctime_ns FROM versions WHERE {_SAME} "
    "AND (ctime_ns = 0 OR ? = 0 OR finished_at IS NULL OR digest IS NULL) ORDER BY id DESC LIMIT 1"
)


class Ledger:
    """The ledger of one output folder. Every method is one transaction: if it raises, nothing has changed."""

    def __init__(self, folder: Path) -> None:
        """Open the ledger in `folder/.lumen/`, or make one.

        Raises:
            DamagedLedgerError: The file is not a ledger, or was written by a newer lumen.
            OutputError: It cannot be written (`DiskFullError` if the disk is full).
        """
        self.path = folder / STATE / NAME
        self._marks: set[str] = set()  # the last one written, and any that may or may not have been
        self._ctimes: dict[int, int] = {}  # found by `status_of`, to be recorded
        self._database = connect(self.path)

    def close(self) -> None:
        """Close it; its write-ahead log is merged into it."""
        with suppress(sqlite3.Error):
            self._database.close()

    def reopen(self) -> None:
        """Open it again after the disk was away; raises as `__init__`, and if another ledger is there now."""
        self.close()
        self._database = connect(self.path)
        if self._marks and str(self.fact("mark")) not in self._marks:
            self.close()
            # It has other rows: the files in work must not be recorded in them.
            raise DamagedLedgerError(
                f"{self.path} was replaced by another ledger; start lumen again to continue with that one"
            )

    # What was seen

    def status_of(self, relative: str, version: Version) -> VersionStatus | None:
        """Return the status of a version, None if it is unknown.

        A finished version whose ctime has changed since is unknown, if there is a digest to compare its content with.
        """
        ctime_ns, place = version.ctime_ns, (os.fsencode(relative), *_facts(version))
        with self._reading():
            row = self._database.execute(_EXACT, (*place, ctime_ns)).fetchone()
            row = row or self._database.execute(_CLOSE, (*place, ctime_ns)).fetchone()
        if row is None:
            return None
        key, status, recorded = row
        if not recorded and ctime_ns:
            self._ctimes[key] = ctime_ns
            if len(self._ctimes) >= CTIMES_AT_ONCE:
                self.keep_ctimes()
        return cast("VersionStatus", status)

    def keep_ctimes(self) -> None:
        """Record the ctimes of versions that `status_of` found without one, those of an earlier format."""
        if not self._ctimes:
            return
        with self._writing() as database:
            database.executemany(
                "UPDATE versions SET ctime_ns = ? WHERE id = ?", [(ctime, key) for key, ctime in self._ctimes.items()]
            )
        self._ctimes = {}

    def add(self, settled: Mapping[str, Candidate], *, skipped_at: float | None = None) -> list[str]:
        """Add settled versions as ready, replacing earlier versions that were not started.

        Args:
            settled: Versions by the path of their file.
            skipped_at: If given, they are not wanted, and final at once.

        Returns:
            The files of which an earlier version was dropped.
        """
        replaced = []
        status = "ready" if skipped_at is None else "skipped"
        with self._writing() as database:
            for relative, candidate in settled.items():
                path, version = os.fsencode(relative), candidate.version
                dropped = database.execute(
                    "DELETE FROM versions WHERE path = ? AND finished_at IS NULL AND status <> 'working' "
                    "AND (size, mtime_ns, inode) <> (?, ?, ?)",
                    (path, *_facts(version)),
                )
                replaced += [relative] if dropped.rowcount else []
                database.execute(
                    "INSERT INTO versions (path, size, mtime_ns, inode, ctime_ns, status, first_seen, finished_at) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (path, *_facts(version), version.ctime_ns, status, candidate.first_seen, skipped_at),
                )
        return replaced

    def forget(self, keys: Sequence[int]) -> None:
        """Delete versions that were replaced or removed before they were finished."""
        with self._writing() as database:
            database.executemany("DELETE FROM versions WHERE id = ?", [(key,) for key in keys])

    def forget_skipped(self, relative: str, version: Version, since: float) -> bool:
        """Delete a version that was skipped at or after a moment; return whether there was one."""
        with self._writing() as database:
            dropped = database.execute(
                f"DELETE FROM versions WHERE {_SAME} AND status = 'skipped' AND finished_at >= ?",
                (os.fsencode(relative), *_facts(version), since),
            )
        return dropped.rowcount > 0

    # What is processed next

    def next(self, count: int, now: float, *, newest: bool, longest_wait_s: float) -> list[Row]:
        """Return the versions to process next, in order; suspects come last, one at a time.

        Args:
            count: At most so many.
            now: Seconds since 1970.
            newest: Start with the newest file instead of the oldest.
            longest_wait_s: A retry that is due later than this is due now: the clock was set back.
        """
        order = f"ORDER BY mtime_ns {'DESC' if newest else 'ASC'}, id LIMIT ?"
        ready = f"SELECT {COLUMNS} FROM versions WHERE finished_at IS NULL AND status = 'ready' AND shy = ? {order}"
        again = (
            f"SELECT {COLUMNS} FROM versions WHERE finished_at IS NULL AND status = 'retry' AND shy = ? "
            f"AND (due <= ? OR due > ?) {order}"
        )
        with self._reading():
            for suspect, limit in ((0, count), (1, min(1, count))):
                rows = self._database.execute(ready, (suspect, limit)).fetchall()
                rows += self._database.execute(again, (suspect, now, now + longest_wait_s, limit)).fetchall()
                if rows:
                    found = sorted(
                        map(self._row, rows), key=lambda row: (row.version.mtime_ns, row.key), reverse=newest
                    )
                    return found[:limit]
        return []

    def next_due(self) -> float | None:
        """Return when the next retry is due, in seconds since 1970."""
        with self._reading():
            found = self._database.execute(
                "SELECT MIN(due) FROM versions WHERE finished_at IS NULL AND status = 'retry'"
            ).fetchone()
        return None if found is None else found[0]

    def unfinished(self) -> int:
        """Return how many versions wait or are in work."""
        with self._reading():
            return int(self._database.execute("SELECT COUNT(*) FROM versions WHERE finished_at IS NULL").fetchone()[0])

    def known_digests(self, relative: str, version: Version) -> tuple[bytes, ...]:
        """Return the digest of the version of a file that was finished last, if only inode or ctime tell them apart.

        Not those of earlier versions: the result is that of the last one.
        """
        with self._reading():
            row = self._database.execute(
                "SELECT size, mtime_ns, digest FROM versions WHERE path = ? AND finished_at IS NOT NULL "
                "ORDER BY id DESC LIMIT 1",
                (os.fsencode(relative),),
            ).fetchone()
        if row is None or row[2] is None or row[:2] != (version.size, version.mtime_ns):
            return ()
        return (row[2],)

    def begin(self, claims: Mapping[int, tuple[str, str]]) -> dict[int, str]:
        """Mark versions as in work; this is on the disk before the work starts.

        Args:
            claims: Paths of file and result by the key of the version.

        Returns:
            The versions left out because their result belongs to another file: that file by their key.
        """
        owned = {}
        with self._writing() as database:
            for key, (relative, target) in claims.items():
                path = os.fsencode(relative)
                database.execute("INSERT OR IGNORE INTO results VALUES (?, ?)", (os.fsencode(target), path))
                (owner,) = database.execute(
                    "SELECT path FROM results WHERE target = ?", (os.fsencode(target),)
                ).fetchone()
                if owner == path:
                    database.execute("UPDATE versions SET status = 'working' WHERE id = ?", (key,))
                else:
                    owned[key] = path_in(self.path, owner)
        return owned

    # What became of it

    def finish(self, outcome: FileOutcome) -> None:
        """Record the end of a version."""
        with self._writing() as database:
            database.execute(
                "UPDATE versions SET status = :status, attempts = :attempts, reason = :reason, "
                "finished_at = :finished_at, seconds = :seconds, megapixels = :megapixels, digest = :digest, "
                "retire = :is_to_retire WHERE id = :key",
                {**asdict(outcome), "reason": _short(outcome.reason)},
            )
            database.execute(COUNT_ONE, (outcome.key,))

    def retry(self, key: int, due: float, *, attempts: int, reason: str) -> None:
        """Schedule another attempt at a version."""
        with self._writing() as database:
            database.execute(
                "UPDATE versions SET status = 'retry', attempts = ?, reason = ?, due = ? WHERE id = ?",
                (attempts, _short(reason), due, key),
            )

    def give_back(self, keys: Sequence[int]) -> None:
        """Let versions that were in work wait again as if they had not been started."""
        with self._writing() as database:
            database.executemany("UPDATE versions SET status = 'ready' WHERE id = ?", [(key,) for key in keys])

    def adopt(self, key: int, digest: bytes) -> None:
        """Give a finished version inode and ctime of `key`, which turned out to be the same file; delete `key`."""
        with self._writing() as database:
            path, size, mtime_ns, inode, ctime_ns = database.execute(
                "SELECT path, size, mtime_ns, inode, ctime_ns FROM versions WHERE id = ?", (key,)
            ).fetchone()
            database.execute("DELETE FROM versions WHERE id = ?", (key,))
            database.execute(
                "UPDATE versions SET inode = ?, ctime_ns = ? WHERE id = (SELECT MAX(id) FROM versions WHERE path = ? "
                "AND size = ? AND mtime_ns = ? AND digest = ? AND finished_at IS NOT NULL)",
                (inode, ctime_ns, path, size, mtime_ns, digest),
            )

    def moved(self, key: int, version: Version) -> None:
        """Record the ctime of a file that lumen itself has renamed."""
        with self._writing() as database:
            database.execute("UPDATE versions SET ctime_ns = ? WHERE id = ?", (version.ctime_ns, key))

    def last_done(self, count: int) -> list[Row]:
        """Return the versions that were done last."""
        with self._reading():
            rows = self._database.execute(
                f"SELECT {COLUMNS} FROM versions WHERE finished_at IS NOT NULL AND status = 'done' "
                "ORDER BY finished_at DESC LIMIT ?",
                (count,),
            ).fetchall()
        return [self._row(row) for row in rows]

    def folders(self, now: float) -> list[FolderNumbers]:
        """Return the numbers of each first folder below the watched one; `now` in seconds since 1970."""
        try:
            with self._reading():
                return folder_numbers(self._database, now)
        except (TypeError, ValueError, OverflowError) as error:  # of values that lumen did not write
            raise DamagedLedgerError(f"{self.path} was altered ({error}); move it away and start again") from error

    def begun(self) -> list[str]:
        """Return the result paths of the versions in work."""
        with self._reading():
            rows = self._database.execute(
                "SELECT target FROM results WHERE path IN "
                "(SELECT path FROM versions WHERE status = 'working' AND finished_at IS NULL)"
            ).fetchall()
        return [path_in(self.path, row[0]) for row in rows]

    def requeue_interrupted(self) -> None:
        """Let versions that were in work when a process ended wait again.

        One that was in work repeatedly becomes a suspect, and is processed last and alone: it may end the process.
        """
        with self._writing() as database:
            database.execute(
                "UPDATE versions SET status = 'ready', interruptions = interruptions + 1, "
                "shy = interruptions + 1 >= ? WHERE status = 'working' AND finished_at IS NULL",
                (SUSPECT_AFTER,),
            )

    # Files that have yet to be moved or removed

    def to_retire(self, count: int, after: int) -> list[Row]:
        """Return finished versions whose files have yet to be moved or removed, with keys above `after`."""
        with self._reading():
            rows = self._database.execute(
                f"SELECT {COLUMNS} FROM versions WHERE retire = 1 AND id > ? ORDER BY id LIMIT ?", (after, count)
            ).fetchall()
        return [self._row(row) for row in rows]

    def mark_retired(self, keys: Sequence[int]) -> None:
        """Record that files were moved or removed, or are to stay."""
        with self._writing() as database:
            database.executemany("UPDATE versions SET retire = 0 WHERE id = ?", [(key,) for key in keys])

    # The steady light of folders

    def light(self, folder: str) -> tuple[bytes, int] | None:
        """Return the state of a folder's light, and the time of its newest file in nanoseconds; None if unknown."""
        with self._reading():
            return light_of(self._database, folder)

    def keep_light(self, folder: str, state: bytes, newest_ns: int) -> None:
        """Record the state of a folder's light."""
        with self._writing() as database:
            database.execute(KEEP_LIGHT, (os.fsencode(folder), state, newest_ns))

    # Facts about the watcher, for its status

    def write_facts(self, **facts: Any) -> None:
        """Record facts about the watcher, as JSON values."""
        mark = secrets.token_hex(8)
        self._marks.add(mark)
        with self._writing() as database:
            database.executemany(
                "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [(name, json.dumps(value)) for name, value in {**facts, "mark": mark}.items()],
            )
        self._marks = {mark}

    def fact(self, name: str) -> Any:
        """Return a fact, None if there is none or it cannot be read."""
        with self._reading():
            found = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        with suppress(ValueError, TypeError, RecursionError):
            return None if found is None else json.loads(found[0])
        return None

    def touch(self) -> None:
        """Check that the ledger can be written; raises `OutputError` if it cannot."""
        with self._writing() as database:
            database.execute(
                "INSERT INTO facts VALUES ('touches', '1') "
                "ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
            )

    def _row(self, values: Sequence[Any]) -> Row:
        return row_of(self.path, values)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with faults(self.path):
            yield

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with faults(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # after some errors SQLite has rolled back already
                    self._database.execute("ROLLBACK")
                raise


def _facts(version: Version) -> tuple[int, int, int]:
    return version.size, version.mtime_ns, version.inode


def _short(reason: str) -> str:
    """Return text of limited length that SQLite can store."""
    return reason[:REASON_CHARACTERS].encode("utf-8", "backslashreplace").decode("utf-8")
