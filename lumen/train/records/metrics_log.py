"""The table of a run, `metrics.csv`: means over its steps, and the scores of its validations."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path

from lumen.files.atomic import own_error, write_atomically
from lumen.files.inputs import hold_folder, open_named
from lumen.train.validate import PAIR_METRICS, PHOTO_METRICS

COLUMNS = ("iteration", "loss", "crops_per_s", *PAIR_METRICS, *PHOTO_METRICS, "ssim", "rate")
MEANS = ("loss", "crops_per_s", "rate")
EVERY = 50


class MetricsLog:
    """Writes the CSV file of a run; values of steps are averaged between rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sums: dict[str, float] = {}
        self.count = 0

    def step(self, values: Mapping[str, float]) -> None:
        """Record one step's `iteration`, `loss`, `crops_per_s` and `rate`; every 50th step writes a row."""
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
        """Drop the rows after an iteration, which a run wrote after its last checkpoint."""
        if not self.path.exists():
            return
        with open_named(self.path).stream as stream, TextIOWrapper(stream, "utf-8", "replace", newline="") as file:
            kept = [row for row in csv.DictReader(file) if _is_whole(row) and int(row["iteration"]) <= iteration]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(kept)
        write_atomically(self.path, table.getvalue().encode())

    def _append(self, row: Mapping[str, float]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        try:
            with hold_folder(self.path.parent) as folder, folder.open_or_create(self.path.name) as file:
                if file.seek(0, os.SEEK_END) == 0:
                    writer.writeheader()
                writer.writerow({name: f"{value:.6g}" if name != "iteration" else value for name, value in row.items()})
                file.write(text.getvalue().encode())
        except OSError as error:
            raise own_error(self.path, error) from error


def _is_whole(row: Mapping[str, str | None]) -> bool:
    """Return whether a row is complete: a killed process may leave half of the last one."""
    return (row.get("iteration") or "").isdecimal() and None not in row.values() and None not in row
