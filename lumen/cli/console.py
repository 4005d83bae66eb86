"""Everything that is drawn with rich: logs and progress on stderr, tables on stdout."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lumen.cli.state import State
from lumen.report import Outcome, Report, printable

if TYPE_CHECKING:
    from lumen.sources import Job

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
    """Print one JSON object as one line on stdout, at once."""
    click.echo(json.dumps(values))


class SpeedColumn(ProgressColumn):
    """Megapixels per second since the start of the task."""

    def render(self, task: Task) -> Text:
        """Return the speed, nothing before the first picture is done."""
        megapixels = float(task.fields.get("megapixels", 0.0))
        return Text(f"{megapixels / task.elapsed:.2f} MP/s" if megapixels and task.elapsed else "")


class CountColumn(ProgressColumn):
    """Whole files: the bar itself moves by parts of one."""

    def render(self, task: Task) -> Text:
        """Return `done/all`."""
        return Text(f"{task.fields.get('files', 0)}/{int(task.total or 0)} files")


class BatchView:
    """Shows a batch: a live bar on a terminal, plain lines elsewhere, JSON lines on stdout when asked."""

    def __init__(self, state: State, *, as_json: bool = False) -> None:
        """Prepare; nothing is drawn before the work begins."""
        self._console = log_console(state)
        self._quiet = state.verbosity < 0
        self._verbose = state.verbosity > 0
        self._json = as_json
        self._live = self._console.is_terminal and not self._quiet
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            CountColumn(),
            SpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._task = self._progress.add_task("", total=0, visible=False)
        self._pending = 0
        self._files = 0
        self._megapixels = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, pending: int) -> None:
        """Draw the bar."""
        self._pending, self._files = pending, 0  # files that failed before the work began are not among the pending
        self._progress.reset(self._task, total=pending, visible=True, files=0)
        self._progress.start()

    def progressed(self, job: Job, fraction: float) -> None:
        """Move the bar by a part of one file."""
        if self._live:
            name = Text(printable(job.source.name))
            name.truncate(32, overflow="ellipsis")
            self._progress.update(self._task, description=name.plain, completed=self._files + fraction)

    def finished(self, outcome: Outcome) -> None:
        """Write what there is to say about one file."""
        if self._json:
            print_json(outcome.as_dict())
        if outcome.status in ("done", "failed"):
            self._files += 1
            self._megapixels += outcome.megapixels
            self._progress.update(self._task, completed=self._files, files=self._files, megapixels=self._megapixels)
        name = printable(outcome.source)
        if outcome.status == "failed":
            self._console.print(f"failed: {name}: {printable(outcome.reason)}", style="red")
        elif not self._quiet:
            self._say(outcome, name)
        for warning in outcome.warnings:
            logging.getLogger("lumen").warning("%s: %s", name, printable(warning))

    def _say(self, outcome: Outcome, name: str) -> None:
        line = f"{name} -> {printable(outcome.target)}"
        if outcome.status == "planned" and not self._json:
            self._console.print(line)
        elif outcome.status == "skipped" and self._verbose:
            self._console.print(f"skipped: {name}: {outcome.reason}")
        elif outcome.status == "done" and (self._verbose or not (self._live or self._json)):
            size = f"{outcome.megapixels:.2f} MP, {outcome.seconds:.2f} s"
            self._console.print(f"[{self._files}/{self._pending}] {line} ({size})")

    def summarize(self, report: Report) -> None:
        """Write the last line."""
        self._progress.stop()
        if not self._quiet and not 0 < report.total == report.left:  # stopped before the first file: the error says why
            self._console.print(report.summary(), style="red" if report.failures else "green")


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
