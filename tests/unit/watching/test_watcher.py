"""The state machine: what is taken, when, in which order, and what becomes of it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lumen.errors import OutputError
from lumen.files.inputs import entries_below
from lumen.watching.ledger.ledger import SUSPECT_AFTER
from lumen.watching.ledger.status import read_status
from lumen.watching.watcher import MOST_INTERRUPTIONS
from tests.support.watching import Stage, write_file

Make = Callable[..., Stage]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make stages on one folder, one after the other: the next goes on where the last was left."""
    stages: list[Stage] = []

    def stage(**options: Any) -> Stage:
        for each in stages:
            each.close()
        stages.append(Stage(tmp_path, **options))
        return stages[-1]

    yield stage
    for each in stages:
        each.close()


def test_a_file_is_taken_when_it_has_stood_still_at_the_start_too(make: Make) -> None:
    stage = make(settle_s=2.0)
    stage.write("a.jpg", mtime=1.0)  # however old it says it is
    assert stage.names(1.9) == []
    assert stage.names(1.0) == ["a.jpg"]
    assert stage.statuses() == {"a.jpg": "working"}


def test_without_an_event_the_next_scan_finds_a_file(make: Make) -> None:
    stage = make(settle_s=1.0, rescan_s=60.0)
    assert stage.names(5.0) == []
    stage.write("a.jpg")
    assert stage.names(50.0) == []
    assert stage.names(10.0) == ["a.jpg"]


def test_an_event_only_shortens_the_wait(make: Make) -> None:
    stage = make(settle_s=1.0, rescan_s=3600.0)
    stage.take(2.0)
    stage.write("a.jpg")
    stage.tell("a.jpg")
    assert stage.names(0.9) == []
    assert stage.names(0.5) == ["a.jpg"]


@pytest.mark.parametrize(("steady", "soon", "later"), [(False, ["b.jpg"], ["a.jpg"]), (True, [], ["a.jpg", "b.jpg"])])
def test_with_steady_light_a_file_waits_for_older_ones_that_settle(
    steady: bool, soon: list[str], later: list[str], make: Make
) -> None:
    stage = make(settle_s=2.0, steady=steady)
    stage.take(1.0)
    for name, mtime in (("b.jpg", 20.0), ("a.jpg", 10.0)):
        stage.write(name, mtime=mtime)
        stage.tell(name)
        assert stage.names(0.9) == []
    assert stage.names(0.5) == soon
    assert stage.names(1.0) == later


def test_with_steady_light_no_file_waits_for_long(make: Make) -> None:
    stage = make(settle_s=2.0, steady=True)
    stage.take(1.0)
    stage.write("b.jpg", mtime=20.0)
    stage.tell("b.jpg")
    for size in range(1, 20):  # an upload that claims to be old, and never settles
        stage.write("a.jpg", b"x" * size, mtime=10.0)
        stage.tell("a.jpg")
        if "b.jpg" in stage.names(1.0):
            break
    assert 6 <= size <= 9


def test_a_change_begins_the_settling_anew(make: Make) -> None:
    stage = make(settle_s=2.0)
    for size in range(1, 6):
        stage.write("a.jpg", b"x" * size)
        assert stage.names(1.5) == []
    assert stage.names(3.0) == ["a.jpg"]


def test_the_same_size_and_another_time_is_a_change(make: Make) -> None:
    stage = make(settle_s=2.0)
    stage.write("a.jpg", mtime=10.0)
    stage.take(1.0)
    stage.write("a.jpg", mtime=11.0)
    assert stage.names(2.0) == []
    assert stage.names(2.5) == ["a.jpg"]


def test_what_is_done_is_not_taken_again_after_a_restart(make: Make) -> None:
    stage = make(settle_s=1.0)
    stage.write("a.jpg")
    assert stage.done() == ["a.jpg"]
    stage = make(settle_s=1.0)
    stage.write("b.jpg")
    assert stage.done(100.0) == ["b.jpg"]
    assert stage.statuses() == {"a.jpg": "done", "b.jpg": "done"}


