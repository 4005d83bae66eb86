from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lumen.batch.job import Job
from lumen.batch.report import Outcome, Report, Status
from lumen.cli.state import State
from lumen.cli.views.batch import BatchView
from lumen.cli.views.console import LogHandler, start_logging
from tests.support.fakes import Clock

JOB = Job(source=Path("in/[red]a.jpg"), target=Path("out/[red]a.jpg"))


def outcome(status: Status, reason: str = "", *warnings: str, name: str = "[red]a.jpg", **facts: Path) -> Outcome:
    places = {"source": Path("in", name), "target": Path("out", name)} | facts
    source, target = places["source"], places["target"]
    return Outcome(
        source=source, target=target, status=status, reason=reason, seconds=0.5, megapixels=2, warnings=warnings
    )


def show(state: State, *outcomes: Outcome, as_json: bool = False) -> None:
    start_logging(state)
    report = Report(total=len(outcomes), seconds=1.0)
    with BatchView(state, as_json=as_json, clock=Clock()) as view:
        view.started(len(outcomes))
        for each in outcomes:
            view.progressed(JOB, 0.5, 2.0)
            view.finished(each)
            report.add(each)
        view.summarize(report)


def test_the_error_that_ends_the_run_is_left_to_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    show(State(), replace(outcome("failed", "the disk is full"), stops_run=True))
    assert capsys.readouterr().err == "1 failed\n"


ALL = (outcome("done", "", "no XMP"), outcome("skipped", "the result exists"), outcome("failed", "damaged"))


def test_off_a_terminal_lines_are_plain_and_failures_come_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    show(State(), *ALL)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "warning: in/[red]a.jpg: no XMP",
        "failed: in/[red]a.jpg: damaged",
        "1 done, 1 skipped, 1 failed (see above) in 1.0 s (2.00 megapixels/s)",
    ]


def lines(capsys: pytest.CaptureFixture[str], files: int, seconds: float, work: Callable[[int], Outcome]) -> list[str]:
    """Return what is said off a terminal about a run whose files take a time each."""
    start_logging(State())
    clock = Clock()
    with BatchView(State(), clock=clock) as view:
        view.started(files)
        for index in range(files):
            for part in range(1, 11):
                clock.now += seconds / 10
                view.progressed(JOB, part / 10, 2.0)
            view.finished(work(index))
    return capsys.readouterr().err.splitlines()


def test_a_fast_run_has_a_line_for_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(capsys, 1000, 0.02, lambda _: outcome("done"))
    assert [line.split(" ")[4] for line in said] == [f"({share}%" for share in range(10, 100, 10)]
    assert said[3] == "399 of 1000 files (40% of the pixels), 100.00 MP/s, 12 s left"


def test_a_run_that_is_over_at_once_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, 50, 0.01, lambda _: outcome("done")) == []


def test_a_slow_run_has_a_line_every_thirty_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(capsys, 30, 300.0, lambda _: outcome("done"))
    assert len(said) == pytest.approx(30 * 300 / 30, abs=12)
    assert said[0] == "0 of 30 files (0% of the pixels), 0.01 MP/s, 2 h 30 min left"
    assert said[100].endswith("0.01 MP/s, 1 h 40 min left")


