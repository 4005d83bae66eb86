"""Keeps, moves or removes finished inputs, as the options ask, once the ledger says it is due."""

from __future__ import annotations

from pathlib import Path, PurePath

from lumen.config import WatchOptions
from lumen.errors import LumenError
from lumen.files.inputs import open_input
from lumen.watching.context import WatchContext
from lumen.watching.ledger.ledger import Row
from lumen.watching.moving import give_back, move, seize
from lumen.watching.versions import content_digest

AT_ONCE = 100
SLICE_S = 1.0  # another disk may be slow, and signals and results must be handled
AGAIN_S = 60.0  # after some could not be moved or removed


def is_to_retire(status: str, options: WatchOptions) -> bool:
    """Tell whether an input is moved or removed after it ended with this status."""
    if status == "done":
        return options.on_success != "keep"
    return status in ("failed", "unsupported") and options.failed_dir is not None


class Retirement:
    """Moves or removes the files that the ledger marks as due. A file that was replaced since is left alone."""

    def __init__(self, context: WatchContext) -> None:
        """Take the options and the ledger."""
        self._tree = context.tree
        self._ledger = context.ledger
        self._options = context.options
        self._emit = context.events.emit
        self._clock = context.clock
        self._after = 0
        self._failed = 0
        self._next = float("-inf")

    def work(self) -> bool:
        """Retire some of the files that are due; return whether more may be due.

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
        self._ledger.mark_retired(retired)
        if len(rows) == AT_ONCE or (rows and self._after != rows[-1].key):
            return True
        if self._failed:
            self._emit(
                "retire",
                "warning",
                files=self._failed,
                message="inputs could not be moved or removed; trying again later",
            )
            self._next = self._clock.monotonic() + AGAIN_S
        self._after = self._failed = 0
        return False

    def _retire(self, row: Row) -> bool:
        """Retire one file; return whether nothing is left to do with it."""
        path = self._tree.path(row.relative)
        try:
            if not is_to_retire(row.status, self._options):
                give_back(path)
                return True
            if not self._has_its_content(row):
                return True  # it was written again, and will be processed again
            seized = seize(path, lambda place: self._tree.look(self._beside(row, place)) == row.version)
            if seized is None:
                if self._tree.is_same():
                    return True  # it was removed, or a newer file has its name
                self._failed += 1  # the whole folder has gone, not this file
                return False
            try:
                self._act(row, seized)
            except BaseException:
                give_back(path)
                if (back := self._tree.look(row.relative)) == row.version:
                    self._ledger.moved(row.key, back)
                raise
        except (OSError, LumenError) as error:
            self._emit("retire", "debug", path=row.relative, reason=str(error))
            self._failed += 1
            return False
        return True

    def _has_its_content(self, row: Row) -> bool:
        """Compare the content if the ctime has changed: time and size can be set back."""
        now = self._tree.look(row.relative)
        if now != row.version or row.digest is None or now.ctime_ns == row.version.ctime_ns:
            return True  # unchanged, or not there: it may be seized already
        with open_input(Path(self._tree.real), row.relative).stream as stream:
            return content_digest(stream) == row.digest

    @staticmethod
    def _beside(row: Row, place: Path) -> str:
        return str(PurePath(row.relative).with_name(place.name))

    def _act(self, row: Row, path: Path) -> None:
        folder = self._options.archive if row.status == "done" else self._options.failed_dir
        if folder is None:
            path.unlink()
            self._emit("removed", "debug", path=row.relative)
        else:
            self._emit("moved", "debug", path=row.relative, to=str(move(path, folder, row.relative)))
