"""The ledger: what is written holds, in order, whatever happens, and people can read it."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen.errors import NothingToDoError, OutputError
from lumen.watching.ledger.ledger import NAME, SUSPECT_AFTER, FileOutcome, Ledger, Row
from lumen.watching.ledger.schema import SCHEMA, DamagedLedgerError
from lumen.watching.ledger.status import read_status
from lumen.watching.versions import Candidate, Version
from tests.conftest import ROOT

NOW = 1e9


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.close()


def version(size: int = 1, mtime: int = 1, inode: int = 1) -> Version:
    return Version(size, mtime, inode)


def add(ledger: Ledger, **files: Version) -> list[str]:
    return ledger.add({name: Candidate(version=each, since=0.0, first_seen=NOW) for name, each in files.items()})


def turns(ledger: Ledger, count: int = 100, now: float = NOW, *, newest: bool = False) -> list[Row]:
    return ledger.next(count, now, newest=newest, longest_wait_s=600.0)


def begin(ledger: Ledger, *rows: Row) -> dict[int, str]:
    return ledger.begin({row.key: (row.relative, row.relative) for row in rows})


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
    ledger.finish(
        FileOutcome(key=row.key, status="failed", finished_at=NOW, attempts=1, reason=os.fsdecode(b"cannot \xff"))
    )
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
    ledger.finish(FileOutcome(key=one.key, status="done", finished_at=NOW, attempts=1))
    assert ledger.begin({two.key: (two.relative, "a.png")}) == {two.key: one.relative}
    assert ledger.status_of(two.relative, version()) == "ready"


def test_an_interruption_is_no_attempt_but_is_counted(ledger: Ledger) -> None:
    add(ledger, a=version(), b=version(mtime=2))
    for count in range(1, SUSPECT_AFTER + 1):
        (row,) = turns(ledger, 1)
        begin(ledger, row)
        assert ledger.in_work_targets() == ["a"]
        ledger.interrupted()
        assert ledger.in_work_targets() == []
        a = next(each for each in [*turns(ledger), row] if each.relative == "a")
        if count < SUSPECT_AFTER:
            assert (a.interruptions, a.attempts) == (count, 0)
    assert [each.relative for each in turns(ledger)] == ["b"]  # it has its turn when nothing else waits
    ledger.finish(FileOutcome(key=turns(ledger)[0].key, status="done", finished_at=NOW, attempts=1))
    assert [each.relative for each in turns(ledger)] == ["a"]


def test_twins_are_finished_versions_with_another_inode_alone(ledger: Ledger) -> None:
    add(ledger, a=version(inode=1))
    (row,) = turns(ledger)
    ledger.finish(FileOutcome(key=row.key, status="done", finished_at=NOW, attempts=1, digest=b"one"))
    assert ledger.known_digests("a", version(inode=2)) == (b"one",)
    for other in (version(inode=1), version(inode=2, size=2), version(inode=2, mtime=2)):
        assert ledger.known_digests("a", other) == ()
    assert ledger.known_digests("b", version(inode=2)) == ()


def test_adopting_gives_a_finished_version_its_new_inode(ledger: Ledger) -> None:
    add(ledger, a=version(inode=1))
    ledger.finish(FileOutcome(key=turns(ledger)[0].key, status="done", finished_at=NOW, attempts=1, digest=b"one"))
    add(ledger, a=version(inode=2))
    ledger.adopt(turns(ledger)[0].key, b"one")
    assert ledger.status_of("a", version(inode=2)) == "done"
    assert ledger.status_of("a", version(inode=1)) is None
    assert ledger.unfinished() == 0


def test_what_has_still_to_be_moved_is_remembered(ledger: Ledger) -> None:
    add(ledger, a=version(), b=version(), c=version())
    for row in turns(ledger):
        ledger.finish(
            FileOutcome(key=row.key, status="done", finished_at=NOW, attempts=1, is_to_retire=row.relative != "c")
        )
    rows = ledger.to_retire(10, 0)
    assert [row.relative for row in rows] == ["a", "b"]
    assert [row.relative for row in ledger.to_retire(10, rows[0].key)] == ["b"]
    ledger.retired([rows[0].key])
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
from lumen.watching.ledger.ledger import FileOutcome, Ledger
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


def test_what_is_no_ledger_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / ".lumen" / NAME
    path.parent.mkdir()
    path.write_bytes(b"this is no database, and a long text at that " * 100)
    with pytest.raises(DamagedLedgerError, match="move it away"):
        Ledger(tmp_path)
    assert path.read_bytes().startswith(b"this is no database")


def test_the_ledger_of_a_newer_lumen_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    database = sqlite3.connect(tmp_path / ".lumen" / NAME)
    database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    database.close()
    with pytest.raises(DamagedLedgerError, match="newer"):
        Ledger(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another output folder"):
        Ledger(tmp_path / "file")


def test_the_status_counts_and_names(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, a=version(), b=version(mtime=2), c=version(mtime=3), d=version(mtime=4))
    a, b, c, _ = turns(ledger)
    begin(ledger, a, b, c)
    ledger.finish(FileOutcome(key=a.key, status="done", finished_at=NOW + 10, attempts=1, megapixels=2.0))
    ledger.finish(FileOutcome(key=b.key, status="failed", finished_at=NOW + 20, attempts=5, reason="truncated"))
    ledger.note(state="watching", reason="", settling=7, pid=os.getpid(), input="/in")
    status = read_status(tmp_path, NOW + 100)
    assert (status.state, status.facts["settling"]) == ("watching", 7)
    assert {name: count for name, count in status.counts.items() if count} == {
        "done": 1,
        "failed": 1,
        "ready": 1,
        "working": 1,
    }
    assert (status.done_per_minute, status.done_last_hour, status.megapixels_last_hour) == (0, 1, 2.0)
    assert read_status(tmp_path, NOW + 20).done_per_minute == 1
    assert status.oldest is not None and (status.oldest.path, status.oldest.seconds) == ("c", 100.0)
    (error,) = status.errors
    assert (error.path, error.reason, error.attempts) == ("b", "truncated", 5)
    assert status.as_dict()["errors"][0]["path"] == "b"


def test_a_watcher_that_was_killed_is_not_said_to_watch(ledger: Ledger, tmp_path: Path) -> None:
    import platform

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ledger.note(state="watching", pid=gone.pid, host=platform.node())
    assert read_status(tmp_path, NOW).state == "ended"
    ledger.note(host="another-machine")
    assert read_status(tmp_path, NOW).state == "watching"


def test_the_status_needs_a_ledger_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(NothingToDoError, match="no ledger"):
        read_status(tmp_path, NOW)
    assert list(tmp_path.iterdir()) == []


def test_the_status_of_a_ledger_that_is_not_in_use_can_be_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    add(ledger, a=version())
    ledger.close()
    assert read_status(tmp_path, NOW).counts["ready"] == 1


def test_large_ledgers_are_asked_by_their_indexes(ledger: Ledger) -> None:
    queries = {
        "status": "SELECT status FROM versions WHERE path = ? AND size = ? AND mtime_ns = ? AND inode = ?",
        "next": "SELECT id FROM versions WHERE finished_at IS NULL AND status = 'ready' AND shy = 0 "
        "ORDER BY mtime_ns ASC, id LIMIT 5",
        "newest": "SELECT id FROM versions WHERE finished_at IS NULL AND status = 'ready' AND shy = 0 "
        "ORDER BY mtime_ns DESC, id LIMIT 5",
        "replace": "DELETE FROM versions WHERE path = ? AND finished_at IS NULL AND status <> 'working' "
        "AND (size, mtime_ns, inode) <> (?, ?, ?)",
        "counts": "SELECT status, COUNT(*) FROM versions WHERE finished_at IS NOT NULL GROUP BY status",
        "retire": "SELECT id FROM versions WHERE retire = 1 AND id > 0 ORDER BY id LIMIT 5",
    }
    for name, query in queries.items():
        plan = ledger._database.execute(f"EXPLAIN QUERY PLAN {query}", [b"x"] * query.count("?")).fetchall()
        steps = [step[3] for step in plan]
        assert all("USING" in step and "INDEX" in step for step in steps if "SCAN" in step or "SEARCH" in step), (
            name,
            steps,
        )


def test_a_status_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(tmp_path).close()
    refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    monkeypatch.setattr(Path, "stat", lambda *_, **__: (_ for _ in ()).throw(refused))
    with pytest.raises(OutputError, match=r"cannot read .*watch\.db: Permission denied"):
        read_status(tmp_path, 0.0)


def test_a_ledger_that_grows_takes_no_more_memory(ledger: Ledger) -> None:
    assert ledger._database.execute("PRAGMA cache_size").fetchone() == (-256,)
