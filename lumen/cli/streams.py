"""Standard streams: closed ones, stdout that cannot be written any more, stdout for a picture alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


def open_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    Otherwise the next file would get the number of a stream, and what a native library prints would end up in a
    picture. stdin is then empty, stderr is discarded, and writing to stdout is an error.
    """
    for name, flags, mode in (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8", closefd=False))


def discard_stdout() -> None:
    """Discard what is left in the buffer of stdout, which would fail again when the process exits."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def own_stdout() -> Iterator[BinaryIO]:
    """Yield stdout, and send to stderr what libraries print to it meanwhile."""
    sys.stdout.flush()
    number = sys.stdout.fileno()
    with os.fdopen(os.dup(number), "wb", buffering=0) as stdout:
        os.dup2(sys.stderr.fileno(), number)
        try:
            yield stdout
        finally:
            sys.stdout.flush()
            os.dup2(stdout.fileno(), number)