def test_a_new_version_is_taken_and_both_are_remembered(make: Make) -> None:
    stage = make(settle_s=1.0)
    stage.write("a.jpg", b"1", mtime=1.0)
    assert stage.done() == ["a.jpg"]
    stage.write("a.jpg", b"2", mtime=2.0)
    stage.tell("a.jpg")
    assert stage.done() == ["a.jpg"]
    assert stage.ledger._database.execute("SELECT COUNT(*) FROM versions WHERE status = 'done'").fetchone() == (2,)


def test_two_versions_of_a_name_are_never_in_work_at_once(make: Make) -> None:
    stage = make(settle_s=1.0)
    stage.write("a.jpg", b"1")
    (first,) = stage.take()
    stage.write("a.jpg", b"22")
    stage.tell("a.jpg")
    assert stage.names(10.0) == []
    stage.finish(first)
    (second,) = stage.take()
    assert (second.relative, second.version.size) == ("a.jpg", 2)


def test_a_version_that_is_replaced_before_its_turn_leaves_the_ledger(make: Make) -> None:
    stage = make(settle_s=1.0)
    stage.room = 0
    stage.write("a.jpg", b"1")
    stage.take()
    assert stage.statuses() == {"a.jpg": "ready"}
    stage.write("a.jpg", b"22")
    stage.room = 1
    assert stage.names(0.01) == []
    (settled,) = stage.take()
    assert settled.version.size == 2
    assert stage.ledger.unfinished() == 1


def test_a_file_that_goes_before_its_turn_is_told_and_forgotten(make: Make) -> None:
    stage = make(settle_s=1.0)
    stage.room = 0
    path = stage.write("a.jpg")
    stage.take()
    path.unlink()
    stage.room = 1
    assert stage.names() == []
    assert [event["path"] for event in stage.named("gone")] == ["a.jpg"]
    assert stage.statuses() == {}


def test_many_that_go_are_one_line(make: Make) -> None:
    stage = make(settle_s=1.0)
    stage.room = 0
    paths = [stage.write(f"{index}.jpg") for index in range(30)]
    stage.take()
    for path in paths:
        path.unlink()
    stage.room = 100
    stage.take()
    assert [event.get("files") for event in stage.named("gone")] == [30]


@pytest.mark.parametrize(("order", "names"), [("oldest", ["a", "b", "c"]), ("newest", ["c", "b", "a"])])
def test_the_order_is_that_of_the_files_times(make: Make, order: str, names: list[str]) -> None:
    stage = make(settle_s=1.0, order=order)
    for name, when in (("b", 20.0), ("c", 30.0), ("a", 10.0)):
        stage.write(f"{name}.jpg", mtime=when)
    stage.room = 1
    taken = []
    for _ in names:
        settled = stage.first()
        taken.append(settled.relative[0])
        stage.finish(settled)
    assert taken == names


def test_no_more_are_taken_than_there_is_room_for(make: Make) -> None:
    stage = make(settle_s=1.0)
    for index in range(10):
        stage.write(f"{index}.jpg")
    stage.take(0.5)
    stage.room = 3
    for settled in stage.files:
        stage.room -= settled is not None
        if stage.clock.now > 1010:
            break
    assert sorted(stage.statuses().values()) == ["ready"] * 7 + ["working"] * 3


def test_hidden_and_foreign_files_links_and_own_folders_are_not_taken(make: Make, tmp_path: Path) -> None:
    stage = make(settle_s=1.0, ignore=("*.thumb.jpg", "skip"))
    hidden = (".a.jpg.Xy12", ".b.jpg", ".hidden/d.jpg", "@eaDir/e.jpg")
    for name in (*hidden, "c.jpg.filepart", "f.thumb.jpg", "skip/g.jpg"):
        stage.write(name)
        stage.tell(name)
    (stage.root / "link.jpg").symlink_to(stage.write("real.jpg"))
    (stage.root / "linked").symlink_to(tmp_path)
    os.mkfifo(stage.root / "pipe.jpg")
    stage.write("jpg")
    assert stage.names(100.0) == ["real.jpg"]


