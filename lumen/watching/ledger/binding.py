"""Whose ledger it is: the results of one watched folder must not be replaced by those of another.

The ledger records the real path of its folder. Numbers of devices change with each mount, and a mark in the folder
could not be left in one that is only read. A folder at another path is accepted if the pictures that were done last
are in it, unchanged: it was moved or copied. Otherwise a person must say that it is the same.
"""

from __future__ import annotations

import os
from pathlib import Path

from lumen.text import printable
from lumen.watching.events import Events
from lumen.watching.ledger.ledger import Ledger, Row
from lumen.watching.observing.tree import Tree

SAMPLE = 100
FACT = "real_input"


class Binding:
    """Compares the folder that is watched with the one that the ledger is of."""

    def __init__(self, ledger: Ledger, tree: Tree, events: Events, moved_from: Path | None) -> None:
        """Take the parts; nothing is compared yet.

        Args:
            ledger: The ledger.
            tree: The watched folder.
            events: Where it is told that the folder has moved.
            moved_from: Where the folder was before, as a person says.
        """
        self._ledger = ledger
        self._tree = tree
        self._emit = events.emit
        self._moved_from = moved_from
        self._bound: str | None = None

    def refusal(self) -> str | None:
        """Return why the folder, which must be open, cannot be used with this ledger; None if it can.

        Raises:
            OutputError: The ledger cannot be written.
        """
        real = self._tree.real
        if real == self._bound:
            return None
        before = self._recorded()
        if before is not None and not _is_same(before, real):
            kept, count = self._unchanged()
            if not self._is_said_to_be(before) and count and kept * 2 <= count:
                return (
                    f"expected the folder {printable(before)}, whose results are in {self._ledger.path.parent.parent}, "
                    f"got {printable(real)}, in which {kept} of the last {count} pictures are the same; choose another "
                    f"output folder, or add --moved-from {printable(before)} if it is that folder under a new path"
                )
            self._emit("input", "warning", message=f"the watched folder was {before} before", path=real)
        self._ledger.write_facts(**{FACT: real})
        self._bound = real
        return None

    def _recorded(self) -> str | None:
        recorded = self._ledger.fact(FACT)
        if isinstance(recorded, str):
            return recorded
        named = self._ledger.fact("input")  # all that ledgers of format 1 have
        return os.path.realpath(named) if isinstance(named, str) and "\0" not in named else None

    def _is_said_to_be(self, before: str) -> bool:
        said = self._moved_from
        return said is not None and before in (str(said.absolute()), os.path.realpath(said))

    def _unchanged(self) -> tuple[int, int]:
        """Return how many of the pictures that were done last are there as they were, and how many were done."""
        rows = self._ledger.last_done(SAMPLE)
        return sum(map(self._is_there, rows)), len(rows)

    def _is_there(self, row: Row) -> bool:
        try:
            now = self._tree.look(row.relative)
        except OSError:
            return False
        return now is not None and (now.size, now.mtime_ns) == (row.version.size, row.version.mtime_ns)


def _is_same(before: str, real: str) -> bool:
    """Tell whether two paths lead to one folder: it may be mounted twice, or letters be written otherwise."""
    try:
        # A link that has taken the place of the recorded folder may lead anywhere.
        return before == real or (os.path.realpath(before) == before and Path(before).samefile(real))
    except (OSError, ValueError):
        return False
