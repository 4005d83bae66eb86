"""Numbers per first folder below the watched one, such as one for each camera.

What has ended is counted in a table of its own: the ledger grows for years, and its status is asked every minute.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass

HOUR_S = 3600.0
_SEPARATOR = os.fsencode(os.sep)

COUNTED = """
SELECT first_folder(path) AS name, SUM(status = 'done') AS done, SUM(status = 'failed') AS failed,
    SUM(status = 'unsupported') AS unsupported, MAX(first_seen) AS arrived
FROM versions WHERE finished_at IS NOT NULL AND status <> 'skipped' GROUP BY 1
"""
COUNT_ONE = """
INSERT INTO folders SELECT first_folder(path), status = 'done', status = 'failed', status = 'unsupported', first_seen
FROM versions WHERE id = ? ON CONFLICT (name) DO UPDATE SET done = done + excluded.done,
    failed = failed + excluded.failed, unsupported = unsupported + excluded.unsupported,
    arrived = MAX(arrived, excluded.arrived)
"""
_WAITING = "SELECT first_folder(path), COUNT(*), MAX(first_seen) FROM versions WHERE finished_at IS NULL GROUP BY 1"
_RECENT = """
SELECT first_folder(path), COUNT(*), AVG(finished_at - first_seen), MAX(finished_at - first_seen) FROM versions
WHERE finished_at IS NOT NULL AND status = 'done' AND finished_at > ? GROUP BY 1
"""


@dataclass(kw_only=True)
class FolderNumbers:
    """The numbers of one folder.

    Attributes:
        name: Its name; `.` stands for files directly in the watched folder.
        done: Versions done since the ledger began.
        failed: Versions that failed.
        unsupported: Versions of a kind that lumen does not read.
        waiting: Versions that wait or are in work.
        last_arrival: When the last version was first seen, in seconds since 1970.
        done_last_hour: Versions done in the last hour.
        delay_s: Mean time of these from being seen first to the result on the disk, None if there are none.
        longest_delay_s: The longest of them.
    """

    name: str
    done: int = 0
    failed: int = 0
    unsupported: int = 0
    waiting: int = 0
    last_arrival: float = 0.0
    done_last_hour: int = 0
    delay_s: float | None = None
    longest_delay_s: float | None = None


def first_folder(path: object) -> bytes:
    """Return the name of the first folder of a path, as it is stored; empty for a file without one.

    >>> first_folder(b"cam1/2026/a.jpg"), first_folder(b"a.jpg")
    (b'cam1', b'')
    """
    folder, separator, _ = path.partition(_SEPARATOR) if isinstance(path, bytes) else (b"", b"", b"")
    return folder if separator else b""


def add_functions(database: sqlite3.Connection) -> None:
    """Give a connection the function that the queries of this module use."""
    database.create_function("first_folder", 1, first_folder, deterministic=True)


def folder_numbers(database: sqlite3.Connection, now: float, *, counted: str = "folders") -> list[FolderNumbers]:
    """Return the numbers of all folders, by name.

    Args:
        database: The ledger, with `add_functions`.
        now: Seconds since 1970.
        counted: Where the ended versions are counted: the table, or `(COUNTED)` for ledgers of earlier formats.
    """
    found: dict[bytes, FolderNumbers] = {}

    def of(name: bytes) -> FolderNumbers:
        return found.setdefault(name, FolderNumbers(name=os.fsdecode(name) or "."))

    for name, done, failed, unsupported, arrived in database.execute(
        f"SELECT name, done, failed, unsupported, arrived FROM {counted}"
    ):
        numbers = of(name)
        numbers.done, numbers.failed, numbers.unsupported = int(done), int(failed), int(unsupported)
        numbers.last_arrival = float(arrived)
    for name, waiting, arrived in database.execute(_WAITING):
        numbers = of(name)
        numbers.waiting, numbers.last_arrival = waiting, max(numbers.last_arrival, float(arrived))
    for name, done, mean, longest in database.execute(_RECENT, (now - HOUR_S,)):
        numbers = of(name)
        numbers.done_last_hour = done
        numbers.delay_s, numbers.longest_delay_s = round(max(0.0, mean), 3), round(max(0.0, longest), 3)
    return [found[name] for name in sorted(found)]
