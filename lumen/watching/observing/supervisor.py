"""Keeps the folder watched: restarts observers, and notices when the folder itself goes and comes back."""

from __future__ import annotations

import errno

from lumen.watching.context import WatchContext
from lumen.watching.observing.hints import Hints
from lumen.watching.observing.mounts import silent_kind
from lumen.watching.observing.observer import (
    LimitReachedError,
    Observation,
    Observe,
    ObserverKind,
    is_watch_limit_reached,
    limit_message,
    observe,
)

CHECK_S = 1.0
LONGEST_PAUSE_S = 60.0  # between two restarts in a row
MOST_FOLDERS = 200_000


class Supervisor:
    """Supervises one observer. Call `check` often: it acts once a second."""

    def __init__(self, context: WatchContext, hints: Hints, *, begin: Observe = observe) -> None:
        """Prepare; nothing is watched before the first `check`.

        Args:
            context: What all parts share.
            hints: Where the observer puts its hints.
            begin: Starts an observer.
        """
        self._tree = context.tree
        self._hints = hints
        self._backend = context.options.backend
        self._emit = context.events.emit
        self._begin = begin
        self._clock = context.clock
        self._kind: ObserverKind | None = None
        self._observation: Observation | None = None
        self._next_check = self._next_try = float("-inf")
        self._began, self._pause_s = float("-inf"), CHECK_S
        self._is_there = self._was_there = False
        self._absence = "the watched folder was not checked yet"
        self._was_restarted = False

    @property
    def absence(self) -> str | None:
        """Why the folder cannot be watched, None while it can."""
        return None if self._is_there else self._absence

    def check(self, *, now: bool = False) -> None:
        """Check folder and observer once a second, and restart the observer if needed.

        Args:
            now: Check at once.
        """
        time = self._clock.monotonic()
        if time < self._next_check and not now:
            return
        self._next_check = time + CHECK_S
        try:
            if not self._is_there or not self._tree.is_same():
                self._open()
            elif (reason := self._fault()) is not None and time >= self._next_try:
                self._emit("observer", "warning", message=f"{reason}; restarting")
                self._start()
        except OSError as error:
            self.mark_absent(error)

    def scanned(self, folders: set[int]) -> None:
        """Compare the inodes of all folders with those that are watched: some may have been skipped silently."""
        if self._observation is None or len(folders) > MOST_FOLDERS:
            return
        if not self._observation.unwatched(folders):
            self._was_restarted = False
            return
        if is_watch_limit_reached(self._tree.real):
            self._fall_back(limit_message(errno.ENOSPC))
        elif self._was_restarted:
            return  # a restart did not help: this file system reports other inode numbers to the kernel
        else:
            self._was_restarted = True
            self._emit("observer", "debug", message="some folders are not watched; restarting")
        try:
            self._start()
        except OSError as error:
            self.mark_absent(error)

    def stop(self) -> None:
        """Stop the observer."""
        if self._observation is not None:
            self._observation.stop()
            self._observation = None

    def _fault(self) -> str | None:
        return "no observer" if self._observation is None else self._observation.fault()

    def _open(self) -> None:
        """Open the folder as it is now, and observe it."""
        replaced = self._is_there
        self._tree.open()
        self._is_there = True
        if self._was_there:
            what = "was replaced by another one" if replaced else "is back"
            self._emit("input", "warning", message=f"the watched folder {what}", path=str(self._tree.root))
        self._was_there = True
        self._start()

    def _start(self) -> None:
        self.stop()
        self._hints.scan("the observer was started")  # before: from now on events are reported
        self._kind = self._kind or self._choose()
        self._back_off()
        try:
            try:
                self._observation = self._begin(self._tree, self._hints, self._kind)
            except LimitReachedError as error:
                self._fall_back(str(error))
                self._observation = self._begin(self._tree, self._hints, "poll")
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001
            # No more threads, or a libc without inotify: neither may end the watcher.
            self._emit("observer", "error", message=f"cannot be started: {error}; only scans find files")

    def _back_off(self) -> None:
        """Delay the next restart, longer each time it follows soon: an observer may die as soon as it is started."""
        now = self._clock.monotonic()
        follows = now - self._began < 2 * LONGEST_PAUSE_S
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S) if follows else CHECK_S
        self._began, self._next_try = now, now + self._pause_s

    def _choose(self) -> ObserverKind:
        if self._backend == "poll":
            return "poll"
        kind = silent_kind(self._tree.real)
        if kind is not None and self._backend == "auto":
            self._emit("backend", message=f"{kind} does not report all changes: polling", kind="poll")
            return "poll"
        return "native"

    def _fall_back(self, reason: str) -> None:
        self._kind = "poll"
        self._emit("backend", "warning", message=f"{reason}, and start again. Until then: polling", kind="poll")

    def mark_absent(self, error: OSError) -> None:
        """Treat the folder as gone until it can be listed again."""
        self.stop()
        self._absence = f"the watched folder {self._tree.root} cannot be read: {error.strerror or error}"
        self._is_there = False
