"""What becomes of inputs: moved or removed where asked, never replaced, and never another version than was done."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lumen.config import WatchOptions
from lumen.watching.context import WatchContext
from lumen.watching.events import Event, Events
from lumen.watching.ledger.ledger import FileOutcome, Ledger
from lumen.watching.moving import hidden_place, move
from lumen.watching.observing.tree import Tree
from lumen.watching.retire import AGAIN_S, AT_ONCE, Retirement, is_to_retire
from lumen.watching.versions import Candidate
from tests.support.watching import FakeClock


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_file_moves_to_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "d" / "a.jpg", b"1")
    inode = path.stat().st_ino
    place = move(path, tmp_path / "done", "d/a.jpg")
    assert place == tmp_path / "done" / "d" / "a.jpg"
    assert (place.read_bytes(), place.stat().st_ino, path.exists()) == (b"1", inode, False)


def test_nothing_is_replaced_there(tmp_path: Path) -> None:
    for data in (b"1", b"2", b"3"):
        move(write(tmp_path / "a.jpg", data), tmp_path / "done", "a.jpg")
    found = {path.name: path.read_bytes() for path in (tmp_path / "done").iterdir()}
    assert found == {"a.jpg": b"1", "a~2.jpg": b"2", "a~3.jpg": b"3"}


@pytest.fixture
def other_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file can have a second name."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("other_disk")
def test_to_another_disk_a_file_is_copied_with_its_times(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", b"1")
    os.utime(path, ns=(1, 1_234_567_891))
    place = move(path, tmp_path / "done", "a.jpg")
    assert (place.read_bytes(), place.stat().st_mtime_ns, path.exists()) == (b"1", 1_234_567_891, False)
    assert move(write(path, b"2"), tmp_path / "done", "a.jpg").name == "a~2.jpg"
    assert sorted(each.name for each in (tmp_path / "done").iterdir()) == ["a.jpg", "a~2.jpg"]


def test_a_move_that_was_interrupted_is_finished_and_leaves_one_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", b"1")
    (tmp_path / "done").mkdir()
    os.link(path, tmp_path / "done" / "a.jpg")  # the end came before the first name was taken away
    assert move(path, tmp_path / "done", "a.jpg").name == "a.jpg"
    assert [each.name for each in (tmp_path / "done").iterdir()] == ["a.jpg"]
    assert not path.exists()


@pytest.mark.usefixtures("other_disk")
def test_a_copy_that_was_interrupted_is_finished_and_leaves_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.jpg", b"1")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only")))
        with pytest.raises(OSError, match="read-only"):
            move(path, tmp_path / "done", "a.jpg")
    assert path.exists()
    assert move(path, tmp_path / "done", "a.jpg").name == "a.jpg"
    assert [each.name for each in (tmp_path / "done").iterdir()] == ["a.jpg"]


class Bench:
    """A ledger with finished files, and who retires them."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.root = folder, folder / "in"
        self.root.mkdir(exist_ok=True)
        self.events: list[Event] = []
        self.clock = FakeClock()
        self.tree = Tree(self.root)
        self.tree.open()
        self.ledger = Ledger(folder / "out")
        self.options = WatchOptions(output=folder / "out", **options)
        events = Events(self.events.append)
        self.retirement = Retirement(
            WatchContext(tree=self.tree, ledger=self.ledger, options=self.options, events=events, clock=self.clock)
        )

    def finish(self, name: str, status: Any = "done") -> Path:
        """Have a file finished."""
        path = write(self.root / name)
        version = self.tree.look(name)
        assert version is not None
        self.ledger.add({name: Candidate(version=version, since=0.0, first_seen=0.0)})
        (row,) = self.ledger.next(1, 1e9, newest=False, longest_wait_s=1.0)
        is_due = is_to_retire(status, self.options)
        outcome = FileOutcome(key=row.key, status=status, finished_at=1.0, attempts=1, is_to_retire=is_due)
        self.ledger.finish(outcome)
        return path

    def left(self) -> int:
        return len(self.ledger.to_retire(1000, 0))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Any]:
    benches: list[Bench] = []

    def make(**options: Any) -> Bench:
        benches.append(Bench(tmp_path, **options))
        return benches[-1]

    yield make
    for each in benches:
        each.ledger.close()


def test_by_default_inputs_stay(bench: Any) -> None:
    stage = bench()
    paths = [stage.finish("a.jpg"), stage.finish("b.jpg", "failed")]
    assert not stage.retirement.work()
    assert all(path.exists() for path in paths)


def test_done_inputs_are_removed_and_failed_ones_are_not(bench: Any) -> None:
    stage = bench(on_success="delete")
    good, bad = stage.finish("a.jpg"), stage.finish("b.jpg", "failed")
    stage.retirement.work()
    assert (good.exists(), bad.exists(), stage.left()) == (False, True, 0)


def test_done_and_failed_inputs_go_to_their_folders(bench: Any, tmp_path: Path) -> None:
    stage = bench(on_success="move", archive=tmp_path / "done", failed_dir=tmp_path / "bad")
    for name, status in (("d/a.jpg", "done"), ("b.jpg", "failed"), ("c.gif", "unsupported"), ("e.jpg", "skipped")):
        stage.finish(name, status)
    stage.retirement.work()
    assert (tmp_path / "done" / "d" / "a.jpg").exists()
    assert {path.name for path in (tmp_path / "bad").iterdir()} == {"b.jpg", "c.gif"}
    assert {path.name for path in stage.root.rglob("*") if path.is_file()} == {"e.jpg"}


