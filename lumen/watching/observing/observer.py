"""The interface to watchdog: its observers give hints, and are checked, as they lose events and die silently."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingEmitter
from watchdog.utils import BaseThread

from lumen.watching.observing.hints import Hints
from lumen.watching.observing.tree import Tree

ObserverKind = Literal["native", "poll"]

POLL_S = 1.0
POLL_SHARE = 0.05  # of the time at most
LONGEST_POLL_S = 30.0
BACKLOG = 50_000  # events in the queue; beyond that a full scan is cheaper
JOIN_S = 2.0

_FILES = [FileCreatedEvent, FileClosedEvent, FileMovedEvent]
_FOLDERS = [DirCreatedEvent, DirMovedEvent]


class LimitReachedError(Exception):
    """The system allows no more watches; the message says which limit to raise."""


class Observation(Protocol):
    """A running observer, which gives hints until it is stopped."""

    kind: ObserverKind

    def fault(self) -> str | None:
        """Return why it must be restarted, None while it works."""

    def unwatched(self, inodes: set[int]) -> bool:
        """Tell whether some of these folders are certainly not watched."""

    def stop(self) -> None:
        """Stop it."""


class Observe(Protocol):
    """Starts an observer."""

    def __call__(self, tree: Tree, hints: Hints, kind: ObserverKind) -> Observation:
        """Watch an opened folder.

        Raises:
            LimitReachedError: The system allows no more watches.
            OSError: The folder does not exist.
        """


def observe(tree: Tree, hints: Hints, kind: ObserverKind) -> Observation:
    """Watch a folder with watchdog; see `Observe`."""
    return WatchdogObservation(tree, hints, kind)


class WatchdogObservation:
    """An observer of watchdog, with all its threads and its log."""

    def __init__(self, tree: Tree, hints: Hints, kind: ObserverKind) -> None:
        """Start watching; raises as `Observe` does."""
        self.kind = kind
        # If folders arrive while it starts, it warns in a text as long as the tree, and continues.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        before = set(threading.enumerate())
        self._log = _WatchdogLog(hints)
        self._log.attach()
        self._observer: BaseObserver | None = None
        try:
            self._observer = _make_observer(tree, kind)
            # Without a filter our own reads would be events, too.
            kinds = [*_FILES, *_FOLDERS] if kind == "native" else [*_FILES, FileModifiedEvent, *_FOLDERS]
            if kind == "native" and not sys.platform.startswith("linux"):
                kinds.append(FileModifiedEvent)  # closing a file is not reported there
            self._observer.schedule(_Handler(hints), tree.real, recursive=True, event_filter=kinds)
            self._observer.start()
        except BaseException as error:
            self.stop()
            limits = (errno.ENOSPC, errno.EMFILE, errno.ENFILE)
            if kind == "native" and isinstance(error, OSError) and error.errno in limits:
                raise LimitReachedError(limit_message(error.errno)) from error
            raise
        # The observer does not know all of its threads: a separate one reads from the kernel.
        self._threads = [t for t in threading.enumerate() if isinstance(t, BaseThread) and t not in before]

    def fault(self) -> str | None:
        """Return why it must be restarted, None while it works."""
        if self._observer is None:
            return "it was stopped"
        if not all(thread.is_alive() and thread.should_keep_running() for thread in self._threads):
            return "a thread of the observer has ended"
        if self._observer.event_queue.qsize() > BACKLOG:
            return "more events than can be handled"
        return None

    def unwatched(self, inodes: set[int]) -> bool:
        """Tell whether the kernel does not watch some of these folders; watchdog skips those it cannot add."""
        watched = _watched_inodes() if self.kind == "native" else None
        return watched is not None and not inodes <= watched

    def stop(self) -> None:
        """Stop it; threads that hang are left behind."""
        self._log.detach()
        observer, self._observer = self._observer, None
        if observer is not None:
            ender = threading.Thread(target=_end, args=[observer], daemon=True)  # joining an observer has no timeout
            ender.start()
            ender.join(JOIN_S)


def _end(observer: BaseObserver) -> None:
    with suppress(Exception):  # whatever state it died in
        observer.stop()
    if observer.is_alive():
        observer.join()


def limit_message(number: int) -> str:
    """Return what to do when inotify fails with an error number."""
    name = "max_user_watches" if number == errno.ENOSPC else "max_user_instances"
    what = "watched folders" if number == errno.ENOSPC else "inotify instances, or of open files (ulimit -n),"
    try:
        value = f" of {Path('/proc/sys/fs/inotify', name).read_text(encoding='ascii').strip()}"
    except OSError:
        value = ""
    return f"the limit{value} {what} is reached; raise it with: sysctl fs.inotify.{name}=524288"


def is_watch_limit_reached(folder: str) -> bool:
    """Tell whether the kernel refuses one more watch."""
    if not sys.platform.startswith("linux"):
        return False
    from watchdog.observers.inotify_c import InotifyConstants, inotify_add_watch, inotify_init

    number = inotify_init()
    if number < 0:
        return False
    try:
        added = inotify_add_watch(number, os.fsencode(folder), InotifyConstants.IN_DELETE_SELF)
        return added < 0 and ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(number)


class _Handler(FileSystemEventHandler):
    """Turns events into hints. It must not raise, which would end the thread that calls it."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints

    def dispatch(self, event: FileSystemEvent) -> None:
        """Give a hint where to look."""
        try:
            path = os.fsdecode(event.dest_path or event.src_path)
            if event.is_directory:
                self._hints.folder(path)
            else:
                self._hints.file(path)
        except Exception:  # noqa: BLE001
            self._hints.scan("an event that could not be read")


