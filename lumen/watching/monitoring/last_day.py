"""Throughput and delay over the last day, in parts of a quarter of an hour, from the ledger."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

PART_S: Final = 900
DAY_S: Final = 86_400
PARTS: Final = DAY_S // PART_S

_ENDED = f"""
SELECT CAST(finished_at / {PART_S} AS INTEGER) AS part, COUNT(*), AVG(MAX(0.0, finished_at - first_seen)),
    MAX(0.0, MAX(finished_at - first_seen)) FROM versions
WHERE finished_at IS NOT NULL AND status = ? AND finished_at >= ? GROUP BY part
"""


@dataclass(kw_only=True)
class Part:
    """What ended within a quarter of an hour.

    Attributes:
        done: Versions done.
        failed: Versions that failed or were unsupported.
        delay_s: Mean time of those done from being seen first to the result on the disk.
        longest_delay_s: The longest of them.
    """

    done: int = 0
    failed: int = 0
    delay_s: float = 0.0
    longest_delay_s: float = 0.0


class LastDay:
    """The parts of the last day. Each turn reads only those that may have changed since the one before."""

    def __init__(self) -> None:
        """Begin with nothing read; the first turn reads the whole day."""
        self._parts: dict[int, Part] = {}
        self._last: int | None = None

    def update(self, database: sqlite3.Connection, now: float) -> None:
        """Read what has ended; `now` in seconds since 1970. Raises `sqlite3.Error`."""
        last = int(now // PART_S)
        first = last - PARTS + 1
        since = first if self._last is None else max(first, min(self._last, last) - 1)
        parts = {number: part for number, part in self._parts.items() if first <= number < since}
        for status in ("done", "failed", "unsupported"):
            for number, count, mean, longest in database.execute(_ENDED, (status, since * PART_S)):
                part = parts.setdefault(number, Part())
                if status == "done":
                    part.done, part.delay_s, part.longest_delay_s = int(count), float(mean), float(longest)
                else:
                    part.failed += int(count)
        self._parts, self._last = parts, last

    def parts(self, now: float) -> list[tuple[float, Part]]:
        """Return the parts of the day that ends now, oldest first, with the time at which each begins."""
        last = int(now // PART_S)
        return [(float(n * PART_S), self._parts.get(n, Part())) for n in range(last - PARTS + 1, last + 1)]
