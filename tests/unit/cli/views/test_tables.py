from __future__ import annotations

import re
import sys

import pytest

from lumen.cli.state import State
from lumen.cli.views.tables import print_table
from lumen.errors import OutputError
from tests.support.streams import stdout_has_no_reader

HEADERS = ["picture", "input PSNR", "SSIM", "a method GT-mean PSNR", "SSIM", "another PSNR", "SSIM", "EV"]
ROWS = [["one", "12.4200", "0.4402", "23.5600", "0.8251", "24.1100", "0.8310", "+0.5"], ["mean", *["1.0000"] * 6, ""]]


def drawn(
    capsys: pytest.CaptureFixture[str], headers: list[str], rows: list[list[str]], *, left: int = 1, group: int = 1
) -> list[str]:
    print_table(State(color=False), headers, rows, left=left, group=group)
    return re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()


def make_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


def test_where_there_is_room_headings_have_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = drawn(capsys, HEADERS, ROWS)
    assert len(lines) == 3
    assert re.split(" {2,}", lines[0]) == HEADERS
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("columns", [60, 40, 24, 18])
def test_on_a_narrow_terminal_no_number_is_cut_in_two(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_terminal(monkeypatch, columns)
    lines = drawn(capsys, HEADERS, ROWS)
    words = " ".join(lines).split()
    assert [word for word in words if word[0].isdigit() and word != "1.0000"] == ROWS[0][1:-1]
    assert {word for header in HEADERS for word in header.split()} <= set(words)
    assert all(len(line) <= columns for line in lines)
    assert (lines.count("") > 0) is (words.count("picture") > 1), "each further table names the pictures again"


def test_columns_of_one_method_stay_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_terminal(monkeypatch, 33)  # picture, and three columns
    for group, numbers in ((1, 3), (2, 2)):
        lines = drawn(capsys, HEADERS, ROWS, group=group)
        assert len(next(line for line in lines if line.startswith("one")).split()) == 1 + numbers


def test_long_texts_wrap_on_a_terminal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [["a.jpg", "a long reason " * 30]]
    make_terminal(monkeypatch, 80)
    lines = drawn(capsys, ["", ""], rows, left=2)
    assert len(lines) > 4 and all(len(line) <= 80 for line in lines)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert drawn(capsys, ["", ""], rows, left=2) == [f"a.jpg  {'a long reason ' * 30}".rstrip()]


def test_wide_characters_take_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(capsys, ["picture", "n"], [["日本", "1"], ["ab", "2"]]) == ["picture  n", "日本     1", "ab       2"]


def test_tables_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(capsys, ["na\x1bme"], [["\x1b[2J\nx"]]) == ["na\\x1bme", "\\x1b[2J\\nx"]


def test_a_reader_of_stdout_that_has_gone_is_an_output_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout_has_no_reader(monkeypatch)
    with pytest.raises(OutputError, match="stdout was closed"):
        print_table(State(), ["x"], [])
