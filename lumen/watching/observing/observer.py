"""The seam to watchdog: its observers fill an hints, and are looked after, as they lose events and die in silence."""

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

Kind = Literal["native", "poll"]

POLL_S = 1.0
POLL_SHARE = 0.05  # of the time is spent on polling at most, but
LONGEST_POLL_S = 30.0
BACKLOG = 50_000  # events that were read and not handed on; then looking everywhere is cheaper
JOIN_S = 2.0

_FILES = [FileCreatedEvent, FileClosedEvent, FileMovedEvent]
_FOLDERS = [DirCreatedEvent, DirMovedEvent]


class LimitReachedError(Exception):
    """The system allows no more watches; the message names what to raise."""


class Observation(Protocol):
    """What fills an hints until it is stopped."""

    kind: Kind

    def fault(self) -> str | None:
        """Return why it must be restarted, None while it works."""

    def unwatched(self, inodes: set[int]) -> bool:
        """Tell whether some of these folders are certainly not watched."""

    def stop(self) -> None:
        """End it."""


class Observe(Protocol):
    """Begins an observation."""

    def __call__(self, tree: Tree, hints: Hints, kind: Kind) -> Observation:
        """Watch an opened folder.

        Raises:
            LimitReachedError: The system allows no more watches.
            OSError: The folder is not there.
        """


def observe(tree: Tree, hints: Hints, kind: Kind) -> Observation:
    """Watch a folder with watchdog; see `Observe`."""
    return WatchdogObservation(tree, hints, kind)


class WatchdogObservation:
    """An observer of watchdog, all its threads, and what it logs."""

    def __init__(self, tree: Tree, hints: Hints, kind: Kind) -> None:
        """Begin to watch; raises as `Observe` says."""
        self.kind = kind
        # Where folders come while it begins to watch them, it warns in a text as long as the tree, and goes on.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        before = set(threading.enumerate())
        self._log = _Listener(hints)
        self._log.attach()
        self._observer: BaseObserver | None = None
        try:
            self._observer = _make_observer(tree, kind)
            # Without a filter every read of ours would be an event, too.
            kinds = [*_FILES, *_FOLDERS] if kind == "native" else [*_FILES, FileModifiedEvent, *_FOLDERS]
            if kind == "native" and not sys.platform.startswith("linux"):
                kinds.append(FileModifiedEvent)  # there nothing is told of closed files
            self._observer.schedule(_Handler(hints), tree.real, recursive=True, event_filter=kinds)
            self._observer.start()
        except BaseException as error:
            self.stop()
            limits = (errno.ENOSPC, errno.EMFILE, errno.ENFILE)
            if kind == "native" and isinstance(error, OSError) and error.errno in limits:
                raise LimitReachedError(limit_message(error.errno)) from error
            raise
        # Not all of them are known to the observer: what reads from the kernel is a thread of its own.
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
        """Tell whether the kernel watches none of some of these folders; watchdog passes over those it cannot add."""
        watched = _watched_inodes() if self.kind == "native" else None
        return watched is not None and not inodes <= watched

    def stop(self) -> None:
        """End it; threads that hang are left behind."""
        self._log.detach()
        observer, self._observer = self._observer, None
        if observer is not None:
            ender = threading.Thread(target=_end, args=[observer], daemon=True)  # it waits without limit
            ender.start()
            ender.join(JOIN_S)


def _end(observer: BaseObserver) -> None:
    with suppress(Exception):  # whatever state it died in
        observer.stop()
    if observer.is_alive():
        observer.join()


def limit_message(number: int) -> str:
    """Return what to do when inotify refuses with an error number."""
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
    """Passes events on as hints, and cannot raise: that would end the thread that calls it."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints

    def dispatch(self, event: FileSystemEvent) -> None:
        """Note where to look."""
        try:
            path = os.fsdecode(event.dest_path or event.src_path)
            if event.is_directory:
                self._hints.folder(path)
            else:
                self._hints.file(path)
        except Exception:  # noqa: BLE001
            self._hints.scan("an event that could not be read")


class _Listener(logging.Handler):
    """Hears what watchdog logs: that events were lost is told nowhere else."""

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
        """Note that events may be missing."""
        text = record.getMessage()
        self._hints.scan("overflow" if "overflow" in text.lower() else f"watchdog: {text}")


class _CalmEmitter(PollingEmitter):
    """Polls large trees less often."""

    _cost_s = 0.0

    def queue_events(self, timeout: float) -> None:
        """Wait, then tell what has changed."""
        pause = min(max(timeout, self._cost_s / POLL_SHARE), LONGEST_POLL_S)
        started = time.monotonic()
        super().queue_events(pause)
        self._cost_s = max(0.0, time.monotonic() - started - pause)


def _make_observer(tree: Tree, kind: Kind) -> BaseObserver:
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
    """Return the inodes that this process watches, None where the system does not tell."""
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
