"""Clips scored frame by frame, and how much their light flickers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lumen.errors import DataError, UsageError
from lumen.evaluation import EvalOptions, EvalReport
from lumen.evaluation.clips import are_clips, evaluate_clips, flicker
from tests.support.clips import FRAMES, frame_times, write_clip
from tests.support.fakes import FakeModels


def scored(low: Path, reference: Path | None, *models: FakeModels) -> EvalReport:
    named = dict(zip(("output",), models, strict=False))
    return evaluate_clips(low, reference, named, EvalOptions(as_is=not models), lambda *_: None)


def test_the_flicker_is_that_of_the_part_that_is_still() -> None:
    still, lamp = [0.0, 0.1, 0.0], [0.0, 5.0, 1.0]
    levels = {"input": np.array([still, lamp]).T, "output": np.array([[0.0, 0.5, 0.2], lamp]).T}
    assert flicker({name: list(each) for name, each in levels.items()}) == pytest.approx({"input": 0.1, "output": 0.5})


def test_a_clip_is_scored_frame_by_frame(tmp_path: Path) -> None:
    pytest.importorskip("av")
    low = write_clip(tmp_path / "low.mkv", codec="ffv1", sound=False, level=20, swing=0.2)
    high = write_clip(tmp_path / "high.mkv", codec="ffv1", sound=False, level=40)
    report = scored(low, high, FakeModels(gain=2.0))
    assert [picture.name for picture in report.pictures] == [f"frame {number:06}" for number in range(FRAMES)]
    assert report.columns == ("input", "output")
    assert report.mean("output").values["psnr"] > report.mean("input").values["psnr"]
    assert report.flicker["input"] == pytest.approx(np.log2(1.2), abs=0.05)
    assert report.flicker["reference"] < report.flicker["input"]
    assert report.as_dict()["summary"]["flicker"] == report.flicker


def test_clips_of_different_length_or_size_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("av")
    clip = write_clip(tmp_path / "a.mkv", sound=False)
    with pytest.raises(DataError, match="expected clips of as many frames, got 5"):
        scored(clip, write_clip(tmp_path / "b.mkv", sound=False, times=frame_times(5)))
    with pytest.raises(DataError, match="expected clips of one size, got 64x48 and a reference of 96x64"):
        scored(clip, write_clip(tmp_path / "c.mkv", sound=False, size=(96, 64)))


def test_a_clip_and_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert are_clips([tmp_path / "a.mp4"], tmp_path / "a.mp4")
    assert not are_clips([tmp_path], None)
    with pytest.raises(UsageError, match="expected two clips"):
        are_clips([tmp_path / "a.mp4"], tmp_path)
