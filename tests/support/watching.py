"""A watcher without threads and without waiting: the clock jumps, and tests say what the system tells."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from lumen.config import WatchOptions
from lumen.watching.context import WatchContext
from lumen.watching.events import Event, Events
from lumen.watching.ledger.ledger import FileOutcome, FinalStatus, Ledger
from lumen.watching.observing.hints import Hints
from lumen.watching.observing.observer import LimitReachedError, ObserverKind
from lumen.watching.observing.tree import Tree
from lumen.watching.versions import Settled
from lumen.watching.watcher import Watcher

_FACT = r" [a-z_]+=(\"(\\.|[^\"])*\"|\S+)"
EVENT_LINE = re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z (debug|info|warning|error) [a-z]+({_FACT})*")


class FakeClock:
    """Both clocks, which stand still until they are set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + 1e9


class FakeHints(Hints):
    """Lets the clock jump instead of waiting."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.until = float("inf")
        self.waits = 0

    def wait(self, seconds: float) -> None:
        self.waits += 1
        if self._is_woken:
            return
        self._clock.now += max(min(seconds, self.until - self._clock.now), 0.001)


class FakeObservation:
    """What watches nothing; tests say what it has noticed."""

    def __init__(self, _tree: Tree, hints: Hints, kind: ObserverKind) -> None:
        self.kind: ObserverKind = kind
        self.hints = hints
        self.trouble: str | None = None
        self.blind = False
        self.stopped = False

    def fault(self) -> str | None:
        return self.trouble

    def unwatched(self, _inodes: set[int]) -> bool:
        return self.blind

    def stop(self) -> None:
        self.stopped = True


def write_file(path: Path, data: bytes = b"x") -> Path:
    """Write a file, and the folders above it where they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def outcome(key: int, status: FinalStatus, finished_at: float, *, attempts: int = 1, **facts: Any) -> FileOutcome:
    """Return the end of a version, at the first attempt by default."""
    return FileOutcome(key=key, status=status, finished_at=finished_at, attempts=attempts, **facts)


class Stage:
    """A watched folder with its watcher.

    Attributes:
        observations: All that were begun, oldest first.
        events: All that was told.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.root, self.out = folder / "in", folder / "out"
        self.root.mkdir(exist_ok=True)
        self.out.mkdir(exist_ok=True)
        self.clock = FakeClock()
        self.hints = FakeHints(self.clock)
        self.events: list[Event] = []
        self.observations: list[FakeObservation] = []
        self.refuse: list[Exception] = []
        self.blind = False  # what new observations are
        self.options = WatchOptions(output=self.out, **options)
        self.tree = Tree(self.root, without=[self.out], ignore=self.options.ignore)
        self.ledger = Ledger(self.out)
        self.room = 100
        self.context = WatchContext(
            tree=self.tree,
            ledger=self.ledger,
            options=self.options,
            events=Events(self.events.append),
            clock=self.clock,
        )
        self.watcher = Watcher(self.context, str, hints=self.hints, begin=self._begin)
        self.files = self.watcher.files(lambda: self.room)

    def _begin(self, tree: Tree, hints: Hints, kind: ObserverKind) -> FakeObservation:
        if self.refuse:
            raise self.refuse.pop(0)
        self.observations.append(FakeObservation(tree, hints, kind))
        self.observations[-1].blind = self.blind
        return self.observations[-1]

    def take(self, seconds: float = 5.0) -> list[Settled]:
        """Let so much time pass and return the files whose turn came."""
        self.hints.until, taken = self.clock.now + seconds, []
        while self.clock.now < self.hints.until:
            settled = next(self.files, None)
            if settled is not None:
                taken.append(settled)
            elif self.watcher._is_stopped:
                break
        return taken

    def first(self, seconds: float = 200.0) -> Settled:
        """Return the next file whose turn comes within a time."""
        self.hints.until = self.clock.now + seconds
        while self.clock.now < self.hints.until:
            settled = next(self.files)
            if settled is not None:
                return settled
        raise AssertionError("no file's turn came")

    def names(self, seconds: float = 5.0) -> list[str]:
        """Let time pass and return the paths of the files whose turn came."""
        return [settled.relative for settled in self.take(seconds)]

    def done(self, seconds: float = 5.0) -> list[str]:
        """Let time pass, finish the files whose turn came, and return their paths."""
        taken = self.take(seconds)
        for settled in taken:
            self.finish(settled, digest=b"0" * 16)
        return [settled.relative for settled in taken]

    def finish(self, settled: Settled, digest: bytes | None = None) -> None:
        """Write down that a file is done."""
        self.watcher.finish(outcome(settled.key, "done", self.clock.time(), digest=digest))

    def write(self, name: str, data: bytes = b"x", *, mtime: float | None = None) -> Path:
        """Write a file, without telling of it."""
        path = write_file(self.root / name, data)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        return path

    def tell(self, name: str) -> None:
        """Tell of a file or folder as an event does."""
        path = Path(self.tree.real, name)
        (self.hints.folder if path.is_dir() else self.hints.file)(str(path))

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the facts of all events of a name."""
        return [dict(event.facts) for event in self.events if event.name == name]

    def statuses(self) -> dict[str, str]:
        """Return the status of each file's last version in the ledger."""
        query = "SELECT path, status FROM versions ORDER BY id"
        return {os.fsdecode(path): status for path, status in self.ledger._database.execute(query)}

    def close(self) -> None:
        """End it."""
        self.files.close()  # type: ignore[attr-defined]
        self.ledger.close()


__all__ = ["FakeClock", "FakeHints", "FakeObservation", "LimitReachedError", "Stage"]
