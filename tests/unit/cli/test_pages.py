"""What is said of pages: a warning if one cannot be written, and once that there are any."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from lumen.batch.report import Report
from lumen.cli.main import main
from lumen.cli.pages import PageReport
from lumen.cli.state import State
from lumen.cli.views import console
from lumen.config import BatchOptions
from lumen.errors import DiskFullError, Exit, UsageError
from lumen.files.store_path import StorePath
from tests.support.commands import save


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "in/a.png")


def run(*arguments: object, model: Path) -> int:
    return main(["enhance", "in", "-o", "out", "--model", str(model), "--device", "cpu", *map(str, arguments)])


def test_the_last_line_says_where_the_page_is(fake_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--report", "page.html", model=fake_model) == Exit.OK
    assert capsys.readouterr().err.splitlines()[-1].endswith("the result is out/a.png; the page is page.html")
    assert main(["review", "out"]) == Exit.OK
    assert capsys.readouterr().err.splitlines()[-1] == "the page is out/review.html"


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_a_page_that_cannot_be_written_is_told(
    quiet: tuple[str, ...], fake_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise DiskFullError("no space left")

    monkeypatch.setattr("lumen.review.page.write_page", full)
    assert run("--report", "page.html", *quiet, model=fake_model) == Exit.OUTPUT
    assert "error: the page cannot be written" in capsys.readouterr().err
    assert Path("out/a.png").is_file()


def test_where_no_page_can_be_written_no_picture_is_begun(fake_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert run("--report", "file/page.html", model=fake_model) == Exit.OUTPUT
    assert "cannot write 'file': Not a directory" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "arguments", [("--variants",), ("--report", "in/a.png"), ("--report", "in"), ("--report", "out")]
)
def test_what_makes_no_page_is_refused_at_once(fake_model: Path, arguments: tuple[str, ...]) -> None:
    assert run(*arguments, model=fake_model) == Exit.USAGE
    assert not Path("out").exists()


def test_in_place_has_no_page(fake_model: Path) -> None:
    line = ["enhance", "in", "--in-place", "--report", "x.html", "--model", str(fake_model)]
    assert main(line) == Exit.USAGE


@pytest.mark.parametrize(
    ("runs", "is_terminal", "done", "is_told"),
    [(1, True, 2, True), (2, True, 2, False), (1, False, 2, False), (1, True, 1, False)],
)
def test_the_hint_is_given_once(
    runs: int, is_terminal: bool, done: int, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def __init__(self) -> None:
            self.is_terminal = is_terminal

    monkeypatch.setattr(console, "log_console", lambda _: Terminal())
    records = Path("out/.lumen/runs")
    records.mkdir(parents=True)
    for number in range(runs):
        (records / f"{number}.jsonl").touch()
    options, report = BatchOptions(output=Path("out")), Report(total=done)
    report.counts["done"] = done
    told = PageReport(None, [], options).hint(State(), report)
    assert [line.startswith("`lumen review out` makes a page") for line in told] == [True] * is_told
    assert PageReport(Path("x.html"), [], options).hint(State(), report) == []


def test_results_in_a_store_have_no_page_and_no_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "log_console", lambda _: pytest.fail("nothing is looked for"))
    options, report = BatchOptions(output=StorePath("s3:", "bucket", "out")), Report(total=2)
    report.counts["done"] = 2
    assert PageReport(None, [], options).hint(State(), report) == []
    with pytest.raises(UsageError, match="--report cannot be combined with --out s3://bucket/out"):
        PageReport(Path("x.html"), [], options)