def test_a_new_folder_is_looked_into_twice(make: Make) -> None:
    stage = make(settle_s=0.5, rescan_s=3600.0)
    stage.take(2.0)
    (stage.root / "d" / "e").mkdir(parents=True)
    stage.tell("d")
    stage.take(0.2)
    stage.write("d/e/late.jpg")  # after the first look, and before the folder is watched
    assert stage.names(3.0) == ["d/e/late.jpg"]


def test_lost_events_make_one_line_and_a_scan(make: Make) -> None:
    stage = make(settle_s=1.0, rescan_s=3600.0)
    stage.take(2.0)
    stage.write("a.jpg")
    for _ in range(5):
        stage.hints.scan("overflow")
        stage.take(0.5)
    assert stage.statuses() == {"a.jpg": "working"}
    assert len(stage.named("overflow")) == 1
    stage.take(100.0)
    stage.hints.scan("overflow")
    stage.take(1.0)
    assert len(stage.named("overflow")) == 2


def test_the_backlog_can_be_left_out_and_what_comes_meanwhile_is_not(make: Make) -> None:
    stage = make(settle_s=1.0, skip_backlog=True)
    stage.write("old.jpg")
    stage.write("new.jpg")
    stage.hints.file(str(stage.root / "new.jpg"))  # it came after the start
    assert stage.done() == ["new.jpg"]
    assert stage.statuses()["old.jpg"] == "skipped"
    assert stage.named("skipped")[0]["files"] == 1
    stage.write("old.jpg", b"another version")
    assert stage.done(100.0) == ["old.jpg"]


def test_a_done_file_with_another_mode_is_no_backlog(make: Make) -> None:
    make(settle_s=1.0)
    stage = make(settle_s=1.0)
    path = stage.write("a.jpg")
    assert stage.done() == ["a.jpg"]
    time.sleep(0.02)  # for another ctime
    path.chmod(0o600)
    stage = make(settle_s=1.0, skip_backlog=True)
    (settled,) = stage.take()
    assert settled.known_digests == (b"0" * 16,)
    stage.watcher.adopt(settled, b"0" * 16)
    assert stage.statuses() == {"a.jpg": "done"}
    assert stage.take(200.0) == []


def test_a_link_that_leads_to_another_folder_pauses(make: Make) -> None:
    stage = make(settle_s=1.0, rescan_s=5.0)
    stage.write("a.jpg")
    assert stage.done() == ["a.jpg"]
    real = stage.root.rename(stage.root.with_name("real"))
    stage.root.symlink_to(real)
    assert stage.done(100.0) == []
    assert stage.watcher.paused == {}  # moved, as its picture tells
    other = write_file(real.with_name("other") / "a.jpg", b"of others").parent
    stage.root.unlink()
    stage.root.symlink_to(other)
    assert stage.done(100.0) == []
    assert "--moved-from" in stage.watcher.paused["input"]
    stage.root.unlink()
    stage.root.symlink_to(real)
    stage.write("b.jpg")
    assert stage.done(100.0) == ["b.jpg"]


def test_what_was_skipped_before_its_event_was_read_is_taken(make: Make) -> None:
    stage = make(settle_s=1.0, skip_backlog=True)
    stage.write("a.jpg")
    stage.take(0.1)
    assert stage.statuses() == {"a.jpg": "skipped"}
    stage.tell("a.jpg")
    assert stage.done() == ["a.jpg"]


def test_what_comes_in_a_new_folder_while_the_backlog_is_skipped_is_taken(make: Make) -> None:
    stage = make(settle_s=1.0, skip_backlog=True, rescan_s=3600.0)
    stage.write("old/a.jpg")
    stage.write("new/b.jpg")
    stage.take(0.1)
    assert set(stage.statuses().values()) == {"skipped"}
    stage.tell("new")  # heard after the scan had passed
    assert stage.done() == ["new/b.jpg"]
    assert stage.statuses()["old/a.jpg"] == "skipped"


def test_waiting_for_room_takes_no_time_of_the_processor(make: Make) -> None:
    stage = make(settle_s=2.0)
    stage.watcher._scanner._settling._limit = 3
    for index in range(10):
        stage.write(f"{index}.jpg")
    before = stage.hints.waits
    stage.take(1.5)
    assert stage.hints.waits - before < 10


