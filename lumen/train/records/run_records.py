"""All records of a run: `metrics.csv`, `curves.png`, sheets of samples, and TensorBoard's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lumen.models import Network
from lumen.train.data.load import Example
from lumen.train.records.curves import write_curves
from lumen.train.records.event_files import EventFiles
from lumen.train.records.metrics_log import EVERY, MEANS, MetricsLog
from lumen.train.records.samples import write_sheet


class RunRecords:
    """Writes all records of a run; only the leading process calls it.

    The sheets of samples show what the averaged network makes of the first few held-out pairs.
    """

    def __init__(self, run: Path, *, network: Network, examples: Sequence[Example], tensorboard: bool) -> None:
        self.run, self.network, self.examples = run, network, examples
        self.metrics = MetricsLog(run / "metrics.csv")
        self.event_files = EventFiles(run) if tensorboard else None

    def step(self, values: Mapping[str, float]) -> None:
        """Record one step's `iteration`, `loss`, `crops_per_s` and `rate`."""
        self.metrics.step(values)
        if self.event_files and int(values["iteration"]) % EVERY == 0:
            self.event_files.add(int(values["iteration"]), {f"train/{name}": values[name] for name in MEANS})

    def validation(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Record the scores of a validation, and draw curves and samples anew."""
        self.metrics.validation(iteration, metrics)
        if self.event_files:
            self.event_files.add(iteration, {f"validation/{name}": value for name, value in metrics.items()})
        write_curves(self.metrics.path, self.run / "curves.png")
        write_sheet(self.network, self.examples, self.run / "samples" / f"{iteration:07d}.jpg")

    def truncate(self, iteration: int) -> None:
        """Drop what was recorded after an iteration."""
        self.metrics.truncate(iteration)
        if self.event_files:
            self.event_files.begin_at(iteration)

    def close(self) -> None:
        """Write what is still buffered."""
        if self.event_files:
            self.event_files.close()
