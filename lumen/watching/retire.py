"""Keeps, moves or removes finished inputs, as the options ask, once the ledger says it is due."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from pathlib import Path, PurePath

from lumen.config import WatchOptions
from lumen.errors import LumenError
from lumen.files.atomic import remove_leftovers_in
from lumen.files.inputs import Parent, hold_folder
from lumen.watching.context import WatchContext
from lumen.watching.ledger.ledger import Row
from lumen.watching.moving import Seized, give_back, move, remove, seize
from lumen.watching.observing.tree import NO_FILE
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
        # Other watchers may move files to the same folders.
        self._tag = "-" + hashlib.sha256(os.fsencode(os.path.realpath(self._options.output))).hexdigest()[:16]
        self._cleaned: set[Path] = set()  # folders in which a killed process may have left something
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
        with ExitStack() as stack:
            try:
                parent = stack.enter_context(self._tree.parent(row.relative))
            except (OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno not in NO_FILE:
                    return self._put_off(row, error)
                return self._is_gone()
            try:
                return self._leave(row, parent)
            except (OSError, LumenError) as error:
                return self._put_off(row, error)

    def _leave(self, row: Row, parent: Parent) -> bool:
        name = PurePath(row.relative).name
        if not is_to_retire(row.status, self._options):
            give_back(parent, name)
            return True
        if not self._has_its_content(row):
            return True  # it was written again, and will be processed again
        seized = seize(parent, name, lambda facts: self._tree.version(facts) == row.version)
        if seized is None:
            return self._is_gone()
        try:
            self._act(row, parent, seized)
        except BaseException:
            give_back(parent, name)
            if (back := self._tree.look(row.relative)) == row.version:
                self._ledger.moved(row.key, back)
            raise
        return True

    def _has_its_content(self, row: Row) -> bool:
        """Compare the content if the ctime has changed: time and size can be set back."""
        now = self._tree.look(row.relative)
        if now != row.version or row.digest is None or now.ctime_ns == row.version.ctime_ns:
            return True  # unchanged, or not there: it may be seized already
        with self._tree.open_file(row.relative).stream as stream:
            return content_digest(stream) == row.digest

    def _is_gone(self) -> bool:
        """Tell whether it was removed or a newer file has its name, and the whole folder is there."""
        try:
            if self._tree.is_same():
                return True
        except OSError:
            pass
        self._failed += 1
        return False

    def _put_off(self, row: Row, error: Exception) -> bool:
        self._emit("retire", "debug", path=row.relative, reason=str(error))
        self._failed += 1
        return False

    def _act(self, row: Row, parent: Parent, seized: Seized) -> None:
        folder = self._options.archive if row.status == "done" else self._options.failed_dir
        if folder is None:
            remove(parent, seized)
            self._emit("removed", "debug", path=row.relative)
            return
        with hold_folder((folder / row.relative).parent, below=folder, make=True) as there:
            if there.path not in self._cleaned:
                self._cleaned.add(there.path)
                remove_leftovers_in(there, self._tag)
            place = there.path / move(parent, seized, there, row.relative, tag=self._tag)
        self._emit("moved", "debug", path=row.relative, to=str(place))
