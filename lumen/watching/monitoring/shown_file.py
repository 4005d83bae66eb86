"""A file that is written again and again for others to look at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lumen.errors import LumenError, reason_of
from lumen.files.atomic import remove_leftovers, write_atomically

KEEP_S: Final = 60.0  # a file that would be the same is left alone for so long; then it is written for its time

Tell = Callable[[str | None], None]


class ShownFile:
    """Writes one file, whole or not at all; what prevents it is told once.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path, tell: Tell) -> None:
        """Take the file, which need not be there yet.

        Args:
            path: Where it is.
            tell: Called with the reason when it cannot be written, and with None when it can again.
        """
        self.path = path
        self._tell = tell
        # Others may write into the same folder, and other watchers too.
        self._tag = "-" + hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
        self._content: object = None
        self._written_at = float("-inf")
        self._has_failed = False

    def clean(self) -> None:
        """Remove what a killed process has left of it."""
        remove_leftovers(self.path.parent, self._tag)

    def write(self, content: object, render: Callable[[], str], now: float, *, at_once: bool = False) -> None:
        """Write it, unless the same was written a moment ago.

        Args:
            content: What is compared with what was written last.
            render: Makes the text of it.
            now: Seconds of a clock that never jumps.
            at_once: Write it in any case.
        """
        if not at_once and content == self._content and now - self._written_at < KEEP_S:
            return
        try:
            data = render().encode("utf-8", "backslashreplace")
            write_atomically(self.path, data, tag=self._tag)
        except LumenError as error:
            self.fail(reason_of(error))
            return
        self._content, self._written_at = content, now
        if self._has_failed:
            self._tell(None)
        self._has_failed = False

    def fail(self, reason: str) -> None:
        """Note that it was not written, and tell it if that is news; the next turn tries again."""
        self._content = None
        if not self._has_failed:
            self._tell(reason)
        self._has_failed = True
