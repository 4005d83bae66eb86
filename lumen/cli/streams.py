"""Standard streams: closed or unwritable ones, missing characters, a picture alone on stdout, and the journal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, BinaryIO, TextIO, cast

import click

from lumen.text import printable

PRIORITIES = {"error": 3, "warning": 4, "info": 6, "debug": 7}  # of the journal, and of syslog


class Forgiving:
    """A text stream that drops what cannot be written: work goes on where nobody reads what is told of it."""

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, if that is possible."""
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what was written, if that is possible."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """Return everything else of the stream."""
        return getattr(self._stream, name)


def open_streams() -> None:
    """Make standard streams safe to use.

    - In place of those that are closed the null device is opened. Otherwise the next file would get the number of a
      stream, and what a native library prints would end up in a picture. stdin is then empty, stderr is discarded, and
      writing to stdout is an error.
    - Characters that the encoding of a stream does not have are written as escapes.
    - What stderr does not take, for its disk is full or its reader has gone, is dropped.
    """
    for name, flags, mode in (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not isinstance(sys.stderr, Forgiving):
        sys.stderr = cast("TextIO", Forgiving(sys.stderr))


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


def journal_prefix(level: str, stream: TextIO) -> str:
    """Return what the journal of systemd takes as the priority of a line; nothing if a stream leads elsewhere.

    The variable alone does not tell: the stream may have been redirected since.

    Args:
        level: `error`, `warning`, `info` or `debug`; others are errors.
        stream: Where the line goes.

    Reference:
        man 3 sd-daemon, and `$JOURNAL_STREAM` in man 5 systemd.exec
    """
    wanted = os.environ.get("JOURNAL_STREAM")
    if not wanted:
        return ""
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return ""
    return f"<{PRIORITIES.get(level, 3)}>" if wanted == f"{facts.st_dev}:{facts.st_ino}" else ""


def echo_error(message: object) -> None:
    """Write the line on stderr with which a command fails."""
    click.echo(f"{journal_prefix('error', sys.stderr)}lumen: {printable(message)}", err=True)
