"""Where to look for files: collected on any thread until the watcher takes it. Bounded, and adding never fails."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

LIMIT = 4096  # beyond that looking everywhere is cheaper


@dataclass(kw_only=True)
class Places:
    """Where to look, as events have told since the last time; hints, never facts.

    Attributes:
        files: Paths of files that may be new or changed.
        folders: Paths of folders in which something may have happened.
        scan: Why everything has to be looked at; empty when it has not.
    """

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    scan: str = ""


class Hints:
    """Collects places to look at, and wakes the watcher."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Keep at most `limit` files and as many folders; more become the one note that all must be looked at."""
        self._limit = limit
        self._places = Places()
        self._changed = threading.Condition()
        self._is_woken = False

    def file(self, path: str) -> None:
        """Note that a file may be new or changed."""
        self._note(self._places.files, path)

    def folder(self, path: str) -> None:
        """Note that something may have happened below a folder."""
        self._note(self._places.folders, path)

    def scan(self, reason: str) -> None:
        """Note that everything must be looked at; the first reason is kept."""
        with self._changed:
            self._places.scan = self._places.scan or reason
            self._notify()

    def wake(self) -> None:
        """Wake who waits, for a reason of its own."""
        with self._changed:
            self._notify()

    def take(self) -> Places:
        """Return all places and forget them."""
        with self._changed:
            self._is_woken = False
            places = Places(files=set(self._places.files), folders=set(self._places.folders), scan=self._places.scan)
            self._places.files.clear()
            self._places.folders.clear()
            self._places.scan = ""
            return places

    def wait(self, seconds: float) -> None:
        """Wait for the next note or wake since `take`, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_woken, max(0.0, seconds))

    def _note(self, paths: set[str], path: str) -> None:
        with self._changed:
            if self._places.scan != "":
                pass  # it will be found
            elif len(paths) >= self._limit:
                self._places.scan = "many events"
            else:
                paths.add(path)
            self._notify()

    def _notify(self) -> None:
        self._is_woken = True
        self._changed.notify_all()
