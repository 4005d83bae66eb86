"""The table of a run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumen.errors import OutputError
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


def test_what_a_power_cut_left_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"iteration,loss\n50,0.5\n" + bytes(5000) + b"\xff\xfe\n")
    MetricsLog(path).truncate(200)
    assert [row["iteration"] for row in csv_rows(path)] == ["50"]
    path.write_bytes(b"\xff" * 100 + b"\n1\n")
    MetricsLog(path).truncate(200)
    assert csv_rows(path) == []


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_no_row_goes_through_a_link_or_waits_for_a_pipe(tmp_path: Path, kind: str) -> None:
    (tmp_path / "victim").touch()
    path = tmp_path / "metrics.csv"
    if kind == "link":
        path.symlink_to("victim")
    else:
        os.mkfifo(path)
    with pytest.raises(OutputError, match=r"cannot write .*metrics\.csv.*: it is a (link|pipe)"):
        MetricsLog(path).validation(1, {"psnr": 20.0})
    assert (tmp_path / "victim").stat().st_size == 0