def test_a_folder_that_cannot_be_listed_is_told_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make(settle_s=1.0, rescan_s=10.0)
    stage.write("d/a.jpg")
    stage.write("b.jpg")

    def refuse(root: Path, relative: str) -> Any:
        if relative == "d":
            raise PermissionError(errno.EACCES, "Permission denied")
        return entries_below(root, relative)

    monkeypatch.setattr("lumen.watching.observing.tree.entries_below", refuse)
    assert stage.done(300.0) == ["b.jpg"]
    assert [event["path"] for event in stage.named("unreadable")] == ["d"]


def test_oneshot_ends_when_all_is_finished(make: Make) -> None:
    stage = make(settle_s=1.0, oneshot=True)
    stage.write("a.jpg")
    stage.write("d/b.jpg")
    taken = []
    for settled in stage.files:
        if settled is not None:
            stage.finish(settled)
            taken.append(settled.relative)
    assert sorted(taken) == ["a.jpg", "d/b.jpg"]
    assert stage.observations[-1].stopped


def test_a_truncated_file_is_tried_later_and_later_until_the_time_is_over(make: Make) -> None:
    stage = make(settle_s=2.0, incomplete_timeout_s=120.0, retries=5)
    stage.write("a.jpg")
    ages = []
    while True:
        settled = stage.first()
        ages.append(round(stage.clock.time() - settled.first_seen))
        assert settled.attempts == len(ages) - 1
        if not stage.watcher.try_again(settled, "truncated", is_incomplete=True):
            break
    assert len(ages) == 5
    assert ages[0] <= 3
    for age, expected in zip(ages[1:], (15, 30, 60, 120), strict=True):
        assert expected <= age - ages[0] <= expected + 2
    assert len(stage.named("retry")) == 4


def test_other_faults_are_tried_again_soon_and_seldom(make: Make) -> None:
    stage = make(settle_s=1.0, retries=3)
    stage.write("a.jpg")
    tries = 0
    while tries < 10:
        (settled,) = stage.take(30.0)
        tries += 1
        if not stage.watcher.try_again(settled, "memory", is_incomplete=False):
            break
    assert tries == 3


def test_a_file_that_was_truncated_and_grows_is_a_new_version(make: Make) -> None:
    stage = make(settle_s=1.0, retries=5)
    stage.write("a.jpg", b"1")
    (settled,) = stage.take()
    assert stage.watcher.try_again(settled, "truncated", is_incomplete=True)
    stage.write("a.jpg", b"22")
    stage.tell("a.jpg")
    (settled,) = stage.take()
    assert (settled.version.size, settled.attempts) == (2, 0)
    assert stage.ledger.unfinished() == 1


def test_a_deferred_file_does_not_count_attempts_and_is_told_once(make: Make) -> None:
    stage = make(settle_s=1.0, retries=1)
    stage.write("a.jpg")
    for _ in range(5):
        settled = stage.first(700.0)
        assert settled.attempts == 0
        stage.watcher.defer(settled, "its folder is read-only")
    assert len(stage.named("deferred")) == 1


def test_what_was_in_work_when_the_process_ended_is_taken_again(make: Make) -> None:
    stage = make(settle_s=1.0)
    stage.write("a.jpg")
    stage.take()
    stage = make(settle_s=1.0)
    assert stage.ledger.begun() == ["a.jpg"]
    stage.ledger.requeue_interrupted()
    (settled,) = stage.take()
    assert settled.attempts == 0


def test_what_may_end_the_process_comes_last_and_alone_and_is_given_up_in_the_end(make: Make) -> None:
    make(settle_s=1.0).write("poison.jpg", mtime=1.0)
    for _ in range(SUSPECT_AFTER):
        stage = make(settle_s=1.0)
        stage.take()
        stage.ledger.requeue_interrupted()
    stage = make(settle_s=1.0)
    stage.write("good.jpg", mtime=2.0)
    stage.room = 0
    stage.take()
    stage.room = 100
    good = stage.first()
    assert good.relative == "good.jpg"
    assert stage.names(10.0) == []
    stage.finish(good)
    (poison,) = stage.take()
    stage.write("other.jpg", mtime=3.0)
    assert stage.names(100.0) == []  # nothing beside it
    stage.ledger._database.execute("UPDATE versions SET interruptions = ?", (MOST_INTERRUPTIONS,))
    stage.watcher.give_back([poison])
    assert stage.done(100.0) == []
    assert stage.statuses()["poison.jpg"] == "failed"
    assert f"{MOST_INTERRUPTIONS} times" in stage.named("failed")[0]["reason"]