def test_another_version_than_was_done_is_left_alone(bench: Any) -> None:
    stage = bench(on_success="delete")
    path = stage.finish("a.jpg")
    path.write_bytes(b"a newer one")
    stage.retirement.work()
    assert path.read_bytes() == b"a newer one"
    assert stage.left() == 0


def test_another_version_than_was_done_keeps_its_name_all_the_time(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = bench(on_success="delete")
    stage.finish("a.jpg").write_bytes(b"a newer one, and its upload may go on")
    monkeypatch.setattr(Path, "rename", lambda *_: pytest.fail("renamed"))
    stage.retirement.work()
    assert stage.left() == 0


def test_what_could_not_be_removed_is_tried_again_later_and_told_in_one_line(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = bench(on_success="delete")
    for index in range(5):
        stage.finish(f"{index}.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(30, "read-only")))
        for _ in range(10):
            stage.retirement.work()
    assert stage.left() == 5
    assert [event.facts["files"] for event in stage.events if event.level == "warning"] == [5]
    stage.retirement.work()
    assert stage.left() == 5
    stage.clock.now += AGAIN_S
    stage.retirement.work()
    assert stage.left() == 0


def test_many_are_worked_off_in_parts(bench: Any) -> None:
    stage = bench(on_success="delete")
    for index in range(AT_ONCE + 5):
        stage.finish(f"{index}.jpg")
    assert stage.retirement.work()
    assert stage.left() == 5
    assert not stage.retirement.work()
    assert stage.left() == 0


def test_what_a_killed_process_had_still_to_do_is_done_and_only_what_is_asked_now(bench: Any) -> None:
    path = bench(on_success="delete").finish("a.jpg")
    bench(on_success="keep").retirement.work()
    assert path.exists()
    path = bench(on_success="delete").finish("b.jpg")
    bench(on_success="delete").retirement.work()
    assert not path.exists()


def replace(path: Path, data: bytes) -> None:
    """Bring a new upload under a name, in one step."""
    write(path.with_name("upload"), data).replace(path)


@pytest.mark.parametrize("options", [{"on_success": "delete"}, {"on_success": "move", "archive": Path("done")}])
def test_an_upload_in_the_very_moment_is_not_lost(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    stage = bench(**options)
    path = stage.finish("a.jpg")
    rename = Path.rename

    def late(self: Path, target: Path) -> Path:
        replace(path, b"newer")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", late)
        stage.retirement.work()
    assert [(each.name, each.read_bytes()) for each in stage.root.iterdir()] == [("a.jpg", b"newer")]
    assert not (tmp_path / "done").exists()
    assert stage.left() == 0


def test_an_upload_while_its_forerunner_leaves_keeps_its_name(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stage = bench(on_success="move", archive=tmp_path / "done")
    path = stage.finish("a.jpg")

    def slow(*arguments: Any) -> Path:
        replace(path, b"newer")
        return move(*arguments)

    monkeypatch.setattr("lumen.watching.retire.move", slow)
    stage.retirement.work()
    assert [(each.name, each.read_bytes()) for each in stage.root.iterdir()] == [("a.jpg", b"newer")]
    assert (tmp_path / "done" / "a.jpg").read_bytes() == b"x"


@pytest.mark.parametrize("links", [True, False])
def test_an_input_that_cannot_be_moved_has_its_name_again(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    write(tmp_path / "done")  # a file where a folder should be
    stage = bench(on_success="move", archive=tmp_path / "done")
    path = stage.finish("d/a.jpg")
    stage.retirement.work()
    assert [each.name for each in path.parent.iterdir()] == ["a.jpg"]
    assert stage.left() == 1


def test_what_was_leaving_when_the_process_was_killed_leaves_at_the_next_start(bench: Any, tmp_path: Path) -> None:
    def interrupted(options: dict[str, Any]) -> Path:
        path: Path = bench(**options).finish("a.jpg")
        path.rename(hidden_place(path))
        return path

    options = {"on_success": "move", "archive": tmp_path / "done"}
    path = interrupted(options)
    bench(**options).retirement.work()
    assert (tmp_path / "done" / "a.jpg").exists() and not list(path.parent.iterdir())
    path = interrupted(options)
    bench(on_success="keep").retirement.work()
    assert [each.name for each in path.parent.iterdir()] == ["a.jpg"]


@pytest.mark.usefixtures("other_disk")
def test_a_disk_without_modes_and_times_takes_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chmod", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EPERM, "not permitted")))
    path = write(tmp_path / "a.jpg", b"1")
    assert move(path, tmp_path / "done", "a.jpg").read_bytes() == b"1"
    assert not path.exists()


@pytest.mark.parametrize("bare", [True, False])
def test_inputs_whose_folder_has_gone_leave_when_it_is_back(bench: Any, tmp_path: Path, bare: bool) -> None:
    stage = bench(on_success="delete")
    path = stage.finish("a.jpg")
    stage.root.rename(tmp_path / "away")
    if bare:
        stage.root.mkdir()  # as the place of a mount
    stage.retirement.work()
    assert stage.left() == 1
    if bare:
        stage.root.rmdir()
    (tmp_path / "away").rename(stage.root)
    stage.clock.now += AGAIN_S
    stage.retirement.work()
    assert (stage.left(), path.exists()) == (0, False)


def test_a_slow_disk_does_not_keep_the_watcher_for_long(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = bench(on_success="move", archive=Path("done"))
    for index in range(20):
        stage.finish(f"{index}.jpg")

    def slow(path: Path, *_: Any) -> Path:
        stage.clock.now += 0.4
        path.unlink()
        return path

    monkeypatch.setattr("lumen.watching.retire.move", slow)
    turns = 1
    while stage.retirement.work():
        turns += 1
    assert (turns, stage.left()) == (7, 0)
