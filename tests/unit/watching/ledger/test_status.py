"""What a ledger says to people who ask."""

from __future__ import annotations

import errno
import os
import platform
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lumen.errors import Exit, NothingToDoError, OutputError
from lumen.files.inputs import Parent
from lumen.watching.ledger.ledger import Ledger
from lumen.watching.ledger.status import _open, read_status
from tests.support.ledger import NOW, add, begin, turns, version
from tests.support.watching import outcome


def test_the_status_counts_and_names(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, a=version(), b=version(mtime=2), c=version(mtime=3), d=version(mtime=4))
    a, b, c, _ = turns(ledger)
    begin(ledger, a, b, c)
    ledger.finish(outcome(a.key, "done", NOW + 10, megapixels=2.0))
    ledger.finish(outcome(b.key, "failed", NOW + 20, attempts=5, reason="truncated"))
    ledger.write_facts(state="watching", reason="", settling=7, pid=os.getpid(), input="/in")
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
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ledger.write_facts(state="watching", pid=gone.pid, host=platform.node())
    status = read_status(tmp_path, NOW)
    assert (status.state, status.exit_code) == ("gone", Exit.OUTPUT)
    assert "killed" in status.problems[0]
    ledger.write_facts(host="another-machine")
    assert read_status(tmp_path, NOW).state == "watching"


def test_a_watcher_without_a_sign_of_life_is_not_said_to_watch(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write_facts(state="watching", pid=os.getpid(), host=platform.node(), noted_at=NOW, sign_s=10.0)
    assert read_status(tmp_path, NOW + 60).state == "watching"
    status = read_status(tmp_path, NOW + 600)
    assert (status.state, status.exit_code) == ("silent", Exit.OUTPUT)
    assert "no sign of life for 10 min" in status.problems[0]


@pytest.mark.parametrize(
    ("state", "oneshot", "code"),
    [
        ("watching", False, Exit.OK),
        ("paused", False, Exit.OUTPUT),
        ("stopping", False, Exit.OUTPUT),
        ("stopped", False, Exit.OUTPUT),
        ("stopped", True, Exit.OK),
        ("what", False, Exit.OUTPUT),
    ],
)
def test_only_who_watches_is_well(ledger: Ledger, tmp_path: Path, state: str, oneshot: bool, code: Exit) -> None:
    ledger.write_facts(state=state, oneshot=oneshot)
    status = read_status(tmp_path, NOW)
    assert (status.exit_code, len(status.problems)) == (code, int(code != Exit.OK))


def test_failures_count_since_the_start_and_for_a_day(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, a=version(), b=version(mtime=2))
    a, b = turns(ledger)
    ledger.finish(outcome(a.key, "failed", NOW))
    ledger.write_facts(state="watching", started_at=NOW + 1)
    assert read_status(tmp_path, NOW + 2).exit_code == Exit.OK
    ledger.finish(outcome(b.key, "unsupported", NOW + 3))
    status = read_status(tmp_path, NOW + 4)
    assert (status.exit_code, status.failed_since_start) == (Exit.SOME_FAILED, 1)
    assert status.problems == ("1 failed or unsupported since the start",)
    assert read_status(tmp_path, NOW + 3 + 86_401).exit_code == Exit.OK


def test_files_that_wait_too_long_are_no_well_being_and_silence_is(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write_facts(state="watching")
    assert read_status(tmp_path, NOW + 1e6, stale_s=60.0).exit_code == Exit.OK  # nothing came all night
    add(ledger, a=version(), b=version(mtime=2))
    assert read_status(tmp_path, NOW + 59, stale_s=60.0).exit_code == Exit.OK
    status = read_status(tmp_path, NOW + 61, stale_s=60.0)
    assert (status.exit_code, status.stale, status.problems) == (Exit.SOME_FAILED, 2, ("2 waiting for more than 60 s",))


def test_asking_disturbs_no_watcher(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, a=version())
    with ledger._writing() as database:  # which is in the middle of something
        database.execute("UPDATE versions SET reason = 'not yet'")
        status = read_status(tmp_path, NOW)
        assert status.oldest is not None and status.oldest.reason == ""
    files = {path.name for path in (tmp_path / ".lumen").iterdir()}
    with closing(_open(ledger.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM versions").fetchall()  # somebody who reads for long
        ledger.write_facts(state="watching")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM versions")
    assert {path.name for path in (tmp_path / ".lumen").iterdir()} == files


def test_the_status_needs_a_ledger_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(NothingToDoError, match="no ledger"):
        read_status(tmp_path, NOW)
    assert list(tmp_path.iterdir()) == []


def test_the_status_of_a_ledger_that_is_not_in_use_can_be_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    add(ledger, a=version())
    ledger.close()
    assert read_status(tmp_path, NOW).counts["ready"] == 1


def test_a_status_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(tmp_path).close()
    refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    monkeypatch.setattr(Parent, "facts", lambda *_: (_ for _ in ()).throw(refused))
    with pytest.raises(OutputError, match=r"cannot read .*watch\.db: Permission denied"):
        read_status(tmp_path, 0.0)


@pytest.mark.parametrize("kind", ["linked folder", "link", "linked log", "pipe"])
def test_the_status_is_read_through_no_link_and_waits_for_no_pipe(tmp_path: Path, kind: str) -> None:
    Ledger(tmp_path / "theirs").close()
    own = tmp_path / "out" / ".lumen"
    own.parent.mkdir()
    if kind == "linked folder":
        own.symlink_to("../theirs/.lumen")
    elif kind == "linked log":
        Ledger(own.parent).close()
        (own / "watch.db-wal").symlink_to("../../theirs/.lumen/watch.db")
    else:
        own.mkdir()
        if kind == "pipe":
            os.mkfifo(own / "watch.db")
        else:
            (own / "watch.db").symlink_to("../../theirs/.lumen/watch.db")
    with pytest.raises(OutputError, match=r"cannot read .*watch\.db: .*(link|pipe)"):
        read_status(own.parent, NOW)


def test_brackets_in_brackets_are_no_facts(ledger: Ledger, tmp_path: Path) -> None:
    ledger._database.execute("INSERT INTO facts VALUES ('input', ?)", ("[" * 100_000 + "]" * 100_000,))
    with pytest.raises(OutputError, match="it was altered"):
        read_status(tmp_path, NOW)
    assert ledger.fact("input") is None
