"""What of a run is scored, and where scores are."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from lumen.batch.job import Job
from lumen.batch.plan import Plan
from lumen.batch.report import Outcome, Report
from lumen.cli.state import State
from lumen.cli.views.console import start_logging
from lumen.cli.views.scores import print_places, results_of
from lumen.config import BatchOptions
from tests.support.batches import Planned, block_of


def plan(folder: Path, *names: str) -> Planned:
    """Return jobs whose results are there."""
    jobs = []
    for name in names:
        target = folder / "out" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        jobs.append(Job(source=folder / "in" / name, target=target))
    return Planned(Plan(blocks=[block_of(job) for job in jobs]))


def test_results_have_the_names_of_their_pictures(tmp_path: Path) -> None:
    todo = plan(tmp_path, "a-lit.png", "x/b-lit.jpg")
    options = BatchOptions(output=tmp_path / "out", suffix="-lit")
    found = results_of(todo.plan, Report(total=2), options)
    assert [result.place for result in found] == [PurePath("a.png"), PurePath("x/b.jpg")]
    assert [result.result for result in found] == [job.target for job in todo.jobs]


def test_what_failed_or_is_not_there_is_no_result(tmp_path: Path) -> None:
    todo = plan(tmp_path, "a.png", "b.png", "c.png")
    todo.jobs[2].target.unlink()
    report = Report(total=3)
    report.add(Outcome(source=todo.jobs[0].source, target=todo.jobs[0].target, status="failed", reason="why"))
    found = results_of(todo.plan, report, BatchOptions(output=tmp_path / "out"))
    assert [result.place for result in found] == [PurePath("b.png")]


@pytest.mark.parametrize(
    ("reports", "save", "line"),
    [
        (["a.csv"], None, "the report is a.csv"),
        (["a.csv", "b.md"], "out", "the reports are a.csv, b.md; the results are in out"),
        ([], "out", "the results are in out"),
    ],
)
def test_the_last_line_names_each_place_once(
    reports: list[str], save: str | None, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging(State())
    print_places(State(), [Path(report) for report in reports], Path(save) if save else None)
    assert capsys.readouterr().err == f"{line}\n"
