"""What of a run is scored."""

from __future__ import annotations

from pathlib import Path, PurePath

from lumen.batch.job import Job
from lumen.batch.plan import Plan
from lumen.batch.report import Outcome, Report
from lumen.cli.views.scores import results_of
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
