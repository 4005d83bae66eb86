"""Logs and progress on stderr, lines on stdout, drawn with rich.

rich is loaded when there is something to draw, so never for the help of a command.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from lumen.cli.state import State
from lumen.cli.streams import discard_stdout, journal_prefix
from lumen.errors import LumenError, OutputError
from lumen.text import indented, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

PLAIN_WIDTH = 200  # of what is not a terminal
_LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.DEBUG, 2: logging.DEBUG}
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def make_console(state: State, *, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr that prints text as it is: no markup, no emoji, no highlighting."""
    from rich.console import Console

    class ResultConsole(Console):
        def on_broken_pipe(self) -> None:
            raise _lost_reader()

    stream = sys.stderr if stderr else sys.stdout
    return ResultConsole(
        stderr=stderr,
        no_color=not state.color or None,  # None leaves the decision to NO_COLOR and the terminal
        width=None if stream.isatty() else PLAIN_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
    )


def start_logging(state: State) -> None:
    """Send the log of lumen to stderr: warnings by default, everything with -v, only errors with -q."""
    logger = logging.getLogger("lumen")
    logger.handlers = [LogHandler(state)]
    logger.setLevel(_LEVELS[state.verbosity])
    logger.propagate = False


class LogHandler(logging.Handler):
    """Writes records as lines above a live progress bar."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state
        self.setFormatter(_Lines("%(message)s"))

    @cached_property
    def console(self) -> Console:
        """The console of the log, which also draws the progress."""
        return make_console(self._state, stderr=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record: a line, and the traceback if there is one."""
        if self._state.verbosity < 2 and record.levelno < logging.WARNING and _is_expected(record):
            return  # it is there for the traceback: the error itself is told elsewhere
        level = record.levelname.lower()
        line = f"{journal_prefix(level, sys.stderr)}{level}: {self.format(record)}"
        print_colored(self.console, line, _STYLES.get(record.levelname, "dim"))


def _is_expected(record: logging.LogRecord) -> bool:
    """Tell whether a record is about an error that has a message for people, not about a fault of lumen."""
    return record.exc_info is not None and isinstance(record.exc_info[1], LumenError | MemoryError | OSError)


class _Lines(logging.Formatter):
    """Writes messages so that none can forge a line or control the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name that logging calls
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return indented(super().formatException(ei))


def log_console(state: State) -> Console:
    """Return the console of the log, which lines and progress bars must share."""
    for handler in logging.getLogger("lumen").handlers:
        if isinstance(handler, LogHandler):
            return handler.console
    return make_console(state, stderr=True)


def print_colored(console: Console, line: str, style: str) -> None:
    """Print one line in a colour, which `Console.print(style=...)` would give to a bar below it too."""
    from rich.text import Text

    console.print(Text(line, style=style))


def progress_bar(state: State, *columns: ProgressColumn) -> Progress:
    """Return a bar with a description and further columns; it is drawn on terminals only, and removed at its end."""
    from rich.progress import BarColumn, Progress, TextColumn

    console = log_console(state)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *columns,
        console=console,
        transient=True,
        disable=state.verbosity < 0 or not console.is_terminal,
    )


def print_check(state: State, name: str, status: str, detail: str) -> None:
    """Print one check of `lumen doctor` on stdout."""
    from rich.text import Text

    line = Text(f"{status:8}", style={"ok": "green", "no": "dim", "warning": "yellow"}.get(status, "red"))
    line.append(f" {name:26} ", style="bold").append(printable(detail), style="default")
    make_console(state).print(line)


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON object as one line on stdout, and flush it.

    Raises:
        OutputError: The reader of stdout has gone.
    """
    print_line(json.dumps(values))


def print_line(text: str = "") -> None:
    """Print one line on stdout that any terminal can show, and flush it.

    Raises:
        OutputError: The reader of stdout has gone.
    """
    try:
        click.echo(printable(text))
    except BrokenPipeError as error:
        raise _lost_reader() from error


def _lost_reader() -> OutputError:
    discard_stdout()
    return OutputError("stdout was closed by the program that read it")


def note(text: str) -> None:
    """Print one line on stderr, except with -q."""
    if logging.getLogger("lumen").getEffectiveLevel() < logging.ERROR:
        log_console(State()).print(printable(text))
