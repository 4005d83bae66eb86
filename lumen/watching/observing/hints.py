"""Heard of what was heard, from any thread, until the watcher reads them. Bounded, and putting one never fails."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

LIMIT = 4096  # beyond that looking everywhere is cheaper


@dataclass(kw_only=True)
class Heard:
    """What was heard since the last time; hints where to look, never facts.

    Attributes:
        files: Paths of files that may be new or changed.
        folders: Paths of folders in which something may have happened.
        scan: Why everything has to be looked at; empty when it has not.
    """

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    scan: str = ""


class Hints:
    """Takes notes, and wakes who waits for them."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Keep at most `limit` files and as many folders; more become the one note that all must be looked at."""
        self._limit = limit
        self._notes = Heard()
        self._bell = threading.Condition()
        self._rung = False

    def file(self, path: str) -> None:
        """Note that a file may be new or changed."""
        self._note(self._notes.files, path)

    def folder(self, path: str) -> None:
        """Note that something may have happened below a folder."""
        self._note(self._notes.folders, path)

    def scan(self, reason: str) -> None:
        """Note that everything must be looked at; the first reason is kept."""
        with self._bell:
            self._notes.scan = self._notes.scan or reason
            self._ring()

    def ring(self) -> None:
        """Wake who waits, for a reason of its own."""
        with self._bell:
            self._ring()

    def take(self) -> Heard:
        """Return all notes and begin anew."""
        with self._bell:
            self._rung = False
            notes = Heard(files=set(self._notes.files), folders=set(self._notes.folders), scan=self._notes.scan)
            self._notes.files.clear()
            self._notes.folders.clear()
            self._notes.scan = ""
            return notes

    def wait(self, seconds: float) -> None:
        """Wait for the next note or ring since `take`, at most so long."""
        with self._bell:
            self._bell.wait_for(lambda: self._rung, max(0.0, seconds))

    def _note(self, paths: set[str], path: str) -> None:
        with self._bell:
            if self._notes.scan != "":
                pass  # it will be found
            elif len(paths) >= self._limit:
                self._notes.scan = "many events"
            else:
                paths.add(path)
            self._ring()

    def _ring(self) -> None:
        self._rung = True
        self._bell.notify_all()
