"""What is said after a batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.batch.job import Job
from lumen.batch.plan import Plan
from lumen.batch.report import Outcome, Report, Status
from lumen.batch.skipping import AGAIN
from lumen.cli.views.notes import MOST_REASONS, notes_after
from lumen.config import BatchOptions
from tests.support.batches import block_of

INTO = BatchOptions(output=Path("out"))


def ended(*outcomes: tuple[Status, str], options: BatchOptions = INTO) -> tuple[list[str], str]:
    jobs = tuple(Job(source=Path(f"in/{n}.jpg"), target=Path(f"out/{n}.jpg")) for n in range(len(outcomes)))
    report = Report(total=len(jobs))
    for job, (status, reason) in zip(jobs, outcomes, strict=True):
        report.add(Outcome(source=job.source, target=job.target, status=status, reason=reason))
    return notes_after(Plan(blocks=[block_of(*jobs)]), report, options)


@pytest.mark.parametrize(
    ("statuses", "place"),
    [
        (["done", "skipped", "failed"], "the results are in out"),
        (["skipped", "skipped"], "the results are in out"),
        (["done"], "the result is out/0.jpg"),
        (["planned"], "the result would be out/0.jpg"),
        (["planned", "planned"], "the results would be in out"),
        (["failed"], ""),
    ],
)
def test_the_last_line_says_where_the_results_lie(statuses: list[Status], place: str) -> None:
    assert ended(*((status, "") for status in statuses))[1] == place


def test_in_place_the_results_are_the_pictures() -> None:
    placed, kept = BatchOptions(in_place=True), BatchOptions(in_place=True, backup=Path("kept"))
    one, two = "the picture itself was replaced", "the pictures themselves were replaced"
    assert ended(("done", ""), options=placed)[1] == f"{one} without a backup"
    assert ended(("done", ""), ("done", ""), options=placed)[1] == f"{two} without a backup"
    assert ended(("done", ""), options=kept)[1] == f"{one}; the original is in kept"
    assert ended(("done", ""), ("done", ""), options=kept)[1] == f"{two}; the originals are in kept"
    assert ended(("skipped", "before"), options=BatchOptions(in_place=True))[1] == ""


def test_reasons_are_told_once_each_and_those_of_failures_were_told_before() -> None:
    told, _ = ended(("skipped", "a"), ("skipped", "b"), ("skipped", "a"), ("failed", "c"), ("done", ""))
    assert told == ["2 skipped: a", "1 skipped: in/1.jpg: b"]
    told, _ = ended(*(("skipped", str(n)) for n in range(MOST_REASONS + 2)))
    assert told[MOST_REASONS:] == ["... and for 2 more reasons; -v names each file with its own"]


def test_advice_for_results_of_other_settings_names_what_it_would_do() -> None:
    other = f"the result exists, made with other settings (--ev -2, now 0); {AGAIN}"
    (one,), _ = ended(("skipped", other), ("done", ""))
    assert one.startswith("1 skipped: in/0.jpg: the result exists")
    assert one.endswith("; name it alone with --existing overwrite to make it again")
    (several,), _ = ended(("skipped", other), ("skipped", other))
    assert "--existing overwrite would make all of them again" in several
    (alone,), _ = ended(("skipped", other))
    assert alone.endswith(AGAIN)
