"""What the real observers tell, and how their ends are noticed."""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.events import FileCreatedEvent, FileMovedEvent

from lumen.watching.observing import observer
from lumen.watching.observing.hints import Hints, HintSet
from lumen.watching.observing.observer import ObserverKind, WatchdogObservation
from lumen.watching.observing.tree import Tree

Begin = Callable[[ObserverKind], WatchdogObservation]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "in").mkdir()
    tree = Tree(tmp_path / "in", without=[tmp_path / "in" / "out"])
    tree.open()
    return tree


@pytest.fixture
def hints() -> Hints:
    return Hints()


@pytest.fixture
def begin(tree: Tree, hints: Hints, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begin observations; polling is quick."""
    monkeypatch.setattr(observer, "POLL_S", 0.05)
    begun: list[WatchdogObservation] = []

    def observe(kind: ObserverKind) -> WatchdogObservation:
        begun.append(WatchdogObservation(tree, hints, kind))
        return begun[-1]

    yield observe
    for each in begun:
        each.stop()


def wait_for(hints: Hints, path: Path) -> None:
    """Wait until a file, or a folder around it, was told of."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        hints.wait(1.0)
        taken = hints.take()
        if str(path) in taken.files or {str(parent) for parent in path.parents} & taken.folders:
            return
    raise AssertionError(f"nothing was told of {path}")


@pytest.mark.parametrize("kind", ["native", "poll"])
def test_files_that_are_written_renamed_and_moved_in_are_told(
    begin: Begin, tree: Tree, hints: Hints, tmp_path: Path, kind: ObserverKind
) -> None:
    begin(kind)
    (tree.root / "a.jpg").write_bytes(b"x")
    wait_for(hints, tree.root / "a.jpg")
    (tmp_path / "outside.jpg").write_bytes(b"y")
    (tmp_path / "outside.jpg").rename(tree.root / "b.jpg")
    wait_for(hints, tree.root / "b.jpg")
    (tree.root / "b.jpg").rename(tree.root / "c.jpg")
    wait_for(hints, tree.root / "c.jpg")
    os.link(tree.root / "c.jpg", tree.root / "d.jpg")
    wait_for(hints, tree.root / "d.jpg")
    (tmp_path / "moved" / "deep").mkdir(parents=True)
    (tmp_path / "moved" / "deep" / "e.jpg").write_bytes(b"z")
    (tmp_path / "moved").rename(tree.root / "moved")
    wait_for(hints, tree.root / "moved" / "deep" / "e.jpg")
    (tree.root / "c.jpg").write_bytes(b"longer")
    wait_for(hints, tree.root / "c.jpg")


@pytest.mark.skipif(sys.platform != "linux", reason="events differ")
def test_reading_a_file_is_no_event(begin: Begin, tree: Tree, hints: Hints) -> None:
    (tree.root / "a.jpg").write_bytes(b"x")
    begin("native")
    for _ in range(50):
        (tree.root / "a.jpg").read_bytes()
    (tree.root / "b.jpg").write_bytes(b"x")
    wait_for(hints, tree.root / "b.jpg")
    assert str(tree.root / "a.jpg") not in hints.take().files


@pytest.mark.parametrize("kind", ["native", "poll"])
def test_threads_that_end_are_noticed_and_none_are_left_behind(begin: Begin, kind: ObserverKind) -> None:
    before = set(threading.enumerate())
    observation = begin(kind)
    assert observation.fault() is None
    threads = set(threading.enumerate()) - before
    assert observation._observer is not None
    next(iter(observation._observer.emitters)).stop()  # the observer itself still says that it is alive
    assert observation._observer.is_alive()
    assert "thread" in (observation.fault() or "")
    observation.stop()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert observation.fault() is not None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors cannot be counted")
def test_no_descriptors_are_left_behind(begin: Begin) -> None:
    begin("native").stop()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        begin("native").stop()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not tell")
def test_folders_that_are_not_watched_are_noticed(begin: Begin, tree: Tree, tmp_path: Path) -> None:
    (tree.root / "d" / "e").mkdir(parents=True)
    observation = begin("native")
    inside = {(tree.root / name).stat().st_ino for name in ("", "d", "d/e")}
    assert not observation.unwatched(inside)
    assert observation.unwatched(inside | {tmp_path.stat().st_ino})
    assert not begin("poll").unwatched({tmp_path.stat().st_ino})


def test_what_watchdog_logs_is_heard_and_not_shown(begin: Begin, hints: Hints) -> None:
    observation = begin("native")
    hints.take()
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; events were lost")
    assert hints.take().scan == "overflow"
    logging.getLogger("watchdog.observers.inotify").error("Unable to rebuild")
    assert hints.take().scan == "watchdog: Unable to rebuild"
    observation.stop()
    logging.getLogger("watchdog").error("afterwards")
    assert hints.take().scan == ""


def test_the_handler_cannot_raise(hints: Hints) -> None:
    handler = observer._Handler(hints)
    handler.dispatch(FileMovedEvent("/in/.tmp", "/in/a.jpg"))
    handler.dispatch(FileCreatedEvent(b"/in/\xff.jpg"))
    assert hints.take() == HintSet(files={"/in/a.jpg", os.fsdecode(b"/in/\xff.jpg")})
    handler.dispatch(None)  # type: ignore[arg-type]
    assert hints.take().scan != ""


def test_polling_leaves_out_what_is_not_meant(begin: Begin, tree: Tree, hints: Hints) -> None:
    for folder in ("out", ".hidden"):
        (tree.root / folder).mkdir()
    begin("poll")
    (tree.root / "out" / "a.jpg").write_bytes(b"x")
    (tree.root / ".hidden" / "b.jpg").write_bytes(b"x")
    (tree.root / "c.jpg").write_bytes(b"x")
    wait_for(hints, tree.root / "c.jpg")
    assert not {"a.jpg", "b.jpg"} & {Path(path).name for path in hints.take().files}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_limits_of_the_system_are_told_apart(
    tree: Tree, hints: Hints, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_tree: Tree, _kind: ObserverKind) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(observer, "_make_observer", refuse)
    with pytest.raises(observer.LimitReachedError, match=r"sysctl fs\.inotify\.max_user_"):
        WatchdogObservation(tree, hints, "native")


def test_a_folder_that_is_not_there_is_an_error_and_leaves_nothing(tree: Tree, hints: Hints) -> None:
    tree.root.rmdir()
    kinds: tuple[ObserverKind, ...] = ("native", "poll")
    before = list(logging.getLogger("watchdog").handlers)
    for kind in kinds:
        with pytest.raises(OSError, match=str(errno.ENOENT)):
            WatchdogObservation(tree, hints, kind)
    assert logging.getLogger("watchdog").handlers == before


def test_a_limit_that_is_not_reached_is_not_found(tmp_path: Path) -> None:
    assert not observer.is_watch_limit_reached(str(tmp_path))


@pytest.mark.parametrize("kind", ["native", "poll"])
def test_warnings_of_watchdog_are_no_lines_of_the_log(begin: Begin, kind: ObserverKind) -> None:
    begin(kind)
    place = ("inotify.py", 365, "watchdog.observers.inotify")
    warnings.warn_explicit("Callback with id '1' already exists for watch ...", RuntimeWarning, *place)
    with pytest.raises(RuntimeWarning):
        warnings.warn_explicit("of another", RuntimeWarning, "other.py", 1, "other")
