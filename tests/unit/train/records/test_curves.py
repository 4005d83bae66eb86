"""Curves of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.train.records import curves
from lumen.train.records.curves import write_curves
from lumen.train.records.metrics_log import MetricsLog
from tests.support.training import step_values


def test_curves_are_drawn(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.csv")
    for iteration in range(1, 201):
        log.step(step_values(iteration, 1 / iteration))
    log.validation(200, {"psnr": 21.0, "psnr_gt_mean": 23.0})
    assert write_curves(log.path, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG" and np.asarray(image.convert("L")).std() > 5


def test_without_matplotlib_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "is_installed", lambda _: False)
    assert not write_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []
