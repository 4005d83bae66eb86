from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from rich.console import Console

from lumen.cli.console import BatchView, LogHandler, log_console, make_console, note, start_logging, training_view
from lumen.cli.state import State
from lumen.report import Outcome, Report, Status
from lumen.sources import Job

JOB = Job(source=Path("in/[red]a.jpg"), target=Path("out/[red]a.jpg"))


def outcome(status: Status, reason: str = "", *warnings: str) -> Outcome:
    return Outcome(
        source=JOB.source, target=JOB.target, status=status, reason=reason, seconds=0.5, megapixels=2, warnings=warnings
    )


def show(state: State, *outcomes: Outcome, as_json: bool = False) -> None:
    start_logging(state)
    report = Report(total=len(outcomes), seconds=1.0)
    with BatchView(state, as_json=as_json) as view:
        view.started(len(outcomes))
        for each in outcomes:
            view.progressed(JOB, 0.5)
            view.finished(each)
            report.add(each)
        view.summarize(report)


@pytest.fixture(autouse=True)
def _own_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore after each test what `start_logging` changes."""
    logger = logging.getLogger("lumen")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, name, getattr(logger, name))


ALL = (outcome("done", "", "no XMP"), outcome("skipped", "the result exists"), outcome("failed", "damaged"))


def test_off_a_terminal_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    show(State(), *ALL)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "[1/3] in/[red]a.jpg -> out/[red]a.jpg (2.00 MP, 0.50 s)",
        "warning: in/[red]a.jpg: no XMP",
        "failed: in/[red]a.jpg: damaged",
        "1 done, 1 skipped, 1 failed in 1.0 s (2.00 megapixels/s)",
    ]


def test_files_that_failed_before_the_work_are_not_counted_among_it(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State())
    with BatchView(State()) as view:
        view.finished(outcome("failed", "the name is too long"))
        view.started(1)
        view.finished(outcome("done"))
    assert "[1/1] in/[red]a.jpg" in capsys.readouterr().err


def test_quiet_says_nothing_but_failures(capsys: pytest.CaptureFixture[str]) -> None:
    show(State(verbosity=-1), *ALL)
    assert capsys.readouterr().err == "failed: in/[red]a.jpg: damaged\n"


def test_verbose_names_what_was_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    show(State(verbosity=1), *ALL)
    assert "skipped: in/[red]a.jpg: the result exists" in capsys.readouterr().err


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


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TERM", "xterm")
    state = State()
    console = Console(stderr=True, force_terminal=True, width=120, markup=False, highlight=False)
    monkeypatch.setattr(logging.getLogger("lumen"), "handlers", [LogHandler(console)])
    with BatchView(state) as view:
        view.started(2)
        view.finished(outcome("done"))
        view.progressed(JOB, 0.5)
        view.summarize(Report(total=2, counts={"done": 2, "skipped": 0, "failed": 0, "planned": 0}))
    err = capsys.readouterr().err
    assert "1/2 files" in err
    assert "[red]a.jpg" in err
    assert "MP/s" in err
    assert "2 done" in err


def test_no_color_means_no_escapes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    make_console(State(color=False)).print("x", style="red")
    assert "\x1b[31m" not in capsys.readouterr().out
    make_console(State()).print("x", style="red")
    assert "\x1b[31m" in capsys.readouterr().out


def test_logs_and_progress_share_one_console() -> None:
    start_logging(State())
    assert log_console(State()) is log_console(State())


def test_notes_are_silent_with_q(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State(verbosity=-1))
    note("nothing")
    start_logging(State())
    note("[something]")
    assert capsys.readouterr().err == "[something]\n"


def test_training_off_a_terminal_is_a_line_a_minute_and_every_validation(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State())
    with training_view() as show:
        for iteration in range(1, 100):
            show({"kind": "step", "of": 100, "iteration": iteration, "loss": 0.5, "crops_per_s": 98.2})
        show({"kind": "validation", "iteration": 99, "best": True, "psnr": 21.5})
        show({"kind": "stage", "stage": "brightness", "of": 10})
    assert capsys.readouterr().err.splitlines() == [
        "      1/100  loss 0.5000  98 crops/s",
        "     99  psnr 21.500  best",
        "brightness: 10 iterations",
    ]
