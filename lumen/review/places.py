"""Where a page goes: a file and what it loads beside it, or a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Self
from urllib.parse import quote

from lumen.errors import UsageError
from lumen.files.inputs import open_named
from lumen.files.paths import is_folder, real_path, type_of
from lumen.files.state import STATE
from lumen.text import printable

SUFFIXES: Final = (".html", ".htm")
MARK: Final = b'<meta name="generator" content="lumen '
MARK_WITHIN: Final = 4096  # bytes


@dataclass(frozen=True, kw_only=True)
class PagePlace:
    """Where a page goes.

    Attributes:
        page: The file to open.
        folder: The folder of the previews, if they are not in the page.
        is_file: Whether a file was asked for; otherwise the folder of the page is all its own.
    """

    page: Path
    folder: Path
    is_file: bool

    @classmethod
    def of(cls, asked: Path, inputs: Iterable[Path] = ()) -> Self:
        """Return the place that a user asked for: a file that ends with `.html`, or a folder.

        Args:
            asked: The place.
            inputs: Files and folders that are something else.

        Raises:
            UsageError: Something else is there, which would be overwritten.
        """
        is_file = asked.suffix.lower() in SUFFIXES and not is_folder(asked)
        page = asked if is_file else asked / "index.html"
        folder = asked.with_name(f"{asked.stem}.files") if is_file else asked / "previews"
        if STATE in real_path(asked).parts:
            raise UsageError(f"expected a place for the page outside of {STATE}, got {printable(asked)}")
        taken = {real_path(each) for each in inputs}
        if real_path(page) in taken or real_path(asked) in taken:
            raise UsageError(f"expected a page apart from inputs and results, got {printable(asked)}")
        if type_of(page) and not _is_page(page):
            raise UsageError(
                f"expected a new place or a page of lumen to write over, got {printable(page)}, which is something else"
            )
        if not is_file and type_of(asked) and not type_of(page) and not (is_folder(asked) and _is_empty(asked)):
            raise UsageError(
                f"expected a file that ends with .html, or a folder for the page alone, got {printable(asked)}, "
                "in which other files are"
            )
        return cls(page=page, folder=folder, is_file=is_file)

    def numbered(self, number: int) -> Path:
        """Return one of several pages, from 1."""
        if number == 1:
            return self.page
        return (self.folder if self.is_file else self.page.parent) / f"page-{number}.html"

    def beside(self, page: Path) -> str:
        """Return where the previews are, as a relative URL from one of the pages."""
        return "" if page.parent == self.folder else f"{self.relative(self.folder, page)}/"

    @staticmethod
    def relative(path: Path, page: Path) -> str:
        """Return a relative URL from a page to a file or folder; bytes that are not UTF-8 stay as they are."""
        relative = PurePath(os.path.relpath(path.absolute(), page.parent.absolute())).as_posix()
        return "./" + quote(os.fsencode(relative))


def _is_page(path: Path) -> bool:
    """Tell whether a file is a page that lumen wrote."""
    with suppress(OSError), open_named(path).stream as stream:
        return MARK in stream.read(MARK_WITHIN)
    return False


def _is_empty(folder: Path) -> bool:
    with suppress(OSError):
        return not any(folder.iterdir())
    return False
