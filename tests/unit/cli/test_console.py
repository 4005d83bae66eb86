from __future__ import annotations

import logging

import pytest

from lumen.cli.console import log_console, make_console, note, start_logging, training_view
from lumen.cli.state import State


@pytest.fixture(autouse=True)
def _own_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore after each test what `start_logging` changes."""
    logger = logging.getLogger("lumen")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, name, getattr(logger, name))


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
