"""Shows a training: a live view on a terminal, elsewhere a line a minute and one for every validation."""

from __future__ import annotations

import logging
import shlex
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
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


class TrainingProgress:
    """The progress of a training, summed up from its events; the clock returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None  # when this process started, and at which iteration
        self._recent: deque[tuple[float, float]] = deque(maxlen=SMOOTHED)
        self.iteration = self.of = 0
        self.epoch = self.rate = 0.0
        self.psnr: float | None = None
        self.best = ""
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
            self.best = f"best by {event['score_of']}: {event['score']:.2f}, at step {event['iteration']}"

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
        """Return the latest PSNR on the held-out pictures, and the number by which the best state was chosen."""
        if self.psnr is None:
            return "PSNR not known yet"
        return f"PSNR {self.psnr:.2f} dB" + (f"; {self.best}" if self.best else "")

    def pace(self) -> str:
        """Return loss, speed and learning rate."""
        return f"loss {self.loss():.4f}  {self.speed():.1f} images/s  rate {self.rate:.2g}"

    def line(self) -> str:
        """Return everything in one line."""
        return f"{self.iteration:>7}/{self.of}  epoch {self.epoch:.1f}  {self.pace()}  {self.left()}".rstrip()


class TrainingView:
    """Shows the events of a training, in a live view on the console or in lines.

    `run` is its folder, and `again` the command that goes on with it.
    """

    def __init__(
        self, console: Console, run: Path, again: str, *, live: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.progress, self._clock, self._is_live = TrainingProgress(clock), clock, live
        self._run, self._again = run, again
        self._next_line = 0.0
        self.live = Live(
            get_renderable=self.render,
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
        )

    def show(self, event: Mapping[str, Any]) -> None:
        """Show one event: the begin, a step, the scores of a validation, the start of another stage, or the end."""
        if event["kind"] == "step":
            self.progress.step(event)
            if not self._is_live and self._clock() >= self._next_line:
                self._next_line = self._clock() + PLAIN_EVERY_S
                note(self.progress.line())
        elif event["kind"] == "validation":
            self.progress.validation(event)
            others = ("kind", "iteration", "best", "score", "score_of")
            scores = "  ".join(f"{name} {value:.3f}" for name, value in event.items() if name not in others)
            best = f"  best by {event['score_of']}: {event['score']:.3f}" if event["best"] else ""
            note(f"{event['iteration']:>7}  {scores}{best}")
        elif event["kind"] == "begin":
            note(_beginning(event))
        elif event["kind"] == "end":
            for line in _ending(event, self._run, self._again):
                note(line)
        else:
            pictures = ", with the held-out pictures" if event["joined"] else ""
            self.progress.stage = f"learning how bright results should be{pictures}: {event['done']}/{event['of']}"
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
        return Group(bar, Text(progress.pace()), Text(progress.stage or progress.scores()))


def _beginning(event: Mapping[str, Any]) -> str:
    """Return what there is to train on, and how long it will take, in steps."""
    parts = [
        f"{event[f'train_{what}']} {words} to train on, {event[f'val_{what}']} held out"
        for what, words in (("pairs", "pairs"), ("photos", "photographs"))
        if event[f"train_{what}"] or event[f"val_{what}"]
    ]
    steps = f"{event['of']} steps, validated every {event['every']} and at the end"
    return "; ".join([*parts, f"going on at step {event['iteration']} of {steps}" if event["iteration"] else steps])


def _ending(event: Mapping[str, Any], run: Path, again: str) -> list[str]:
    """Return where a training ended, and the commands that people want next."""
    export = shlex.join(["lumen", "export-onnx", str(run), "-o", f"{run.absolute().name or 'model'}.onnx"])
    if not event["stopped"]:
        return [f"trained {event['of']} steps: {run / 'best.pt'}; make a model file of it: {export}"]
    state = "the best state so far exports too" if event["best"] else "no best.pt yet, but last.pt exports too"
    return [f"saved at step {event['iteration']} of {event['of']}; go on with: {again}", f"{state}: {export}"]


@contextmanager
def training_view(run: Path, again: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield the function that shows the events of `lumen.train`; the arguments are those of `TrainingView`."""
    console = log_console(State())
    live = console.is_terminal and logging.getLogger("lumen").getEffectiveLevel() < logging.ERROR
    view = TrainingView(console, run, again, live=live)
    with view.live if live else nullcontext():
        yield view.show
