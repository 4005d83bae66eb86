"""The curves of a run in one picture: loss, validation scores and learning rate over the iterations."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path

from lumen.extras import is_installed
from lumen.files.atomic import write_atomically

log = logging.getLogger(__name__)

PANELS = {
    "loss": ("loss",),
    "PSNR on held-out pairs, dB": ("psnr", "psnr_gt_mean", "psnr_given"),
    "learning rate": ("rate",),
}


def write_curves(table: Path, out: Path) -> bool:
    """Draw `metrics.csv` into a PNG file; return False if matplotlib is missing, which is logged."""
    if not is_installed("matplotlib"):
        log.debug("no curves: matplotlib is not installed (it is part of the train extra)")
        return False
    from matplotlib.figure import Figure

    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(7, 8), layout="constrained")
    axes = figure.subplots(len(PANELS), 1, sharex=True)
    for axis, (title, names) in zip(axes, PANELS.items(), strict=True):
        for name in names:
            points = [(int(row["iteration"]), float(row[name])) for row in rows if row.get(name)]
            if points:
                axis.plot(*zip(*points, strict=True), label=name, marker="." if len(points) < 40 else None)
        axis.set_title(title, loc="left", fontsize=10)
        axis.grid(alpha=0.3)
        if len(axis.lines) > 1:
            axis.legend(fontsize=8)
    axes[0].set_yscale("log")
    axes[-1].set_xlabel("iteration")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(out, buffer.getvalue())
    return True
