"""Everything that is drawn with rich: logs and progress on stderr, tables on stdout."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lumen.cli.state import State
from lumen.errors import OutputError
from lumen.report import printable

PLAIN_WIDTH = 200  # off a terminal nothing wraps: a pipe has no width

PLAIN_EVERY_S = 60.0  # off a terminal a long training writes one line a minute, not one a step

_LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.DEBUG}
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def make_console(state: State, *, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr that shows text as it is: no markup, no emoji, no guessed colours."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        no_color=not state.color or None,  # None leaves the decision to NO_COLOR and the terminal
        width=None if stream.isatty() else PLAIN_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
    )


def start_logging(state: State) -> None:
    """Send lumen's log to stderr: warnings, or everything with -v, or errors with -q."""
    logger = logging.getLogger("lumen")
    logger.handlers = [LogHandler(make_console(state, stderr=True))]
    logger.setLevel(_LEVELS[state.verbosity])
    logger.propagate = False


class LogHandler(logging.Handler):
    """Writes records as lines that a live progress bar does not tear."""

    def __init__(self, console: Console) -> None:
        """Write to `console`, the same that draws the progress."""
        super().__init__()
        self.console = console
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        level = record.levelname.lower()
        self.console.print(f"{level}: {self.format(record)}", style=_STYLES.get(record.levelname, "dim"))


def log_console(state: State) -> Console:
    """Return the console of the log, so that all lines and the progress share one."""
    for handler in logging.getLogger("lumen").handlers:
        if isinstance(handler, LogHandler):
            return handler.console
    return make_console(state, stderr=True)


def print_table(
    state: State, columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, title: str = ""
) -> None:
    """Print a table on stdout.

    Args:
        state: Global options.
        columns: Headers.
        rows: Cells, as many per row as there are columns.
        left: That many columns from the left are aligned left, the others right.
        title: A line above.
    """
    table = Table(box=None, title=title or None, title_justify="left", pad_edge=False, header_style="bold")
    for index, header in enumerate(columns):
        table.add_column(header, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    make_console(state).print(table, soft_wrap=False)


def print_check(state: State, name: str, status: str, detail: str) -> None:
    """Print one line of a diagnosis on stdout."""
    line = Text(f"{status:8}", style={"ok": "green", "no": "dim", "warning": "yellow"}.get(status, "red"))
    line.append(f" {name:26} ", style="bold").append(printable(detail), style="default")
    make_console(state).print(line)


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON object as one line on stdout, at once.

    Raises:
        OutputError: Whoever read stdout has gone.
    """
    try:
        click.echo(json.dumps(values))
    except BrokenPipeError as error:
        # What is left in the buffer must not fail once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError("stdout was closed by the program that read it") from error


def note(text: str) -> None:
    """Write one line for people on stderr, unless -q asked for silence."""
    if logging.getLogger("lumen").getEffectiveLevel() < logging.ERROR:
        log_console(State()).print(text)


@contextmanager
def training_view() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Show a training: yield what takes the events of `lumen.train`; a bar on a terminal, a line a minute elsewhere."""
    console = log_console(State())
    quiet = logging.getLogger("lumen").getEffectiveLevel() >= logging.ERROR
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
    with bar:
        yield _TrainingView(bar).show


class _TrainingView:
    """Turns training events into a bar and lines."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("training", total=None)
        self._next_line = 0.0

    def show(self, event: Mapping[str, Any]) -> None:
        """Show one event: a step, the scores of a validation, or the start of another stage."""
        if event["kind"] == "step":
            self._step(event)
        elif event["kind"] == "validation":
            scores = "  ".join(f"{k} {v:.3f}" for k, v in event.items() if isinstance(v, float))
            note(f"{event['iteration']:>7}  {scores}{'  best' if event['best'] else ''}")
        else:
            note(f"{event['stage']}: {event['of']} iterations")

    def _step(self, event: Mapping[str, Any]) -> None:
        text = f"loss {event['loss']:.4f}  {event['crops_per_s']:.0f} crops/s"
        self._bar.update(self._task, total=event["of"], completed=event["iteration"], description=text)
        now = time.monotonic()
        if self._bar.disable and now >= self._next_line:
            self._next_line = now + PLAIN_EVERY_S
            note(f"{event['iteration']:>7}/{event['of']}  {text}")