def test_one_slow_picture_is_heard_of_too(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(capsys, 1, 100.0, lambda _: outcome("done"))
    assert [line.split(",")[0] for line in said] == [
        f"0 of 1 files ({share}% of the pixels)" for share in range(10, 100, 10)
    ]


def test_every_failure_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(capsys, 200, 0.1, lambda index: outcome("failed", "damaged", name=f"{index}.jpg"))
    assert sum(line.startswith("failed: in/") for line in said) == 200
    assert [line for line in said if " of 200 files" in line][4].endswith(", 99 failed")


def test_files_that_failed_before_the_work_are_not_counted_among_it(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State(verbosity=1))
    with BatchView(State(verbosity=1)) as view:
        view.finished(outcome("failed", "the name is too long"))
        view.started(1)
        view.finished(outcome("done"))
    assert "[1/1] in/[red]a.jpg" in capsys.readouterr().err


def test_quiet_says_nothing_but_failures(capsys: pytest.CaptureFixture[str]) -> None:
    show(State(verbosity=-1), *ALL)
    assert capsys.readouterr().err == "failed: in/[red]a.jpg: damaged\n"


def test_verbose_names_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    show(State(verbosity=1), *ALL)
    err = capsys.readouterr().err
    assert "[1/3] in/[red]a.jpg -> out/[red]a.jpg (2.00 MP, 0.50 s)" in err
    assert "skipped: in/[red]a.jpg: the result exists" in err


def test_what_is_replaced_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    show(State(), outcome("planned", target=Path("in/[red]a.jpg")))
    assert capsys.readouterr().err.splitlines() == ["in/[red]a.jpg", "1 to do"]


def test_json_is_all_that_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    show(State(), *ALL, as_json=True)
    out, err = capsys.readouterr()
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["done", "skipped", "failed"]
    assert "->" not in err


def test_a_run_that_never_started_has_no_summary(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State())
    with BatchView(State()) as view:
        view.summarize(Report(total=3))
    assert capsys.readouterr().err == ""


def test_a_request_to_stop_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    for verbosity in (0, -1):
        start_logging(State(verbosity=verbosity))
        with BatchView(State(verbosity=verbosity)) as view:
            view.stopping()
    assert capsys.readouterr().err == "stopping after the current file; press Ctrl-C again to stop at once\n"


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TERM", "xterm")
    state, clock = State(), Clock()
    console = Console(stderr=True, force_terminal=True, width=140, markup=False, highlight=False)
    handler = LogHandler(state)
    handler.console = console
    monkeypatch.setattr(logging.getLogger("lumen"), "handlers", [handler])
    with BatchView(state, clock=clock) as view:
        view.started(4)
        clock.now += 10
        view.finished(outcome("done"))
        view.finished(outcome("failed", "damaged", name="b.jpg"))
        view.progressed(JOB, 0.5, 2.0)
        view.summarize(Report(total=4, counts={"done": 2, "skipped": 0, "failed": 0, "planned": 0}))
    err = capsys.readouterr().err
    for text in ("2/4 files", "[red]a.jpg", "0.50 MP/s", "6 s left", "1 failed", "failed: in/b.jpg: damaged", "2 done"):
        assert text in err
    assert "of 4 files" not in err
    assert "\x1b[31mfailed: in/b.jpg" in err
    assert "\x1b[31m2/4 files" not in err, "the bar keeps its colours below a failure"


def test_verbose_says_which_pictures_were_fine(capsys: pytest.CaptureFixture[str]) -> None:
    fine = Outcome(
        source=Path("a.jpg"), target=Path("out/a.jpg"), status="done", is_unchanged=True, changes={"ev": 1.0}
    )
    show(State(verbosity=1), fine)
    assert "a.jpg -> out/a.jpg (0.00 MP, 0.00 s, copied: it was fine, ev 1.0)" in capsys.readouterr().err


def test_while_files_are_still_found_lines_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State(verbosity=1))
    with BatchView(State(verbosity=1), clock=Clock()) as view:
        view.started(1200)
        view.counted(1200, is_all=False)
        view.finished(outcome("done", name="a.jpg"))
        view.counted(1300, is_all=True)
        view.finished(outcome("done", name="b.jpg"))
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("[1/1,200+] in/a.jpg")
    assert second.startswith("[2/1300] in/b.jpg")


@pytest.mark.parametrize(
    ("total", "is_counted", "done", "said"),
    [
        (3, False, 1, "1 done, 2 or more left in 1.0 s (2.00 megapixels/s)\n"),
        (1, False, 1, "1 done, more left in 1.0 s (2.00 megapixels/s)\n"),
        (3, False, 0, ""),  # the error says why
        (0, False, 0, ""),
        (0, True, 0, "nothing to do\n"),  # a share that got no file
    ],
)
def test_a_run_that_ends_before_all_is_known_says_that_there_is_more(
    capsys: pytest.CaptureFixture[str], total: int, is_counted: bool, done: int, said: str
) -> None:
    report = Report(total=total, is_counted=is_counted, seconds=1.0)
    for _ in range(done):
        report.add(outcome("done"))
    with BatchView(State(), clock=Clock()) as view:
        view.summarize(report)
    assert capsys.readouterr().err == said
