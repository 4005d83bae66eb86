"""Standard streams that are closed, that nobody reads any more, or that must carry a picture and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


def open_streams() -> None:
    """Put something in the place of standard streams that are closed.

    The next file would be given the number of one, and what a native library prints would land in a picture. Nothing
    can be read from stdin then, stderr takes what it gets, and writing to stdout is an error.
    """
    for name, flags, mode in (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8", closefd=False))


def discard_stdout() -> None:
    """Throw away what is left in the buffer of stdout: it cannot be written, and would fail once more at the exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def own_stdout() -> Iterator[BinaryIO]:
    """Yield stdout, and lead what any library prints meanwhile to stderr."""
    sys.stdout.flush()
    number = sys.stdout.fileno()
    with os.fdopen(os.dup(number), "wb", buffering=0) as stdout:
        os.dup2(sys.stderr.fileno(), number)
        try:
            yield stdout
        finally:
            sys.stdout.flush()
            os.dup2(stdout.fileno(), number)
