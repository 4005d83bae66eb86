"""Does with finished inputs what the operator wants: keeps, moves or removes them, once the ledger says it is due."""

from __future__ import annotations

from pathlib import Path, PurePath

from lumen.config import WatchOptions
from lumen.errors import LumenError
from lumen.watching.clock import Clock
from lumen.watching.events import Teller
from lumen.watching.ledger.ledger import Ledger, Row
from lumen.watching.moving import give_back, move, seize
from lumen.watching.observing.tree import Tree

AT_ONCE = 100
SLICE_S = 1.0  # another disk may be slow, and signals and results are waited for
AGAIN_S = 60.0  # after some could not be moved or removed


class Retirement:
    """Works off the versions that the ledger marks as to be retired. A file that was replaced since is left alone."""

    def __init__(self, tree: Tree, ledger: Ledger, options: WatchOptions, tell: Teller, clock: Clock) -> None:
        """Take what is wanted."""
        self._tree = tree
        self._ledger = ledger
        self._options = options
        self._tell = tell
        self._clock = clock
        self._after = 0
        self._failed = 0
        self._next = float("-inf")

    def wants(self, status: str) -> bool:
        """Tell whether anything is to be done with a file after this end."""
        if status == "done":
            return self._options.on_success != "keep"
        return status in ("failed", "unsupported") and self._options.failed_dir is not None

    def work(self) -> bool:
        """Do what is due, a part at a time; return whether more may be due.

        Raises:
            OutputError: The ledger cannot be written.
        """
        if self._clock.monotonic() < self._next:
            return False
        until = self._clock.monotonic() + SLICE_S
        rows, retired = self._ledger.to_retire(AT_ONCE, self._after), []
        for row in rows:
            self._after = row.key
            retired += [row.key] if self._retire(row) else []
            if self._clock.monotonic() > until:
                break
        self._ledger.retired(retired)
        if len(rows) == AT_ONCE or (rows and self._after != rows[-1].key):
            return True
        if self._failed:
            self._tell("retire", "warning", files=self._failed, message="inputs could not be moved or removed; later")
            self._next = self._clock.monotonic() + AGAIN_S
        self._after = self._failed = 0
        return False

    def _retire(self, row: Row) -> bool:
        """Return whether nothing is left to do with a file."""
        path = self._tree.path(row.relative)
        try:
            if not self.wants(row.status):
                give_back(path)
                return True
            seized = seize(path, lambda place: self._tree.look(self._beside(row, place)) == row.version)
            if seized is None:
                if self._tree.is_same():
                    return True  # it was removed, or a newer one has its place
                self._failed += 1  # it is not gone, the folder is
                return False
            try:
                self._act(row, seized)
            except BaseException:
                give_back(path)
                raise
        except (OSError, LumenError) as error:
            self._tell("retire", "debug", path=row.relative, reason=str(error))
            self._failed += 1
            return False
        return True

    @staticmethod
    def _beside(row: Row, place: Path) -> str:
        return str(PurePath(row.relative).with_name(place.name))

    def _act(self, row: Row, path: Path) -> None:
        folder = self._options.archive if row.status == "done" else self._options.failed_dir
        if folder is None:
            path.unlink()
            self._tell("removed", "debug", path=row.relative)
        else:
            self._tell("moved", "debug", path=row.relative, to=str(move(path, folder, row.relative)))
