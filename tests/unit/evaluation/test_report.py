"""Means, ranks, exit codes and JSON of what was found."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from lumen.errors import Exit
from lumen.evaluation import (
    MATCHED,
    OUTPUT,
    EvalOptions,
    PictureScores,
    Score,
    evaluate,
    score,
)
from lumen.evaluation.pairs import Problem
from tests.support.scores import noise, report_of, save, scored


def test_equal_pictures_are_counted_and_left_out_of_the_mean(low: Path, high: Path) -> None:
    for name, other in (("equal", 1), ("b", 2), ("c", 3)):
        save(low / f"{name}.png", noise(1))
        save(high / f"{name}.png", noise(other))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    expected = [score(noise(1), noise(seed)) for seed in (1, 2, 3)]
    assert report.equal(OUTPUT) == 1
    assert report.mean(OUTPUT).psnr == pytest.approx((expected[1].psnr + expected[2].psnr) / 2)
    assert report.mean(OUTPUT).ssim == pytest.approx(sum(found.ssim for found in expected) / 3)


def test_when_all_pictures_are_equal_the_mean_is_infinite_and_null_in_json(low: Path, high: Path) -> None:
    save(low / "a.png", noise(1))
    save(high / "a.png", noise(1))
    report = evaluate(low, high, None, EvalOptions(as_is=True))
    assert math.isinf(report.mean(OUTPUT).psnr)
    summary = json.loads(json.dumps(report.as_dict(), allow_nan=False))["summary"]
    assert (
        summary["mean"][OUTPUT] | {"psnr": None, "ssim": pytest.approx(1.0), "mae": 0.0, "mse": 0.0, "equal": 1}
        == (summary["mean"][OUTPUT])
    )
    json.dumps(report.pictures[0].as_dict(), allow_nan=False)


def test_a_report_of_nothing_has_all_failed() -> None:
    report = report_of(problems=(Problem(name="a", reason="why"),))
    assert report.exit_code is Exit.ALL_FAILED
    assert report.columns == ()
    assert report.as_dict()["summary"]["mean"] == {}


def test_json_of_a_picture_carries_the_exposure_only_where_it_was_asked() -> None:
    plain = PictureScores(name="a", width=2, height=1, scores={OUTPUT: Score({"psnr": 30.0, "ssim": 0.9})})
    assert plain.as_dict() == {"name": "a", "width": 2, "height": 1, "output": {"psnr": 30.0, "ssim": 0.9}}
    asked = PictureScores(name="a", width=2, height=1, scores={}, evs={MATCHED: 0.5})
    assert asked.as_dict()["ev"] == 0.5
    several = PictureScores(name="a", width=2, height=1, scores={}, evs={"a": 0.5, "b": 1.0})
    assert several.as_dict()["ev"] == {"a": 0.5, "b": 1.0}


def test_the_worst_come_first_by_the_method_and_not_by_the_input() -> None:
    psnrs = {"a": (1, 20), "b": (9, 10), "c": (5, math.inf)}
    report = report_of(*(scored(name, input={"psnr": x}, output={"psnr": y}) for name, (x, y) in psnrs.items()))
    assert [picture.name for picture in report.ranked()] == ["b", "a", "c"]


def test_without_references_the_worst_come_first_by_niqe() -> None:
    report = report_of(*(scored(name, output={"niqe": niqe}) for name, niqe in (("a", 4.0), ("b", 9.0), ("c", 2.0))))
    assert report.ranked_by is not None and report.ranked_by.key == "niqe"
    assert [picture.name for picture in report.ranked()] == ["b", "a", "c"]


def test_a_picture_without_a_score_is_the_worst() -> None:
    report = report_of(scored("a", output={"psnr": 3.0}), scored("b", input={"psnr": 9.0}))
    assert report.main == "output"
    assert [picture.name for picture in report.ranked()] == ["b", "a"]


def test_what_any_picture_has_is_measured_in_the_order_of_the_table() -> None:
    report = report_of(scored("a", input={"black": 0.1}), scored("b", output={"psnr": 9.0}, reference={"cast": 0.2}))
    assert [measure.key for measure in report.measures] == ["psnr", "cast", "black"]
    assert report.columns == ("input", "output")
    assert report.described == ("input", "output", "reference")


def test_a_method_that_is_called_like_another_column_is_still_told_from_it() -> None:
    report = replace(report_of(scored("a", output={"psnr": 30.0}, gamma={"psnr": 20.0})), method="gamma")
    assert [report.title(column) for column in report.columns] == ["output", "gamma"]
    assert replace(report, method="lumen-s").title("gt_mean") == "lumen-s GT-mean"
