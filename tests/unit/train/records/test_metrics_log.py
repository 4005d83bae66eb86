"""What a run writes down of itself."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.errors import MissingExtraError
from lumen.models import build_network
from lumen.train.data.load import Example
from lumen.train.records import curves
from lumen.train.records.curves import write_curves
from lumen.train.records.event_files import Board
from lumen.train.records.metrics_log import COLUMNS, MetricsLog, RunLog
from lumen.train.records.samples import write_sheet
from tests.support.training import darker, scene

PAIRS = [Example(name=str(i), low=darker(scene(i)), high=scene(i)) for i in range(6)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def step(iteration: int, loss: float = 0.5) -> dict[str, float]:
    return {"iteration": iteration, "loss": loss, "crops_per_s": 8.0, "rate": 1e-3}


def test_rows_are_means_over_fifty_steps(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.csv")
    for iteration in range(1, 101):
        log.step(step(iteration, iteration))
    log.validation(100, {"psnr": 21.0})
    assert [(row["iteration"], row["loss"], row["psnr"]) for row in rows(log.path)] == [
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
    found = rows(path)
    assert [row["iteration"] for row in found] == ["50", "100", "200"]
    assert tuple(found[0]) == COLUMNS and found[2]["psnr"] == "21"


def test_curves_are_drawn(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.csv")
    for iteration in range(1, 201):
        log.step(step(iteration, 1 / iteration))
    log.validation(200, {"psnr": 21.0, "psnr_gt_mean": 23.0})
    assert write_curves(log.path, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG" and np.asarray(image.convert("L")).std() > 5


def test_without_matplotlib_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "is_installed", lambda _: False)
    assert not write_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_has_a_row_for_each_of_the_first_pairs(tmp_path: Path) -> None:
    network = build_network("residual", groups=1, blocks=1, width=8).eval()
    write_sheet(network, PAIRS, tmp_path / "samples" / "1.jpg")
    with Image.open(tmp_path / "samples" / "1.jpg") as image:
        assert image.size == (3 * 400 + 8, 4 * (300 + 4))
        sheet = np.asarray(image).astype(int)
    expected = np.asarray(Image.fromarray(PAIRS[0].high).resize((400, 300), Image.Resampling.BOX)).astype(int)
    assert np.abs(sheet[:300, 808:1208] - expected).mean() < 4
    assert sheet[:300, :400].mean() < 0.2 * expected.mean()
    write_sheet(network, [], tmp_path / "none.jpg")
    assert not (tmp_path / "none.jpg").exists()


def test_tensorboard_holds_steps_and_validations(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    network = build_network("residual", groups=1, blocks=1, width=8).eval()
    log = RunLog(tmp_path, network=network, examples=PAIRS[:1], tensorboard=True)
    log.truncate(10)
    for iteration in range(11, 101):
        log.step(step(iteration))
    assert log.board is not None
    log.board.add(100, {"validation/psnr": 21.25})
    log.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    found = scalars(events)
    assert found["train/loss"] == [(50, 0.5), (100, 0.5)]
    assert found["validation/psnr"] == [(100, 21.25)]


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read an event file: records of a length, its checksum, a message, and that one's checksum."""
    from tensorboardX.proto.event_pb2 import Event

    data = path.read_bytes()
    found: dict[str, list[tuple[int, float]]] = {}
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        data = data[16 + length :]
    return found


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match=r"lumen-enhance\[tensorboard\]"):
        Board(tmp_path)
