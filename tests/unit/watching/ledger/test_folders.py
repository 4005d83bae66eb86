"""Numbers per first folder: what is counted where, and what a damaged table gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.watching.ledger.folders import HOUR_S
from lumen.watching.ledger.ledger import Ledger
from lumen.watching.ledger.schema import DamagedLedgerError
from lumen.watching.ledger.status import read_status
from lumen.watching.versions import Candidate
from tests.support.ledger import NOW, add, begin, turns, version
from tests.support.watching import outcome


def test_each_first_folder_has_its_numbers(ledger: Ledger, tmp_path: Path) -> None:
    add(
        ledger, **{"cam1/a": version(), "cam1/b/c": version(mtime=2), "cam2/a": version(mtime=3), "d": version(mtime=4)}
    )
    first, deep, other, plain = turns(ledger)
    begin(ledger, first, deep, other, plain)
    ledger.finish(outcome(first.key, "done", NOW + 2))
    ledger.finish(outcome(deep.key, "done", NOW + 6))
    ledger.finish(outcome(other.key, "unsupported", NOW + 3))
    add(ledger, **{"cam2/new": version(mtime=9)})
    found = {each.name: each for each in ledger.folders(NOW + 10)}
    assert list(found) == [".", "cam1", "cam2"]
    assert (found["cam1"].done, found["cam1"].waiting, found["cam1"].last_arrival) == (2, 0, NOW)
    assert (found["cam1"].delay_s, found["cam1"].longest_delay_s, found["cam1"].done_last_hour) == (4.0, 6.0, 2)
    assert (found["cam2"].done, found["cam2"].unsupported, found["cam2"].waiting) == (0, 1, 1)
    assert (found["."].waiting, found["."].delay_s) == (1, None)
    late = {each.name: each for each in ledger.folders(NOW + 10 + HOUR_S)}["cam1"]
    assert (late.done, late.done_last_hour, late.delay_s) == (2, 0, None)
    assert read_status(tmp_path, NOW + 10).as_dict()["folders"][1]["name"] == "cam1"


def test_what_was_skipped_or_is_known_is_no_arrival(ledger: Ledger) -> None:
    add(ledger, **{"cam1/a": version()})
    (row,) = turns(ledger)
    ledger.finish(outcome(row.key, "done", NOW, digest=b"d"))
    before = ledger.folders(NOW)
    add(ledger, **{"cam1/a": version(inode=2)})
    (copy,) = turns(ledger)
    ledger.adopt(copy.key, b"d")
    assert ledger.folders(NOW) == before
    ledger.add({"cam1/old": Candidate(version=version(5), since=0.0, first_seen=NOW + 9)}, skipped_at=NOW)
    assert ledger.folders(NOW) == before


@pytest.mark.parametrize("change", ["done = 'many'", "arrived = 'never'", "name = 'text'"])
def test_numbers_that_lumen_did_not_write_are_no_crash(ledger: Ledger, change: str) -> None:
    add(ledger, **{"cam1/a": version(), "b": version(mtime=2)})
    for row in turns(ledger):
        ledger.finish(outcome(row.key, "done", NOW))
    ledger._database.execute(f"UPDATE folders SET {change} WHERE name = x'63616d31'")
    with pytest.raises(DamagedLedgerError, match="was altered"):
        ledger.folders(NOW)
