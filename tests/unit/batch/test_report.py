from __future__ import annotations

import json
from pathlib import Path

import pytest

from lumen.batch.report import KEPT, Outcome, Report, Status
from lumen.errors import Exit
from lumen.text import printable


def report(total: int, *statuses: Status) -> Report:
    result = Report(total=total, seconds=2.0)
    for status in statuses:
        result.add(Outcome(source=Path("a"), target=Path("b"), status=status, reason="why", megapixels=3.0))
    return result


@pytest.mark.parametrize(
    ("total", "statuses", "code"),
    [
        (2, ["done", "skipped"], Exit.OK),
        (2, ["done", "failed"], Exit.SOME_FAILED),
        (2, ["skipped", "failed"], Exit.SOME_FAILED),
        (2, ["failed", "failed"], Exit.ALL_FAILED),
        (3, ["failed"], Exit.SOME_FAILED),  # stopped at the first failure
        (1, ["planned"], Exit.OK),
        (0, [], Exit.OK),  # a shard of few files
    ],
)
def test_exit_code(total: int, statuses: list[Status], code: Exit) -> None:
    assert report(total, *statuses).exit_code == code


def test_summary_counts_and_measures() -> None:
    line = report(6, "done", "done", "skipped", "failed").summary()
    assert line == "2 done, 1 skipped, 1 failed (see above), 2 left in 2.0 s (3.00 megapixels/s)"
    assert report(0).summary() == "nothing to do"


def test_only_failures_are_kept() -> None:
    assert [outcome.status for outcome in report(3, "done", "skipped", "failed").failures] == ["failed"]


def test_outcomes_are_json_even_with_names_that_are_no_utf8() -> None:
    outcome = Outcome(source=Path("\udcff.jpg"), target=None, status="failed", reason="why")
    assert json.loads(json.dumps(outcome.as_dict())) == {
        "source": "\udcff.jpg",
        "target": None,
        "status": "failed",
        "reason": "why",
        "seconds": 0.0,
        "megapixels": 0.0,
        "damaged": False,
        "warnings": [],
        "unchanged": False,
    }


@pytest.mark.parametrize(
    ("text", "shown"), [("ä b.jpg", "ä b.jpg"), ("a\nb\x1b[31m", "a\\nb\\x1b[31m"), ("\udcff", "\\udcff")]
)
def test_names_are_shown_on_one_line(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_memory_does_not_grow_with_failures_and_reasons() -> None:
    report = Report(total=5 * KEPT)
    for number in range(2 * KEPT):
        source = Path(f"{number}.jpg")
        report.add(Outcome(source=source, target=source, status="failed", reason=f"why {number}"))
        report.add(Outcome(source=source, target=source, status="skipped", reason=f"why {number}"))
    assert (len(report.failures), len(report.reasons), len(report.examples)) == (KEPT, KEPT, KEPT)
    assert report.counts["failed"] == 2 * KEPT
    assert report.has_failed(Path(f"{2 * KEPT - 1}.jpg"))
    assert not report.has_failed(Path("other.jpg"))
