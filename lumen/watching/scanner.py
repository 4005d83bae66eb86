"""Looks for files: follows hints, scans, and adds settled files to the ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from lumen.watching.context import WatchContext
from lumen.watching.observing.hints import Hints
from lumen.watching.observing.settling import Settling
from lumen.watching.observing.supervisor import Supervisor
from lumen.watching.observing.tree import SeenFile
from lumen.watching.versions import Candidate, Version

SLICE_S = 0.1  # of a scan at a time: results are recorded in between
SETTLED_AT_ONCE = 1000
SKIPPED_AT_ONCE = 1000
FOLDERS = 1000
OLDER_FIRST = 4.0  # times of settling that a file waits at most for older ones
SECOND_LOOK_S = 1.0  # a new folder is scanned twice: files may arrive before it is watched
OVERFLOW_LINE_S = 30.0
UNREADABLE_LINE_S, UNREADABLE_LINES = 3600.0, 100


class Scanner:
    """Decides what is scanned, and when. It keeps nothing about files that have settled."""

    def __init__(self, context: WatchContext, hints: Hints, supervisor: Supervisor) -> None:
        """Prepare; nothing is scanned yet."""
        self.scans = 0  # complete scans so far
        self._tree = context.tree
        self._ledger = context.ledger
        self._options = context.options
        self._emit = context.events.emit
        self._clock = context.clock
        self._hints = hints
        self._supervisor = supervisor
        self._settling = Settling(context.options.settle_s)
        self._walk: Iterator[SeenFile] | None = None
        self._is_full_walk = False
        self._is_scan_wanted = True
        self._next_scan = 0.0
        self._folders: set[str] = set()  # to scan now
        self._second_looks: dict[str, float] = {}  # to scan again, and when, in the order of the times
        self._inodes: set[int] = set()
        self._unreadable: dict[str, float] = {}  # folders that cannot be listed, and when that was reported
        self._overflow_told = float("-inf")
        self._skips_backlog = context.options.skip_backlog
        self._skipped = 0
        self._started_at = context.clock.time()

    @property
    def settling(self) -> int:
        """How many files have yet to settle."""
        return len(self._settling)

    @property
    def has_seen_all(self) -> bool:
        """Whether every file found so far is in the ledger."""
        waits = self._walk is not None or self._is_scan_wanted or self._folders or self._second_looks or self.settling
        return self.scans > 0 and not waits

    def waits_for_older(self, relative: str, version: Version, first_seen: float) -> bool:
        """Tell whether a settled file should wait, for a moment, for older ones of its folder that settle just now."""
        if self._clock.time() - first_seen > OLDER_FIRST * self._options.settle_s:
            return False
        folder = os.path.dirname(relative)  # noqa: PTH120  # of many strings
        return self.scans == 0 or self._settling.has_older(folder, version.mtime_ns)

    def look(self) -> None:
        """Follow the hints, scan for a moment, and let files settle.

        Raises:
            OSError: The watched folder cannot be listed.
            OutputError: The ledger cannot be written.
        """
        self.take_hints()
        self._scan()
        self._settle()

    def take_hints(self, *, look: bool = True) -> None:
        """Take the hints; without `look` they only request a full scan later."""
        hints = self._hints.take()
        if hints.scan:
            self._on_scan_hint(hints.scan)
        if not look:
            self._is_scan_wanted |= bool(hints.files or hints.folders)
            return
        for path in hints.folders:
            relative = self._tree.relative(path)
            if relative is not None and self._tree.wants_folder(relative):
                self._add_folder(relative)
        for path in hints.files:
            relative = self._tree.relative(path)
            if relative and self._tree.wants(relative):
                with suppress(OSError):  # the next scan looks again
                    self.see(relative, self._tree.look(relative), hinted=True)

    def see(self, relative: str, version: Version | None, *, hinted: bool = False) -> None:
        """Take note of what a file is now.

        Args:
            relative: Its path below the watched folder.
            version: What it is; None if it does not exist.
            hinted: An event named it: it arrived or changed after the start.
        """
        if version is None:
            self._settling.drop(relative)
            return
        if relative not in self._settling:
            status = self._ledger.status_of(relative, version)
            if status == "skipped" and hinted and self._ledger.forget_skipped(relative, version, self._started_at):
                status = None  # it arrived while the backlog was skipped
            if status is not None:
                return
        if not self._settling.see(relative, version, self._clock.monotonic(), self._clock.time()):
            self._is_scan_wanted = True

    def request_scan(self) -> None:
        """Request a full scan."""
        self._is_scan_wanted = True

    def cancel_scan(self) -> None:
        """Cancel the running scan; a full one follows later."""
        if self._walk is not None:
            self._walk.close()  # type: ignore[attr-defined]
            self._walk, self._is_scan_wanted = None, True

    def nap_s(self) -> float:
        """Return after how many seconds there is something to do if no hint arrives."""
        times = [self._settling.next_due()]
        if not self._settling.is_full:
            if self._folders or self._walk is not None or self._is_scan_wanted:
                return 0.0
            times += [self._next_scan, next(iter(self._second_looks.values()), None)]
        return max(0.0, min(time for time in times if time is not None) - self._clock.monotonic())

    def _add_folder(self, relative: str) -> None:
        if len(self._folders) >= FOLDERS or len(self._second_looks) >= FOLDERS:
            self._is_scan_wanted = True
        else:
            self._folders.add(relative)

    def _on_scan_hint(self, reason: str) -> None:
        self._is_scan_wanted = True
        if reason != "overflow":
            self._emit("rescan", "debug", message=reason)
            return
        now = self._clock.monotonic()
        if now > self._overflow_told + OVERFLOW_LINE_S:
            self._emit("overflow", "warning", message="the system lost events; scanning everything instead")
        self._overflow_told = now

    def _scan(self) -> None:
        """Scan for a moment, or until too many files have yet to settle."""
        now = self._clock.monotonic()
        if self._walk is None:
            self._begin_walk(now)
        if self._walk is None:
            return
        skipped: dict[str, Candidate] = {}
        while not self._settling.is_full and len(skipped) < SKIPPED_AT_ONCE:
            found = next(self._walk, None)
            if found is None:
                self._walk = None
                break
            if not self._skips_backlog or not self._is_full_walk:
                self.see(found.relative, found.version, hinted=not self._is_full_walk)
            elif found.relative not in self._settling and not self._ledger.status_of(found.relative, found.version):
                if self._ledger.known_digests(found.relative, found.version):
                    self.see(found.relative, found.version)  # it was done before, if its content is the same
                else:
                    candidate = Candidate(version=found.version, since=now, first_seen=self._clock.time())
                    skipped[found.relative] = candidate
            if self._clock.monotonic() > now + SLICE_S:
                break
        if skipped:
            self._ledger.add(skipped, skipped_at=self._clock.time())
            self._skipped += len(skipped)
        if self._walk is None and self._is_full_walk:
            self._end_scan()

    def _begin_walk(self, now: float) -> None:
        """Choose what is scanned next: everything, a folder from a hint, or one for the second time."""
        self._is_full_walk = self._is_scan_wanted or now >= self._next_scan
        if self._is_full_walk:
            self._is_scan_wanted, below = False, ""
            self._inodes = set()
        elif self._folders:
            below = self._folders.pop()
            self._second_looks.pop(below, None)
            self._second_looks[below] = now + SECOND_LOOK_S
        elif self._second_looks and next(iter(self._second_looks.values())) <= now:
            below = next(iter(self._second_looks))
            del self._second_looks[below]
        else:
            return
        self._walk = self._tree.walk(below, self._cannot_list, self._inodes.add)

    def _end_scan(self) -> None:
        self._ledger.keep_ctimes()
        self.scans += 1
        self._next_scan = self._clock.monotonic() + self._options.rescan_s
        self._supervisor.scanned(self._inodes)
        self._inodes = set()
        self._emit("scanned", "info" if self.scans == 1 else "debug", settling=len(self._settling))
        if self._skips_backlog:
            self._skips_backlog = False
            self._emit("skipped", files=self._skipped, message="the backlog is skipped")

    def _settle(self) -> None:
        """Add the files that have settled to the ledger."""
        now, wall = self._clock.monotonic(), self._clock.time()
        ready: dict[str, Candidate] = {}
        for relative, candidate in list(islice(self._settling.due(now), SETTLED_AT_ONCE)):
            try:
                version = self._tree.look(relative, candidate.version)
            except OSError:  # the next scan looks again
                version = None
            if version is None:
                self._settling.drop(relative)
            elif version != candidate.version:
                self._settling.see(relative, version, now, wall)
            elif self._ledger.status_of(relative, version) is None:
                ready[relative] = replace(candidate, version=version)  # with the ctime of now
            else:
                self._settling.drop(relative)
        if not ready:
            return
        replaced = self._ledger.add(ready)
        for relative in ready:
            self._settling.drop(relative)
            self._emit("settled", "debug", path=relative)
        for relative in replaced:
            self._emit("replaced", "debug", path=relative, message="a newer version takes its place")

    def _cannot_list(self, folder: str, error: OSError) -> None:
        now = self._clock.monotonic()
        self._unreadable = {name: told for name, told in self._unreadable.items() if told > now - UNREADABLE_LINE_S}
        if folder not in self._unreadable and len(self._unreadable) < UNREADABLE_LINES:
            self._unreadable[folder] = now
            self._emit("unreadable", "warning", path=folder, reason=error.strerror or str(error))
