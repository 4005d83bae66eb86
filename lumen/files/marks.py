"""Tells whose a file is by a mark near its beginning, before it is written over."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from lumen.files.inputs import open_named

PAGE_MARK: Final = b'<meta name="generator" content="lumen '  # as in `lumen/pages/page.html`
WATCH_PAGE_MARK: Final = b'<meta name="application-name" content="lumen watch">'
METRICS_MARK: Final = b"# HELP lumen_"
WITHIN: Final = 4096  # bytes


def has_mark(path: Path, mark: bytes) -> bool:
    """Tell whether a path is a plain file with a mark near its beginning."""
    with suppress(OSError), open_named(path).stream as stream:
        return mark in stream.read(WITHIN)
    return False
