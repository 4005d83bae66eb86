from __future__ import annotations

import logging

import pytest

from lumen.cli.state import State
from lumen.cli.views.console import log_console, make_console, note, print_line, start_logging
from lumen.errors import LumenError, OutputError
from tests.support.streams import stdout_has_no_reader


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


def test_logs_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State(verbosity=1))
    log = logging.getLogger("lumen.some")
    try:
        raise ValueError("\x1b[2J\nlumen: all is well")
    except ValueError:
        log.warning("model \x1b[2J\nlumen: all is well", exc_info=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "warning: model \\x1b[2J\\nlumen: all is well"
    assert all(line.startswith("  ") for line in lines[1:]) and "  lumen: all is well" in lines


def test_lines_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("a\x1bb\nc")
    assert capsys.readouterr().out == "a\\x1bb\\nc\n"


def test_a_reader_of_stdout_that_has_gone_is_an_output_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout_has_no_reader(monkeypatch)
    with pytest.raises(OutputError, match="stdout was closed"):
        print_line("x")


def test_notes_are_silent_with_q(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State(verbosity=-1))
    note("nothing")
    start_logging(State())
    note("[something]")
    assert capsys.readouterr().err == "[something]\n"


@pytest.mark.parametrize(
    ("verbosity", "error", "shown"), [(1, LumenError(), 0), (2, LumenError(), 1), (1, KeyError(), 1)]
)
def test_tracebacks_of_files_are_for_faults_of_lumen_or_vv(
    verbosity: int, error: Exception, shown: int, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging(State(verbosity=verbosity))
    logging.getLogger("lumen.batch").debug("a.jpg failed", exc_info=error)
    assert capsys.readouterr().err.count("a.jpg failed") == shown
