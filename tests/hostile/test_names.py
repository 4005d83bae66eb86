"""Names and places for output that are meant badly: nothing of the work is lost, and no terminal obeys."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import ENVIRONMENT, command, save, tree
from tests.support.fakes import write_fake_onnx

REPORTS = ("r.json", "r.csv", "r.md", "r.html")
FULL = Path("/dev/full")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with `low` and `high` that hold a.png and b.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        pair(name)
    return tmp_path


def pair(name: str) -> None:
    for folder in ("low", "high"):
        save(Path(folder, f"{name}.png"))


def lumen(*arguments: object, shell: str = "", **variables: str) -> tuple[int, str, str]:
    """Run a command, with words of a shell behind it; return exit code, stdout and stderr."""
    line = command(*arguments)
    wanted: Any = ["sh", "-c", f'"$@" {shell}', "sh", *line] if shell else line
    ended = subprocess.run(wanted, env=ENVIRONMENT | variables, capture_output=True, timeout=120, check=False)
    out, err = (each.decode("utf-8", "backslashreplace") for each in (ended.stdout, ended.stderr))
    return ended.returncode, out, err


def reports() -> list[object]:
    return [word for name in REPORTS for word in ("--report", name)]


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are text there")
def test_names_that_are_no_text_are_in_every_report(fake_model: Path) -> None:
    pair(os.fsdecode(b"caf\xe9"))
    Path(os.fsdecode(b"low/alone\xff.png")).write_bytes(b"no picture")
    code, out, err = lumen("eval", "low", "--gt", "high", "-m", fake_model, *reports())
    assert code == 3, err  # one has no partner
    assert "Traceback" not in err and "caf\\udce9" in out
    texts = {name: Path(name).read_text(encoding="utf-8") for name in REPORTS}
    assert all("udce9" in text and "udcff" in text for name, text in texts.items() if name != "r.csv")
    assert "caf\\udce9" in texts["r.csv"]
    assert json.loads(texts["r.json"])["summary"]["pictures"] == 3
    assert lumen("eval", "--check", "r.csv")[0] == 0


@pytest.mark.parametrize("encoding", ["cp932", "latin-1", "cp437", "koi8-r", "ascii"])
def test_characters_that_an_encoding_lacks_are_replaced(fake_model: Path, encoding: str) -> None:
    for name in ("日本", "ü–ß", "привет", "😀"):
        pair(name)
    save(Path("high/ü alone.png"))
    code, out, err = lumen("eval", "low", "--gt", "high", "-m", fake_model, *reports(), PYTHONIOENCODING=encoding)
    assert (code, "Traceback" in err) == (3, False), err
    assert all(Path(name).is_file() for name in REPORTS)
    assert "mean of 6" in out
    line = ("enhance", "low", "-o", "out", "--gt", "high", "-m", fake_model, "-v")
    code, out, err = lumen(*line, PYTHONIOENCODING=encoding)
    assert (code, "mean of 6" in out) == (0, True), err
    assert len(list(Path("out").glob("*.png"))) == 6


def test_no_terminal_obeys_a_model(folder: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\nlumen: all is well; data range 1"
    model = write_fake_onnx(folder / "m.onnx", radius=0, name=evil)
    odd = folder / "\x1b[31mn\n.onnx"
    write_fake_onnx(odd, radius=0, name="n")
    for line in (
        ("eval", "low", "--gt", "high", "-m", model, "-m", odd, "-v", "--report", "r.md", "--report", "r.html"),
        ("enhance", "low", "-o", "out", "-m", model, "-v"),
        ("watch", "low", "watched", "-m", model, "--oneshot", "--settle", "50ms", "-v"),
        ("watch", "--status", "watched"),
    ):
        code, out, err = lumen(*line)
        assert code == 0, err
        for text in (out, err):
            assert "\x1b" not in text and "\x07" not in text
            assert not any(each.startswith("lumen: all is well") for each in text.splitlines())
            assert not any(each.strip(" ;") == "data range 1" for each in text.splitlines())
    assert all("\x1b" not in Path(name).read_text(encoding="utf-8") for name in ("r.md", "r.html"))


@pytest.mark.parametrize("fact", ["precision", "sample", "thumbnail", "contract"])
def test_no_terminal_obeys_other_words_of_a_model(folder: Path, fact: str) -> None:
    import onnx

    model = write_fake_onnx(folder / "m.onnx", radius=0)
    graph = onnx.load(model)
    for entry in graph.metadata_props:
        if entry.key == f"lumen.{fact}":
            entry.value = json.dumps("\x1b[2J\nlumen: all is well")
    onnx.save(graph, model)
    code, out, err = lumen("eval", "low", "--gt", "high", "-m", model, "-v")
    assert code in (0, 5), err
    assert "\x1b" not in out + err
    assert not any(each.startswith("lumen: all is well") for each in (out + err).splitlines())


def test_a_spreadsheet_computes_no_name(fake_model: Path) -> None:
    names = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1")
    for name in names:
        pair(name)
    model = Path("=HYPERLINK(1).onnx")
    model.write_bytes(fake_model.read_bytes())
    code, _, err = lumen("eval", "low", "--gt", "high", "-m", model, "-m", fake_model, "--report", "r.csv")
    assert code == 0, err
    with Path("r.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert {row[0] for row in rows} == {"a", "b", *(f"'{name}" for name in names)}
    assert "'=HYPERLINK(1)" in {row[1] for row in rows}
    for row in rows:
        assert not [cell for cell in row[:2] if cell.startswith(("=", "+", "-", "@", "\t"))]
        assert all(cell == "" or isinstance(float(cell), float) for cell in row[2:]), header
    code, out, err = lumen("eval", "--check", "r.csv")
    assert "=HYPERLINK(1): 7 pictures" in out and "'=HYPERLINK" not in out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ssim\n0.9\n2\n", "SSIM is impossible in 1 of 2"),
        ("psnr\n20\n-5\n", "PSNR is impossible in 1 of 2"),
        ("psnr\nnan\n", "PSNR is impossible in 1 of 1"),
        ("psnr\n-inf\n", "PSNR is impossible"),
        ("ssim\nNaN\n", "SSIM is impossible"),
        ("mae,mse\n-1,-1\n", "MSE is impossible"),
        ("name,psnr\n" + "a,20,5,5\n", ""),
        ("psnr,ssim\n20,-0.1\ninf,1.0\n0,1.0000000001\n", ""),
    ],
)
def test_impossible_scores_are_refused(text: str, says: str) -> None:
    Path("scores.csv").write_text(text, encoding="utf-8")
    code, _, err = lumen("eval", "--check", "scores.csv")
    assert code == (3 if says else 0), err
    assert says in err
    assert (err == "") == (not says)


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("shell", ["2>/dev/full", "2>/dev/full >/dev/full", "2>&1 | head -2"])
@pytest.mark.parametrize("verbose", [(), ("-v",)])
def test_a_batch_goes_on_where_nobody_can_be_told(fake_model: Path, shell: str, verbose: tuple[str, ...]) -> None:
    for index in range(6):
        save(Path("low", f"{index}.png"))
    Path("low/1.png").write_bytes(b"no picture")
    code, _, _ = lumen("enhance", "low", "-o", "out", "-m", fake_model, *verbose, shell=shell)
    assert code in ((0,) if "|" in shell else (3,))  # of a pipe it is that of `head`
    assert len([name for name in tree() if name.endswith(".png")]) == 7
    (record,) = Path("out/.lumen/runs").iterdir()
    records = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    assert sum("status" in line for line in records) == 8


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_reports_are_written_and_the_code_holds_where_nobody_can_be_told(fake_model: Path) -> None:
    line = ("eval", "low", "--gt", "high", "-m", fake_model, *reports())
    assert lumen(*line, shell="2>/dev/full")[0] == 0
    for shell, wanted in ((">/dev/full", 6), ("2>&1 | true", 0), ("2>/dev/full >/dev/full", 6)):
        for name in REPORTS:
            Path(name).unlink()
        assert lumen(*line, shell=shell)[0] == wanted
        assert all(Path(name).is_file() for name in REPORTS), shell
    assert lumen("enhance", "nothing", "-o", "out", shell="2>/dev/full")[0] == 2
    assert lumen("no-such-command", shell="2>/dev/full")[0] == 2


def test_nothing_is_scored_for_a_report_that_cannot_be_written(fake_model: Path) -> None:
    Path("file").touch()
    code, out, err = lumen("eval", "low", "--gt", "high", "-m", fake_model, "--report", "file/r.csv")
    assert (code, out) == (6, "")
    assert len(err.splitlines()) == 1 and err.startswith("lumen: ")


def test_a_watcher_goes_on_where_nobody_can_be_told(fake_model: Path) -> None:
    if not FULL.exists():
        pytest.skip("needs /dev/full")
    line = ("watch", "low", "out", "-m", fake_model, "--oneshot", "--settle", "50ms", "--min-free", "0")
    assert lumen(*line, shell="2>/dev/full")[0] == 0
    assert [name for name in tree() if name.endswith(".png")] == ["a.png", "b.png"]
