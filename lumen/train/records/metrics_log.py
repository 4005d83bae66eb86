"""What a run writes down of itself: `metrics.csv`, `curves.png`, sheets of samples, and TensorBoard's files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from lumen.files.atomic import write_atomically
from lumen.models import Network
from lumen.train.data.load import Example
from lumen.train.records.curves import write_curves
from lumen.train.records.event_files import Board
from lumen.train.records.samples import write_sheet
from lumen.train.validate import PAIR_METRICS, PHOTO_METRICS

COLUMNS = ("iteration", "loss", "crops_per_s", *PAIR_METRICS, *PHOTO_METRICS, "ssim", "rate")
MEANS = ("loss", "crops_per_s", "rate")
EVERY = 50


class MetricsLog:
    """Writes the CSV file of a run; losses are averaged over the steps between rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sums: dict[str, float] = {}
        self.count = 0

    def step(self, values: Mapping[str, float]) -> None:
        """Take one step's `iteration`, `loss`, `crops_per_s` and `rate`; every 50th writes a row."""
        for name in MEANS:
            self.sums[name] = self.sums.get(name, 0.0) + values[name]
        self.count += 1
        if int(values["iteration"]) % EVERY == 0:
            self._append({"iteration": values["iteration"], **{k: v / self.count for k, v in self.sums.items()}})
            self.sums, self.count = {}, 0

    def validation(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Write a row of validation scores."""
        self._append({"iteration": iteration, **metrics})

    def truncate(self, iteration: int) -> None:
        """Drop the rows after an iteration, left by a run that went on after its last checkpoint."""
        if not self.path.exists():
            return
        with self.path.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if _is_whole(row) and int(row["iteration"]) <= iteration]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(kept)
        write_atomically(self.path, table.getvalue().encode())

    def _append(self, row: Mapping[str, float]) -> None:
        fresh = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if fresh:
                writer.writeheader()
            writer.writerow({name: f"{value:.6g}" if name != "iteration" else value for name, value in row.items()})


def _is_whole(row: Mapping[str, str | None]) -> bool:
    """Whether a row was written to its end: a killed process may leave half of the last one."""
    return (row["iteration"] or "").isdecimal() and None not in row.values() and None not in row


class RunLog:
    """All that a run writes down beside its checkpoints; only the leading process calls it.

    Args:
        run: Folder of the run.
        network: The one that is validated, for the sheets of samples.
        examples: Held-out pairs; the first few stand on the sheets.
        tensorboard: Whether TensorBoard's files are written too.
    """

    def __init__(self, run: Path, *, network: Network, examples: Sequence[Example], tensorboard: bool) -> None:
        self.run, self.network, self.examples = run, network, examples
        self.metrics = MetricsLog(run / "metrics.csv")
        self.board = Board(run) if tensorboard else None

    def step(self, values: Mapping[str, float]) -> None:
        """Take one step's `iteration`, `loss`, `crops_per_s` and `rate`."""
        self.metrics.step(values)
        if self.board and int(values["iteration"]) % EVERY == 0:
            self.board.add(int(values["iteration"]), {f"train/{name}": values[name] for name in MEANS})

    def validation(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Take the scores of a validation, and draw the curves and the samples as they are now."""
        self.metrics.validation(iteration, metrics)
        if self.board:
            self.board.add(iteration, {f"validation/{name}": value for name, value in metrics.items()})
        write_curves(self.metrics.path, self.run / "curves.png")
        write_sheet(self.network, self.examples, self.run / "samples" / f"{iteration:07d}.jpg")

    def truncate(self, iteration: int) -> None:
        """Forget what came after an iteration."""
        self.metrics.truncate(iteration)
        if self.board:
            self.board.begin_at(iteration)

    def close(self) -> None:
        """Write what is left."""
        if self.board:
            self.board.close()
