"""Sums over what was done: they grow with each end, and say the same as the versions themselves."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lumen.watching.ledger.ledger import NAME, Ledger
from lumen.watching.ledger.status import read_status
from lumen.watching.ledger.sums import DELAYS_S, FACT, Sums
from tests.support.ledger import NOW, add, turns, version
from tests.support.watching import outcome

ENDS = (("done", 0.5), ("done", 40.0), ("failed", 3.0), ("done", 1e6), ("done", -5.0), ("unsupported", 1.0))


def fill(ledger: Ledger) -> None:
    """End some versions; those done took as long as `ENDS` says, and one of them ended before it was seen."""
    add(ledger, **{str(number): version(mtime=number + 1) for number in range(len(ENDS))})
    for row, (status, delay) in zip(turns(ledger), ENDS, strict=True):
        ledger.finish(outcome(row.key, status, NOW + delay, seconds=0.25, megapixels=1.5))  # type: ignore[arg-type]


def sums_of(folder: Path) -> Sums | None:
    return read_status(folder, NOW).sums


def at_most(seconds: float) -> int:
    return sum(status == "done" and delay <= seconds for status, delay in ENDS)


def test_sums_are_those_of_the_versions_that_were_done(ledger: Ledger, tmp_path: Path) -> None:
    assert sums_of(tmp_path) is None
    fill(ledger)
    delays = tuple(map(at_most, DELAYS_S))
    assert delays[0] == 2 and delays[-1] == 3  # one had to wait for days
    assert sums_of(tmp_path) == Sums(done=4, delay_s=1_000_040.5, seconds=1.0, megapixels=6.0, delays=delays)


@pytest.mark.parametrize(
    "kept",
    [
        None,
        "7",
        '"text"',
        "[" * 100_000,
        json.dumps({"done": 4, "delays": [1]}),
        json.dumps({"done": 3, "delays": [0] * 13}),
    ],
    ids=["none", "a number", "text", "brackets", "other delays", "of fewer"],
)
def test_a_ledger_without_sums_that_fit_is_counted_again(tmp_path: Path, kept: str | None) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        fill(ledger)
        known = sums_of(tmp_path)
    with closing(sqlite3.connect(tmp_path / ".lumen" / NAME)) as database, database:
        database.execute("DELETE FROM facts WHERE name = ?", (FACT,))
        if kept is not None:
            database.execute("INSERT INTO facts VALUES (?, ?)", (FACT, kept))
    Ledger(tmp_path).close()
    assert known is not None and sums_of(tmp_path) == known


def test_an_end_that_is_not_recorded_is_not_added(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger)
    before = sums_of(tmp_path)
    add(ledger, more=version(mtime=99))
    (row,) = turns(ledger)
    ledger._database.execute("DROP TABLE folders")  # the next step of the same transaction fails
    with pytest.raises(Exception, match="no such table"):
        ledger.finish(outcome(row.key, "done", NOW))
    found = ledger.fact(FACT)
    assert Sums.of_json(found) == before