def test_two_files_of_one_result_never_overwrite_each_other(make: Make) -> None:
    stage = make(settle_s=1.0)
    stage.watcher._result_path = lambda relative: relative.rpartition(".")[0] + ".png"
    stage.write("a.jpg", mtime=1.0)
    stage.write("a.png", mtime=2.0)
    assert stage.done() == ["a.jpg"]
    assert stage.statuses() == {"a.jpg": "done", "a.png": "failed"}
    assert "already belongs to a.jpg" in stage.named("failed")[0]["reason"]


def test_a_folder_that_goes_pauses_and_nothing_is_forgotten(make: Make, tmp_path: Path) -> None:
    stage = make(settle_s=1.0)
    stage.room = 0
    stage.write("a.jpg")
    stage.take()
    stage.root.rename(tmp_path / "away")
    stage.room = 100
    assert stage.names() == []
    assert stage.statuses() == {"a.jpg": "ready"}
    assert "input" in stage.watcher.paused
    assert stage.observations[-1].stopped
    (tmp_path / "away").rename(stage.root)
    assert stage.done() == ["a.jpg"]
    told = [event.name for event in stage.events if event.name in ("paused", "resumed", "gone")]
    assert told == ["paused", "resumed"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_folder_that_can_be_seen_and_not_listed_pauses_without_haste(
    make: Make, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    stage = make(settle_s=1.0, rescan_s=5.0)
    stage.take(2.0)
    turns = 0
    with monkeypatch.context() as patch:

        def refuse(_path: object) -> object:
            nonlocal turns
            turns += 1
            raise OSError(number, os.strerror(number))

        patch.setattr("os.scandir", refuse)
        assert stage.names(60.0) == []
        assert "input" in stage.watcher.paused
        assert turns < 80
    stage.write("a.jpg")
    assert stage.done() == ["a.jpg"]


def test_a_folder_that_is_replaced_is_watched_anew(make: Make, tmp_path: Path) -> None:
    stage = make(settle_s=1.0, rescan_s=3600.0)
    stage.write("a.jpg")
    assert stage.done() == ["a.jpg"]
    stage.root.rename(tmp_path / "away")
    stage.write("b.jpg")
    assert stage.done() == ["b.jpg"]
    assert len(stage.observations) == 2
    assert "replaced" in stage.named("input")[0]["message"]


def test_the_same_content_with_another_inode_comes_with_the_digest_of_the_known_one(make: Make) -> None:
    stage = make(settle_s=1.0)
    path = stage.write("a.jpg", mtime=5.0)
    assert stage.done() == ["a.jpg"]
    copy = stage.write("b.txt", mtime=5.0)
    copy.replace(path)
    stage.tell("a.jpg")
    (settled,) = stage.take()
    assert settled.known_digests == (b"0" * 16,)
    stage.watcher.adopt(settled, b"0" * 16)
    assert stage.done(200.0) == []
    assert stage.ledger._database.execute("SELECT COUNT(*) FROM versions").fetchone() == (1,)


def test_a_ledger_that_cannot_be_written_pauses_and_loses_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make(settle_s=1.0)
    stage.write("a.jpg")
    with monkeypatch.context() as patch:

        def full(*_: object, **__: object) -> list[str]:
            raise OutputError("the disk is full")

        patch.setattr(stage.ledger, "add", full)
        assert stage.names(10.0) == []
    assert stage.watcher.paused == {"output": "the disk is full"}
    assert [event["reason"] for event in stage.named("paused")] == ["the disk is full"]
    stage.watcher.resume("output")
    assert stage.done() == ["a.jpg"]


def test_what_arrives_during_a_pause_is_counted_and_waits(make: Make) -> None:
    stage = make(settle_s=1.0)
    stage.take()
    stage.watcher.pause("space", "1 MB are free")
    for name in ("cam1/a.jpg", "cam1/b.jpg", "cam2/a.jpg"):
        stage.write(name)
        stage.tell(name)
    assert stage.names(70.0) == []
    assert stage.statuses() == dict.fromkeys(("cam1/a.jpg", "cam1/b.jpg", "cam2/a.jpg"), "ready")
    stage.watcher.write_status()
    status = read_status(stage.out, stage.clock.time())
    assert (status.state, status.counts["ready"]) == ("paused", 3)
    assert [(each.name, each.waiting) for each in status.folders] == [("cam1", 2), ("cam2", 1)]
    stage.watcher.resume("space")
    assert stage.named("resumed")[0]["waiting"] == 3
    assert len(stage.names()) == 3


def test_what_arrives_while_the_ledger_is_away_settles_and_is_counted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make(settle_s=1.0, rescan_s=20.0)
    stage.take()
    with monkeypatch.context() as patch:

        def full(*_: object, **__: object) -> list[str]:
            raise OutputError("the disk is full")

        patch.setattr(stage.ledger, "add", full)
        stage.write("a.jpg")
        assert stage.names(50.0) == []
        assert (stage.watcher.paused, stage.watcher.waiting) == ({"output": "the disk is full"}, 1)
    stage.watcher.resume("output")
    assert stage.done() == ["a.jpg"]


def test_memory_is_bounded_and_all_are_found(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.watching.observing.settling.LIMIT", 10)
    stage = make(settle_s=1.0)
    stage.watcher._scanner._settling._limit = 10
    for index in range(95):
        stage.write(f"{index % 7}/{index}.jpg")
    found: list[str] = []
    for _ in range(40):
        assert len(stage.watcher._scanner._settling) <= 10
        found += stage.done(0.5)
    assert len(found) == len(set(found)) == 95


def test_stopping_ends_it(make: Make) -> None:
    stage = make()
    next(stage.files)
    stage.watcher.stop()
    assert list(stage.files) == []
    assert stage.observations[-1].stopped


def test_a_listener_that_raises_is_harmless(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make(settle_s=1.0)

    def fault(_event: object) -> None:
        raise RuntimeError("no one is there")

    monkeypatch.setattr(stage.context.events, "_listener", fault)
    stage.write("a.jpg")
    assert stage.done() == ["a.jpg"]
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_a_backlog_that_went_takes_no_time(make: Make) -> None:
    stage = make(settle_s=1.0)
    for index in range(50):
        stage.write(f"{index}.jpg", mtime=float(index + 1))
    stage.room = 0
    stage.take()
    for path in stage.root.iterdir():
        path.unlink()
    stage.write("new.jpg")
    stage.tell("new.jpg")
    stage.room = 1
    assert stage.names(5.0) == ["new.jpg"]


def test_what_is_refused_takes_no_time_counts_and_goes_where_failed_files_go(make: Make, tmp_path: Path) -> None:
    stage = make(settle_s=1.0, failed_dir=tmp_path / "bad")
    stage.watcher._result_path = lambda _relative: "x.png"
    for index in range(20):
        stage.write(f"{index}.bmp", mtime=float(index + 1))
    stage.room = 1
    assert stage.done(5.0) == ["0.bmp"]
    assert stage.watcher.counts == {"done": 1, "failed": 19}
    assert len(stage.ledger.to_retire(100, 0)) == 19


def test_oneshot_does_not_wait_for_what_is_left_for_another_time(make: Make) -> None:
    stage = make(settle_s=1.0, oneshot=True)
    stage.write("a.jpg")
    stage.write("b.jpg")
    first, second = stage.take()
    stage.watcher.defer(first, "its folder is read-only")
    stage.finish(second)
    assert next(stage.files, "the end") == "the end"
    assert stage.watcher.deferred == 1
    assert stage.statuses() == {first.relative: "retry", second.relative: "done"}