class _WatchdogLog(logging.Handler):
    """Reads the log of watchdog, which reports lost events nowhere else."""

    def __init__(self, hints: Hints) -> None:
        super().__init__(logging.WARNING)
        self._hints = hints
        self._logger = logging.getLogger("watchdog")
        self._propagated = self._logger.propagate

    def attach(self) -> None:
        self._logger.addHandler(self)
        self._logger.propagate = False

    def detach(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated

    def emit(self, record: logging.LogRecord) -> None:
        """Request a full scan, as events may be missing."""
        text = record.getMessage()
        self._hints.scan("overflow" if "overflow" in text.lower() else f"watchdog: {text}")


class _CalmEmitter(PollingEmitter):
    """Polls large trees less often."""

    _cost_s = 0.0

    def queue_events(self, timeout: float) -> None:
        """Wait, then queue the changes."""
        pause = min(max(timeout, self._cost_s / POLL_SHARE), LONGEST_POLL_S)
        started = time.monotonic()
        super().queue_events(pause)
        self._cost_s = max(0.0, time.monotonic() - started - pause)


def _make_observer(tree: Tree, kind: ObserverKind) -> BaseObserver:
    if kind == "native":
        return Observer(timeout=POLL_S)

    def visible(folder: str | None) -> Iterator[os.DirEntry[str]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                relative = tree.relative(entry.path)
                if relative is not None and (tree.enters(relative) or not entry.is_dir(follow_symlinks=False)):
                    yield entry

    emitter = partial(_CalmEmitter, stat=os.lstat, listdir=visible)
    return BaseObserver(emitter, timeout=POLL_S)  # type: ignore[arg-type]


def _watched_inodes() -> set[int] | None:
    """Return the inodes that this process watches, None if the system does not list them."""
    found: set[int] = set()
    seen = False
    try:
        for link in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if str(link.readlink()) == "anon_inode:inotify":
                    seen = True
                    for line in Path("/proc/self/fdinfo", link.name).read_text(encoding="ascii").splitlines():
                        if line.startswith("inotify ") and (inode := _field(line, "ino:")):
                            found.add(int(inode, 16))
    except OSError:
        return None
    return found if seen else None


def _field(line: str, name: str) -> str | None:
    return next((word.removeprefix(name) for word in line.split() if word.startswith(name)), None)
