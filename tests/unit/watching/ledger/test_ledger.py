"""What is written in the ledger holds, in order, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lumen.watching.ledger.ledger import SUSPECT_AFTER, Ledger
from lumen.watching.versions import Candidate, Version
from tests.conftest import ROOT
from tests.support.ledger import NOW, add, begin, turns, version
from tests.support.watching import outcome


def test_versions_come_in_the_order_of_their_time(ledger: Ledger) -> None:
    add(ledger, b=version(mtime=2), a=version(mtime=1), c=version(mtime=3))
    assert [row.relative for row in turns(ledger)] == ["a", "b", "c"]
    assert [row.relative for row in turns(ledger, newest=True)] == ["c", "b", "a"]
    assert [row.relative for row in turns(ledger, 2)] == ["a", "b"]


def test_a_version_is_known_by_all_that_makes_it(ledger: Ledger) -> None:
    add(ledger, a=version())
    assert ledger.status_of("a", version()) == "ready"
    for other in (version(size=2), version(mtime=2), version(inode=2)):
        assert ledger.status_of("a", other) is None
    assert ledger.status_of("b", version()) is None


def test_names_of_any_bytes_are_kept(ledger: Ledger) -> None:
    name = os.fsdecode(b"new\nline \xff\xfe.jpg")
    add(ledger, **{name: version()})
    (row,) = turns(ledger)
    assert row.relative == name
    begin(ledger, row)
    ledger.finish(outcome(row.key, "failed", NOW, reason=os.fsdecode(b"cannot \xff")))
    assert ledger.status_of(name, version()) == "failed"


def test_a_version_in_work_has_no_turn_until_it_is_given_back(ledger: Ledger) -> None:
    add(ledger, a=version())
    (row,) = turns(ledger)
    assert begin(ledger, row) == {}
    assert turns(ledger) == []
    ledger.give_back([row.key])
    assert [each.key for each in turns(ledger)] == [row.key]


def test_a_retry_waits_until_it_is_due_and_a_clock_set_back_does_not_stop_it(ledger: Ledger) -> None:
    add(ledger, a=version())
    (row,) = turns(ledger)
    begin(ledger, row)
    ledger.retry(row.key, NOW + 60, attempts=1, reason="truncated")
    assert turns(ledger) == []
    assert ledger.next_due() == NOW + 60
    (again,) = turns(ledger, now=NOW + 61)
    assert (again.attempts, again.reason) == (1, "truncated")
    assert len(turns(ledger, now=NOW - 1e6)) == 1


def test_a_newer_version_takes_the_place_of_one_that_waits_and_not_of_one_in_work(ledger: Ledger) -> None:
    add(ledger, a=version(size=1))
    assert add(ledger, a=version(size=2)) == ["a"]
    (row,) = turns(ledger)
    assert row.version.size == 2
    begin(ledger, row)
    assert add(ledger, a=version(size=3)) == []
    assert ledger.unfinished() == 2


def test_adding_a_version_again_changes_nothing(ledger: Ledger) -> None:
    add(ledger, a=version())
    (row,) = turns(ledger)
    ledger.retry(row.key, NOW, attempts=3, reason="truncated")
    assert add(ledger, a=version()) == []
    assert turns(ledger, now=NOW + 1)[0].attempts == 3


def test_a_result_belongs_to_one_file_for_ever(ledger: Ledger) -> None:
    add(ledger, **{"a.jpg": version(), "a.png": version()})
    one, two = turns(ledger)
    assert ledger.begin({one.key: (one.relative, "a.png")}) == {}
    ledger.finish(outcome(one.key, "done", NOW))
    assert ledger.begin({two.key: (two.relative, "a.png")}) == {two.key: one.relative}
    assert ledger.status_of(two.relative, version()) == "ready"


def test_an_interruption_is_no_attempt_but_is_counted(ledger: Ledger) -> None:
    add(ledger, a=version(), b=version(mtime=2))
    for count in range(1, SUSPECT_AFTER + 1):
        (row,) = turns(ledger, 1)
        begin(ledger, row)
        assert ledger.begun() == ["a"]
        ledger.requeue_interrupted()
        assert ledger.begun() == []
        a = next(each for each in [*turns(ledger), row] if each.relative == "a")
        if count < SUSPECT_AFTER:
            assert (a.interruptions, a.attempts) == (count, 0)
    assert [each.relative for each in turns(ledger)] == ["b"]  # it has its turn when nothing else waits
    ledger.finish(outcome(turns(ledger)[0].key, "done", NOW))
    assert [each.relative for each in turns(ledger)] == ["a"]


def test_twins_are_finished_versions_of_the_same_size_and_time(ledger: Ledger) -> None:
    add(ledger, a=version(inode=1))
    (row,) = turns(ledger)
    ledger.finish(outcome(row.key, "done", NOW, digest=b"one"))
    assert ledger.known_digests("a", version(inode=2)) == (b"one",)
    for other in (version(inode=2, size=2), version(inode=2, mtime=2)):
        assert ledger.known_digests("a", other) == ()
    assert ledger.known_digests("b", version(inode=2)) == ()


def done(ledger: Ledger, version_: Version, digest: bytes | None) -> None:
    add(ledger, a=version_)
    ledger.finish(outcome(turns(ledger)[0].key, "done", NOW, digest=digest))


def test_a_finished_version_with_another_ctime_is_compared_if_it_can_be(ledger: Ledger) -> None:
    done(ledger, version(ctime=5), b"one")
    assert ledger.status_of("a", version(ctime=5)) == "done"
    assert ledger.status_of("a", version()) == "done"  # the file system has none
    assert ledger.status_of("a", version(ctime=6)) is None
    assert ledger.known_digests("a", version(ctime=6)) == (b"one",)
    add(ledger, a=version(ctime=6))
    assert ledger.status_of("a", version(ctime=7)) == "ready"  # it will be read as it is then
    (row,) = turns(ledger)
    ledger.adopt(row.key, b"one")
    assert ledger.status_of("a", version(ctime=6)) == "done"
    assert ledger.unfinished() == 0


def test_a_version_without_digest_stays_as_it_ended(ledger: Ledger) -> None:
    done(ledger, version(ctime=5), None)
    assert ledger.status_of("a", version(ctime=6)) == "done"


def test_ctimes_that_were_not_known_are_filled_in(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    done(ledger, version(), b"one")
    assert ledger.status_of("a", version(ctime=5)) == "done"
    ledger.keep_ctimes()
    assert ledger.status_of("a", version(ctime=5)) == "done"
    assert ledger.status_of("a", version(ctime=6)) is None
    monkeypatch.setattr("lumen.watching.ledger.ledger.CTIMES_AT_ONCE", 1)
    done(ledger, version(size=2), b"two")
    assert ledger.status_of("a", version(size=2, ctime=7)) == "done"
    assert ledger.status_of("a", version(size=2, ctime=8)) is None


def test_only_the_last_finished_version_is_known(ledger: Ledger) -> None:
    done(ledger, version(ctime=5), b"one")
    done(ledger, version(size=2, ctime=6), b"two")
    assert ledger.known_digests("a", version(ctime=7)) == ()
    assert ledger.known_digests("a", version(size=2, ctime=7)) == (b"two",)


def test_a_file_that_lumen_renamed_is_not_compared(ledger: Ledger) -> None:
    done(ledger, version(ctime=5), b"one")
    ledger.moved(1, version(ctime=9))
    assert ledger.status_of("a", version(ctime=9)) == "done"


@pytest.mark.parametrize("stored", ["", "no json", "[1"])
def test_a_fact_that_cannot_be_read_is_none(ledger: Ledger, stored: str) -> None:
    ledger._database.execute("INSERT INTO facts VALUES ('odd', ?)", (stored,))
    assert ledger.fact("odd") is None
    assert ledger.fact("missing") is None


def test_adopting_gives_a_finished_version_its_new_inode(ledger: Ledger) -> None:
    add(ledger, a=version(inode=1))
    ledger.finish(outcome(turns(ledger)[0].key, "done", NOW, digest=b"one"))
    add(ledger, a=version(inode=2))
    ledger.adopt(turns(ledger)[0].key, b"one")
    assert ledger.status_of("a", version(inode=2)) == "done"
    assert ledger.status_of("a", version(inode=1)) is None
    assert ledger.unfinished() == 0


def test_what_has_still_to_be_moved_is_remembered(ledger: Ledger) -> None:
    add(ledger, a=version(), b=version(), c=version())
    for row in turns(ledger):
        ledger.finish(outcome(row.key, "done", NOW, is_to_retire=row.relative != "c"))
    rows = ledger.to_retire(10, 0)
    assert [row.relative for row in rows] == ["a", "b"]
    assert [row.relative for row in ledger.to_retire(10, rows[0].key)] == ["b"]
    ledger.mark_retired([rows[0].key])
    assert [row.relative for row in ledger.to_retire(10, 0)] == ["b"]


def test_a_transaction_that_fails_changes_nothing(ledger: Ledger) -> None:
    with pytest.raises(AttributeError):
        ledger.add({"a": Candidate(version=version(), since=0.0, first_seen=NOW), "b": None})  # type: ignore[dict-item]
    assert ledger.unfinished() == 0
    add(ledger, a=version())
    assert ledger.unfinished() == 1


def test_it_is_opened_again_as_it_was(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    add(first, a=version())
    first.reopen()
    assert first.unfinished() == 1
    first.close()
    second = Ledger(tmp_path)
    assert second.status_of("a", version()) == "ready"
    assert second._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    second.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from lumen.watching.ledger.ledger import Ledger
from lumen.watching.versions import Candidate
from lumen.watching.versions import Version
ledger = Ledger(Path(sys.argv[1]))
for index in range(100):
    ledger.add({f"{index}.jpg": Candidate(version=Version(1, 1, 1), since=0.0, first_seen=0.0)})
    print(index, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_written_survives_kill_9(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(line, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    ledger = Ledger(tmp_path)
    assert ledger.unfinished() == 100
    ledger.close()
