"""The parts of the last day, read a little at a time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from lumen.watching.ledger.ledger import Ledger
from lumen.watching.monitoring.last_day import _ENDED, DAY_S, PART_S, PARTS, LastDay, Part
from tests.support.ledger import NOW, add, turns, version
from tests.support.watching import outcome

START = float(NOW // PART_S * PART_S)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def end(ledger: Ledger, name: str, status: str, at: float) -> None:
    add(ledger, **{name: version(mtime=hash(name))})
    (row,) = turns(ledger)
    ledger.finish(outcome(row.key, cast("Any", status), at))


def seen(ledger: Ledger, day: LastDay, now: float) -> dict[float, Part]:
    day.update(ledger._database, now)
    parts = day.parts(now)
    assert len(parts) == PARTS
    assert [at for at, _ in parts] == sorted(at for at, _ in parts)
    return {at: part for at, part in parts if part != Part()}


def test_each_part_has_what_ended_in_it(ledger: Ledger) -> None:
    for number, (status, at) in enumerate(
        [("done", NOW + 2), ("done", NOW + 8), ("failed", NOW + 3), ("unsupported", NOW + 3), ("done", NOW + DAY_S / 2)]
    ):
        end(ledger, str(number), status, at)
    later = float((NOW + DAY_S / 2) // PART_S * PART_S)
    first = Part(done=2, failed=2, delay_s=5.0, longest_delay_s=8.0)
    second = Part(done=1, delay_s=DAY_S / 2, longest_delay_s=DAY_S / 2)
    day = LastDay()
    assert seen(ledger, day, NOW + DAY_S / 2) == {START: first, later: second}
    assert seen(ledger, day, NOW + DAY_S + PART_S) == {later: second}  # the first has become too old
    ledger.close()


def test_only_what_may_have_changed_is_read_again(ledger: Ledger) -> None:
    day = LastDay()
    end(ledger, "a", "done", NOW)
    assert seen(ledger, day, NOW)[START].done == 1
    end(ledger, "b", "done", NOW + 1)
    assert seen(ledger, day, NOW + PART_S)[START].done == 2  # the part was still open when it was read
    asked: list[float] = []
    ledger._database.set_trace_callback(lambda query: asked.append(float(query.split("finished_at >= ")[1].split()[0])))
    seen(ledger, day, NOW + 10 * PART_S)
    assert set(asked) == {START}
    asked.clear()
    seen(ledger, day, NOW + 10 * PART_S + 5)
    assert set(asked) == {START + 9 * PART_S}
    ledger.close()


def test_a_clock_that_is_set_back_is_no_fault(ledger: Ledger) -> None:
    day = LastDay()
    end(ledger, "a", "done", NOW)
    seen(ledger, day, NOW + DAY_S)
    assert seen(ledger, day, NOW)[START].done == 1
    ledger.close()


def test_it_is_answered_from_an_index(ledger: Ledger) -> None:
    plan = ledger._database.execute(f"EXPLAIN QUERY PLAN {_ENDED}", ("done", 0.0)).fetchall()
    assert any("USING INDEX finished" in step[3] for step in plan), plan
    with pytest.raises(sqlite3.Error):
        LastDay().update(sqlite3.connect(":memory:"), NOW)
    ledger.close()
