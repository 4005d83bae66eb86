"""Shows a batch: a progress bar on a terminal, plain lines elsewhere, and JSON lines on stdout if asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Self

from rich.progress import TextColumn
from rich.text import Text

from lumen.batch.job import Job
from lumen.batch.report import Outcome, Report
from lumen.cli.state import State
from lumen.cli.views.console import log_console, print_colored, print_json, progress_bar
from lumen.cli.views.throughput import Throughput
from lumen.text import counted, printable

PLAIN_EVERY_S = 30.0
PLAIN_STEPS = 10  # a line at each tenth of a fast run,
PLAIN_APART_S = 1.0  # but not more often than this
NAME_WIDTH = 32


class BatchView:
    """Shows the progress and the outcomes of a batch."""

    def __init__(self, state: State, *, as_json: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = log_console(state)
        self._verbosity = state.verbosity
        self._json = as_json
        self._throughput = Throughput(clock)
        self._last_line_s, self._last_step = 0.0, 0
        self._progress = progress_bar(
            state,
            TextColumn("{task.fields[run].files}/{task.fields[run].of} files"),
            TextColumn("{task.fields[run].percent}"),
            TextColumn("{task.fields[run].frames}"),
            TextColumn("{task.fields[run].speed}"),
            TextColumn("{task.fields[run].left}"),
            TextColumn("{task.fields[run].failures}", style="red"),
        )
        self._live = not self._progress.disable
        self._task = self._progress.add_task("", total=0, visible=False, run=self._throughput)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def started(self, pending: int) -> None:
        """Draw the bar."""
        self._throughput.start(pending)  # without files that failed before the work started
        self._progress.reset(self._task, total=1, visible=True)
        self._progress.start()

    def counted(self, pending: int, *, is_all: bool, clips: int = 0) -> None:
        """Take over how many files are known, so many of them clips.

        Until these are all, the bar only says that there is work.
        """
        self._throughput.count(pending, is_all=is_all, clips=clips)

    def progressed(self, job: Job, fraction: float, megapixels: float, frames: int = 0) -> None:
        """Move the bar as part of a file is done."""
        self._throughput.progress(str(job.source), fraction, megapixels, frames)
        if self._live:
            name = Text(printable(job.source.name))
            name.truncate(NAME_WIDTH, overflow="ellipsis")
            self._progress.update(self._task, description=name.plain, completed=self._throughput.share)
        self._plain_line()

    def finished(self, outcome: Outcome) -> None:
        """Print the outcome of a file."""
        if self._json:
            print_json(outcome.as_dict())
        self._throughput.finish(outcome)
        self._progress.update(self._task, completed=self._throughput.share)
        name = printable(outcome.source)
        if outcome.status == "failed":
            if not outcome.stops_run:  # or the last line says it
                print_colored(self._console, f"failed: {name}: {printable(outcome.reason)}", "red")
        elif self._verbosity >= 0:
            self._say(outcome, name)
        for warning in outcome.warnings:
            logging.getLogger("lumen").warning("%s: %s", name, printable(warning))
        if outcome.status in ("done", "failed"):
            self._plain_line()

    def stopping(self) -> None:
        """Confirm the request to stop."""
        if self._verbosity >= 0:
            print_colored(
                self._console, "stopping after the current file; press Ctrl-C again to stop at once", "yellow"
            )

    def stop_bar(self) -> None:
        """Remove the bar, since there may be one at a time."""
        self._progress.stop()

    def summarize(self, report: Report, notes: Sequence[str] = (), place: str = "") -> None:
        """Print notes, and as the last line the summary with the place of the results."""
        self._progress.stop()
        is_begun = sum(report.counts.values()) > 0 or (not report.total and report.is_counted)
        if self._verbosity < 0 or not is_begun:  # the error says why nothing was started
            return
        for note in notes:
            self._console.print(note)
        last = "; ".join(filter(None, (report.summary(), place)))
        print_colored(self._console, last, "red" if report.failures else "green")

    def _say(self, outcome: Outcome, name: str) -> None:
        line = name if outcome.target == outcome.source else f"{name} -> {printable(outcome.target)}"
        if outcome.status == "planned" and not self._json:
            self._console.print(line)
        elif outcome.status == "skipped" and self._verbosity > 0:
            self._console.print(f"skipped: {name}: {printable(outcome.reason)}")
        elif outcome.status == "done" and self._verbosity > 0:
            size = f"{outcome.megapixels:.2f} MP, {outcome.seconds:.2f} s"
            if outcome.frames:
                size = f"{counted(outcome.frames, 'frame')}, {size}"
            if outcome.is_unchanged:
                size += ", it was fine" if outcome.target == outcome.source else ", copied: it was fine"
            size += "".join(f", {name} {value}" for name, value in outcome.changes.items())
            self._console.print(f"[{self._throughput.files}/{self._throughput.of}] {line} ({size})")

    def _plain_line(self) -> None:
        """Print a line of progress when one is due; after the last file the summary follows."""
        run = self._throughput
        since_s, step = run.seconds - self._last_line_s, int(run.share * PLAIN_STEPS + 1e-9)
        due = since_s >= PLAIN_EVERY_S or (PLAIN_STEPS > step > self._last_step and since_s >= PLAIN_APART_S)
        if due and run.files < run.pending and not self._live and self._verbosity >= 0:
            self._last_line_s, self._last_step = run.seconds, step
            self._console.print(run.line())
