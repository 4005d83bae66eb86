from __future__ import annotations

import pytest

from lumen.cli.state import State
from lumen.cli.views.console import log_console, make_console, note, start_logging


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
