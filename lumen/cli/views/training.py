"""Shows a training: a live view on a terminal, elsewhere a line a minute and one for every validation."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lumen.cli.state import State
from lumen.cli.views.console import log_console, note
from lumen.text import span

PLAIN_EVERY_S = 60.0  # off a terminal, time between two lines about steps
SMOOTHED = 50  # steps over which loss and speed are averaged
PER_SECOND = 4
NO_SCORES = {"kind", "iteration", "best"}  # fields of a validation's event that are not scores


class TrainingProgress:
    """The progress of a training, summed up from its events.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None  # when this process started, and at which iteration
        self._recent: deque[tuple[float, float]] = deque(maxlen=SMOOTHED)
        self.iteration = self.of = 0
        self.epoch = self.rate = 0.0
        self.psnr: float | None = None
        self.best: float | None = None
        self.stage = ""

    def step(self, event: Mapping[str, Any]) -> None:
        """Add a step."""
        self.iteration, self.of = event["iteration"], event["of"]
        self.epoch, self.rate = event["epoch"], event["rate"]
        if self._first is None:
            self._first = self._clock(), self.iteration
        self._recent.append((event["loss"], event["crops_per_s"]))

    def validation(self, event: Mapping[str, Any]) -> None:
        """Add the scores of a validation."""
        self.psnr = event.get("psnr")
        if event["best"]:
            self.best = self.psnr

    def loss(self) -> float:
        """Return the mean loss of the latest steps."""
        return sum(loss for loss, _ in self._recent) / max(1, len(self._recent))

    def speed(self) -> float:
        """Return the images per second of the latest steps, without validations."""
        seconds = sum(1 / speed for _, speed in self._recent)
        return len(self._recent) / seconds if seconds else 0.0

    def left(self) -> str:
        """Return how long the rest will take, validations included; empty before the second step."""
        if self._first is None or self.iteration <= self._first[1]:
            return ""
        per_step = (self._clock() - self._first[0]) / (self.iteration - self._first[1])
        return f"{span(per_step * (self.of - self.iteration))} left"

    def scores(self) -> str:
        """Return the latest and the best PSNR on the held-out pictures."""
        if self.psnr is None:
            return "PSNR not known yet"
        return f"PSNR {self.psnr:.2f} dB" + ("" if self.best is None else f", at the best state {self.best:.2f} dB")

    def line(self) -> str:
        """Return everything in one line."""
        facts = (
            f"{self.iteration:>7}/{self.of}",
            f"epoch {self.epoch:.1f}",
            f"loss {self.loss():.4f}",
            f"{self.speed():.1f} images/s",
            f"rate {self.rate:.2g}",
            self.left(),
        )
        return "  ".join(filter(None, facts))


class TrainingView:
    """Shows the events of a training, in a live view or in lines.

    Args:
        console: Where the live view is drawn.
        clock: Seconds.
        live: Whether to show a live view instead of lines.
    """

    def __init__(self, console: Console, *, live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.progress, self._clock, self._is_live = TrainingProgress(clock), clock, live
        self._next_line = 0.0
        self.live = Live(
            get_renderable=self.render,
            console=console,
            refresh_per_second=PER_SECOND,
            transient=True,
            redirect_stdout=False,
        )

    def show(self, event: Mapping[str, Any]) -> None:
        """Show one event: a step, the scores of a validation, or the start of another stage."""
        if event["kind"] == "step":
            self.progress.step(event)
            if not self._is_live and self._clock() >= self._next_line:
                self._next_line = self._clock() + PLAIN_EVERY_S
                note(self.progress.line())
        elif event["kind"] == "validation":
            self.progress.validation(event)
            scores = "  ".join(f"{k} {v:.3f}" for k, v in event.items() if k not in NO_SCORES)
            note(f"{event['iteration']:>7}  {scores}{'  best' if event['best'] else ''}")
        else:
            self.progress.stage = f"{event['stage']}: {event['of']} iterations"
            note(self.progress.stage)

    def render(self) -> RenderableType:
        """Return the current state of the live view."""
        progress = self.progress
        if not progress.of:
            return Text("reading the data ...")
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=progress.of, completed=progress.iteration, width=40),
            f"{progress.iteration}/{progress.of}",
            f"epoch {progress.epoch:.1f}",
            progress.left(),
        )
        facts = Table.grid(padding=(0, 2))
        facts.add_row(f"loss {progress.loss():.4f}", f"{progress.speed():.1f} images/s", f"rate {progress.rate:.2g}")
        return Group(bar, facts, Text(progress.stage or progress.scores()))


@contextmanager
def training_view() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield the function that shows the events of `lumen.train`."""
    console = log_console(State())
    quiet = logging.getLogger("lumen").getEffectiveLevel() >= logging.ERROR
    live = console.is_terminal and not quiet
    view = TrainingView(console, live=live)
    with view.live if live else nullcontext():
        yield view.show
