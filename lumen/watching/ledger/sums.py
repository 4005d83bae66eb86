"""Sums over all versions that were done: counters that go on after a restart, and are asked every few seconds.

They are a fact of the ledger, and grow in the transaction that records an end: to count again is to read all of it.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

FACT: Final = "sums"
DELAYS_S: Final = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0)

_WRITE = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_ONE = "SELECT MAX(0.0, finished_at - first_seen), seconds, megapixels FROM versions WHERE id = ?"
_ALL = f"""
SELECT COUNT(*), TOTAL(delay), TOTAL(seconds), TOTAL(megapixels), {", ".join(f"TOTAL(delay <= {s})" for s in DELAYS_S)}
FROM (SELECT MAX(0.0, finished_at - first_seen) AS delay, seconds, megapixels FROM versions
    WHERE finished_at IS NOT NULL AND status = 'done')
"""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums over all versions that were done since the ledger began.

    Attributes:
        done: How many.
        delay_s: Their time from being seen first to the result on the disk.
        seconds: Time spent on them.
        megapixels: Their size.
        delays: How many had at most each of `DELAYS_S`.
    """

    done: int = 0
    delay_s: float = 0.0
    seconds: float = 0.0
    megapixels: float = 0.0
    delays: tuple[int, ...] = (0,) * len(DELAYS_S)

    @classmethod
    def of_json(cls, value: Any) -> Self | None:
        """Return what a fact says, None if it says nothing of these delays.

        Raises:
            TypeError: lumen did not write it.
            ValueError: As before.
        """
        if not isinstance(value, dict) or len(value.get("delays", ())) != len(DELAYS_S):
            return None
        numbers = {name: float(value.get(name, 0)) for name in ("delay_s", "seconds", "megapixels")}
        return cls(done=int(value.get("done", 0)), delays=tuple(map(int, value["delays"])), **numbers)

    def plus(self, delay_s: float, seconds: float, megapixels: float) -> Sums:
        """Return the sums with one version more."""
        return Sums(
            done=self.done + 1,
            delay_s=round(self.delay_s + delay_s, 6),
            seconds=round(self.seconds + seconds, 6),
            megapixels=round(self.megapixels + megapixels, 6),
            delays=tuple(count + (delay_s <= upper) for count, upper in zip(self.delays, DELAYS_S, strict=True)),
        )


def add_done(database: sqlite3.Connection, key: int) -> None:
    """Add a version that was just recorded as done."""
    _write(database, (_recorded(database) or Sums()).plus(*database.execute(_ONE, (key,)).fetchone()))


def keep_sums(database: sqlite3.Connection) -> None:
    """Count again what an earlier version of lumen, which knows no sums, has recorded."""
    (done,) = database.execute("SELECT TOTAL(done) FROM folders").fetchone()
    if (_recorded(database) or Sums()).done != done:
        count, delay_s, seconds, megapixels, *delays = database.execute(_ALL).fetchone()
        numbers = {"delay_s": delay_s, "seconds": seconds, "megapixels": megapixels}
        _write(database, Sums(done=count, delays=tuple(map(int, delays)), **numbers))


def _recorded(database: sqlite3.Connection) -> Sums | None:
    found = database.execute("SELECT value FROM facts WHERE name = ?", (FACT,)).fetchone()
    try:
        return None if found is None else Sums.of_json(json.loads(found[0]))
    except (TypeError, ValueError, OverflowError, RecursionError):  # lumen did not write it
        return None


def _write(database: sqlite3.Connection, sums: Sums) -> None:
    database.execute(_WRITE, (FACT, json.dumps(asdict(sums))))
