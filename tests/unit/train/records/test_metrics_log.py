"""The table of a run."""

from __future__ import annotations

from pathlib import Path

from lumen.train.records.metrics_log import COLUMNS, MetricsLog
from tests.support.training import csv_rows, step_values


def test_rows_are_means_over_fifty_steps(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.csv")
    for iteration in range(1, 101):
        log.step(step_values(iteration, iteration))
    log.validation(100, {"psnr": 21.0})
    assert [(row["iteration"], row["loss"], row["psnr"]) for row in csv_rows(log.path)] == [
        ("50", "25.5", ""),
        ("100", "75.5", ""),
        ("100", "", "21"),
    ]


def test_half_a_row_and_older_columns_are_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("iteration,loss,psnr\n50,0.5,\n100,0.4,\n150,0.3")  # killed while it wrote the last line
    log = MetricsLog(path)
    log.truncate(200)
    log.validation(200, {"psnr": 21.0})
    found = csv_rows(path)
    assert [row["iteration"] for row in found] == ["50", "100", "200"]
    assert tuple(found[0]) == COLUMNS and found[2]["psnr"] == "21"
