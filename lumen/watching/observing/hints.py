"""Hints where to look, given on any thread and taken by the watcher. Bounded; giving one never fails."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

LIMIT = 4096  # beyond that a full scan is cheaper


@dataclass(kw_only=True)
class HintSet:
    """The hints since the last time: where to look, never facts.

    Attributes:
        files: Paths of files that may be new or changed.
        folders: Paths of folders whose content may have changed.
        scan: Why a full scan is needed; empty if it is not.
    """

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    scan: str = ""


class Hints:
    """Collects hints, and wakes the thread that waits for them."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Keep at most `limit` files and as many folders; beyond that, request a full scan."""
        self._limit = limit
        self._hints = HintSet()
        self._condition = threading.Condition()
        self._is_woken = False

    def file(self, path: str) -> None:
        """Hint that a file may be new or changed."""
        with self._condition:
            self._add(self._hints.files, path)

    def folder(self, path: str) -> None:
        """Hint that something below a folder may have changed."""
        with self._condition:
            self._add(self._hints.folders, path)

    def scan(self, reason: str) -> None:
        """Hint that a full scan is needed; the first reason is kept."""
        with self._condition:
            self._hints.scan = self._hints.scan or reason
            self._wake_waiting()

    def wake(self) -> None:
        """End the wait for another reason."""
        with self._condition:
            self._wake_waiting()

    def take(self) -> HintSet:
        """Return all hints and start a new set."""
        with self._condition:
            self._is_woken = False
            hints, self._hints = self._hints, HintSet()
            return hints

    def wait(self, seconds: float) -> None:
        """Wait for a hint or `wake` since the last `take`, at most so long."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_woken, max(0.0, seconds))

    def _add(self, paths: set[str], path: str) -> None:
        if self._hints.scan != "":
            pass  # the full scan will find it
        elif len(paths) >= self._limit:
            self._hints.scan = "many events"
        else:
            paths.add(path)
        self._wake_waiting()

    def _wake_waiting(self) -> None:
        self._is_woken = True
        self._condition.notify_all()
