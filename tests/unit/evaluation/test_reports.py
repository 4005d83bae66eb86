"""Reports hold every number, and text stays text."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from lumen.errors import OutputError, UsageError
from lumen.evaluation import EvalReport
from lumen.evaluation.pairs import Problem
from lumen.evaluation.reports import check_targets, csv_of, json_of, markdown_of, previews_for, write_reports
from tests.support.scores import report_of, two_pictures


@pytest.fixture
def report() -> EvalReport:
    return two_pictures()


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
    assert "# Scores: 2 pictures" in text
    assert "| a\\|b | 7.12 | 0.2500 | inf | 1.0000 |" in text
    assert "| input | mean | 7.56 | 0.3750 | – |" in text
    assert "- \\<d\\>: no \\*reference\\*" in text
    assert "> **Warning:** output: 1 of 2 pictures are above 50 dB" in text
    assert text.index("| c |") < text.index("| a\\|b |"), "the worst output comes first"
    assert "- one\n- two\n" in text
    named = markdown_of(replace(report, data="a*b/low", method="lumen-s"))
    assert "# Scores of a\\*b/low: 2 pictures" in named and "| lumen-s | mean |" in named


def test_an_empty_report_says_so() -> None:
    empty = report_of(problems=(Problem(name="x", reason="why"),))
    assert "- x: why" in markdown_of(empty)
    assert csv_of(empty) == "picture,method,width,height\n"


def test_the_suffix_decides_what_is_written(report: EvalReport, tmp_path: Path) -> None:
    names = ("a.json", "b.CSV", "new/c.md", "d.htm")
    write_reports(report, [tmp_path / name for name in names])
    written = [(tmp_path / name).read_text(encoding="utf-8") for name in names]
    assert written[:3] == [json_of(report), csv_of(report), markdown_of(report)]
    assert written[3].startswith("<!DOCTYPE html>")


def test_a_report_that_cannot_be_written_is_an_error(report: EvalReport, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        write_reports(report, [tmp_path / "file" / "a.csv"])


@pytest.mark.parametrize(("name", "says"), [("scores.doc", ".json"), ("scores", ".json"), ("low.csv", "apart from")])
def test_targets_are_checked_before_the_work(tmp_path: Path, name: str, says: str) -> None:
    check_targets([tmp_path / "good.csv", tmp_path / "page.HTML"], [tmp_path / "low.csv"])
    with pytest.raises(UsageError, match=says):
        check_targets([tmp_path / name], [tmp_path / "low.csv"])
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Not a directory"):
        check_targets([tmp_path / "file/page.html"], [])
    with pytest.raises(OutputError, match="Not a directory"):
        check_targets([], [], tmp_path / "file/saved")


def test_only_pages_need_previews() -> None:
    assert previews_for([Path("a.csv"), Path("b.md")]) is None
    assert previews_for([Path("a.csv"), Path("b.HTML")]) is not None
