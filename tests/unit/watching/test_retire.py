"""What becomes of inputs: moved or removed where asked, and never another version than was done."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lumen.config import WatchOptions
from lumen.files.inputs import Parent
from lumen.watching.context import WatchContext
from lumen.watching.events import Event, Events
from lumen.watching.ledger.ledger import Ledger
from lumen.watching.moving import Seized, hidden_name, move
from lumen.watching.observing.tree import Tree
from lumen.watching.retire import AGAIN_S, AT_ONCE, Retirement, is_to_retire
from lumen.watching.versions import Candidate, content_digest
from tests.support.watching import FakeClock, outcome, write_file


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
        context = WatchContext(
            tree=self.tree,
            ledger=self.ledger,
            options=self.options,
            events=Events(self.events.append),
            clock=self.clock,
        )
        self.retirement = Retirement(context)

    def finish(self, name: str, status: Any = "done") -> Path:
        """Have a file finished."""
        path = write_file(self.root / name)
        version = self.tree.look(name)
        assert version is not None
        self.ledger.add({name: Candidate(version=version, since=0.0, first_seen=0.0)})
        (row,) = self.ledger.next(1, 1e9, newest=False, longest_wait_s=1.0)
        self.ledger.finish(outcome(row.key, status, 1.0, is_to_retire=is_to_retire(status, self.options)))
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


def test_a_file_rewritten_with_its_old_time_stays(bench: Any) -> None:
    stage = bench(on_success="delete")
    for name in ("kept.jpg", "mode.jpg"):
        stage.finish(name)
    stage.ledger._database.execute("UPDATE versions SET digest = ?", (content_digest(io.BytesIO(b"x")),))
    kept = stage.root / "kept.jpg"
    before = kept.stat()
    time.sleep(0.02)  # for another ctime
    kept.write_bytes(b"y")
    os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))
    (stage.root / "mode.jpg").chmod(0o600)
    assert not stage.retirement.work()
    assert [path.name for path in stage.root.iterdir()] == ["kept.jpg"]
    assert stage.left() == 0


def test_a_file_that_is_given_back_is_the_same_to_the_next_scan(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "full").touch()  # no folder can be made there
    stage = bench(on_success="move", archive=tmp_path / "full" / "archive")
    stage.finish("a.jpg")
    stage.ledger._database.execute("UPDATE versions SET digest = x'00'")
    time.sleep(0.02)
    assert not stage.retirement.work()
    assert stage.left() == 1
    assert stage.ledger.status_of("a.jpg", stage.tree.look("a.jpg")) == "done"


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
    monkeypatch.setattr(Parent, "rename", lambda *_: pytest.fail("renamed"))
    stage.retirement.work()
    assert stage.left() == 0


def test_what_could_not_be_removed_is_tried_again_later_and_told_in_one_line(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = bench(on_success="delete")
    for index in range(5):
        stage.finish(f"{index}.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(Parent, "rename", lambda *_: (_ for _ in ()).throw(OSError(30, "read-only")))
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
    write_file(path.with_name("upload"), data).replace(path)


@pytest.mark.parametrize("options", [{"on_success": "delete"}, {"on_success": "move", "archive": Path("done")}])
def test_an_upload_in_the_very_moment_is_not_lost(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    stage = bench(**options)
    path = stage.finish("a.jpg")
    rename = Parent.rename

    def late(self: Parent, name: str, other: str) -> None:
        replace(path, b"newer")
        rename(self, name, other)

    with monkeypatch.context() as patch:
        patch.setattr(Parent, "rename", late)
        stage.retirement.work()
    assert [(each.name, each.read_bytes()) for each in stage.root.iterdir()] == [("a.jpg", b"newer")]
    assert not (tmp_path / "done").exists()
    assert stage.left() == 0


def test_an_upload_while_its_forerunner_leaves_keeps_its_name(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stage = bench(on_success="move", archive=tmp_path / "done")
    path = stage.finish("a.jpg")

    def slow(*arguments: Any, **more: Any) -> str:
        replace(path, b"newer")
        return move(*arguments, **more)

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
    write_file(tmp_path / "done")  # a file where a folder should be
    stage = bench(on_success="move", archive=tmp_path / "done")
    path = stage.finish("d/a.jpg")
    stage.retirement.work()
    assert [each.name for each in path.parent.iterdir()] == ["a.jpg"]
    assert stage.left() == 1


def test_what_was_leaving_when_the_process_was_killed_leaves_at_the_next_start(bench: Any, tmp_path: Path) -> None:
    def interrupted(options: dict[str, Any]) -> Path:
        path: Path = bench(**options).finish("a.jpg")
        path.rename(path.with_name(hidden_name(path.name)))
        return path

    options = {"on_success": "move", "archive": tmp_path / "done"}
    path = interrupted(options)
    bench(**options).retirement.work()
    assert (tmp_path / "done" / "a.jpg").exists() and not list(path.parent.iterdir())
    path = interrupted(options)
    bench(on_success="keep").retirement.work()
    assert [each.name for each in path.parent.iterdir()] == ["a.jpg"]


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

    def slow(parent: Parent, seized: Seized, *_: Any, **__: Any) -> str:
        stage.clock.now += 0.4
        parent.unlink(seized.name)
        return seized.name

    monkeypatch.setattr("lumen.watching.retire.move", slow)
    turns = 1
    while stage.retirement.work():
        turns += 1
    assert (turns, stage.left()) == (7, 0)


@pytest.mark.parametrize("where", ["in", "done"])
def test_a_folder_swapped_for_a_link_is_not_followed(bench: Any, tmp_path: Path, where: str) -> None:
    stage = bench(on_success="move", archive=tmp_path / "done")
    path = stage.finish("cam/a.jpg")
    private = tmp_path / "private"
    private.mkdir()
    os.link(path, private / "a.jpg")  # nothing but the way tells it from what was done
    if where == "in":
        path.parent.rename(stage.root / ".old")
    (tmp_path / "done").mkdir()
    (tmp_path / where / "cam").symlink_to(private)
    stage.retirement.work()
    assert [each.name for each in private.iterdir()] == ["a.jpg"]
    assert stage.left() == (0 if where == "in" else 1)
    assert where == "in" or path.exists()


def test_what_a_killed_process_left_where_files_are_moved_is_removed(bench: Any, tmp_path: Path) -> None:
    stage = bench(on_success="move", archive=tmp_path / "done")
    stage.finish("a.jpg")
    half = write_file(tmp_path / "done" / f".0123{stage.retirement._tag}.lumen-tmp")
    theirs = write_file(tmp_path / "done" / ".0123-other.lumen-tmp")
    stage.retirement.work()
    assert (half.exists(), theirs.exists(), (tmp_path / "done" / "a.jpg").exists()) == (False, True, True)
