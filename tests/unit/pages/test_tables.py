"""Tables hold every number, and text stays text."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from lumen.evaluation import EvalReport, PictureScores, Score
from lumen.evaluation.pairs import Problem
from lumen.pages.tables import csv_of, json_of, markdown_of


@pytest.fixture
def report() -> EvalReport:
    return EvalReport(
        pictures=(
            PictureScores(
                name="a|b",
                width=3,
                height=2,
                scores={
                    "input": Score({"psnr": 7.123456789, "ssim": 0.25}),
                    "output": Score({"psnr": math.inf, "ssim": 1.0}),
                },
                reference=Score({"brightness": 0.5}),
            ),
            PictureScores(
                name="c",
                width=3,
                height=2,
                scores={"input": Score({"psnr": 8.0, "ssim": 0.5}), "output": Score({"psnr": 61.0, "ssim": 0.75})},
            ),
        ),
        problems=(Problem(name="<d>", reason="no *reference*"),),
        protocol="one; two",
    )


def test_csv_has_a_line_for_each_picture_and_method(report: EvalReport) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_of(report))))
    assert [(row["picture"], row["method"]) for row in rows] == [
        ("a|b", "input"),
        ("a|b", "output"),
        ("a|b", "reference"),
        ("c", "input"),
        ("c", "output"),
    ]
    assert float(rows[0]["psnr"]) == 7.123456789
    assert float(rows[1]["psnr"]) == math.inf
    assert rows[2]["psnr"] == "" and rows[2]["brightness"] == "0.5"


def test_json_is_strict_and_complete(report: EvalReport) -> None:
    found = json.loads(json_of(report), parse_constant=pytest.fail)
    assert found["pictures"][0]["output"] == {"psnr": None, "ssim": 1.0}
    assert found["problems"] == [{"name": "<d>", "error": "no *reference*"}]
    assert found["summary"]["median"]["input"]["psnr"] == pytest.approx(7.5617283945)
    assert found["summary"]["spread"]["input"]["ssim"] == 0.125
    assert "above 50 dB" in found["summary"]["warnings"][0]


def test_markdown_escapes_what_would_be_markup(report: EvalReport) -> None:
    text = markdown_of(report)
    assert "# Scores of 2 pictures" in text
    assert "| a\\|b | 7.12 | 0.2500 | inf | 1.0000 |" in text
    assert "| input | mean | 7.56 | 0.3750 | – |" in text
    assert "- \\<d\\>: no \\*reference\\*" in text
    assert "> **Warning:** output: 1 of 2 pictures are above 50 dB" in text
    assert text.index("| c |") < text.index("| a\\|b |"), "the worst output comes first"
    assert "- one\n- two\n" in text


def test_an_empty_report_says_so() -> None:
    empty = EvalReport(pictures=(), problems=(Problem(name="x", reason="why"),), protocol="p")
    assert "- x: why" in markdown_of(empty)
    assert csv_of(empty) == "picture,method,width,height\n"
