"""`lumen eval` as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import ROOT, Run


def picture(seed: int, top: int, size: tuple[int, int] = (24, 32)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, top, (*size, 3)).astype(np.uint8)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder with `low` and `high`: `a` is half as bright, `b` is another picture."""
    for name in ("low", "high"):
        (tmp_path / name).mkdir()
    half = picture(1, 100)
    Image.fromarray(half).save(tmp_path / "low" / "a.png")
    Image.fromarray(half * 2).save(tmp_path / "high" / "a.png")
    Image.fromarray(picture(2, 100)).save(tmp_path / "low" / "b.png")
    Image.fromarray(picture(3, 256)).save(tmp_path / "high" / "b.tif")
    return tmp_path


def test_prints_scores_means_and_the_protocol(pairs: Path, fake_model: Path, lumen_command: Run) -> None:
    done = lumen_command("eval", "--gt", "high", "low", "--model", fake_model, "--device", "cpu", cwd=pairs)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["picture", "input", "PSNR", "SSIM", "output", "PSNR", "SSIM"]
    assert lines[1].split()[0] == "a"
    assert lines[1].split()[3:] == ["inf", "1.0000"]
    assert lines[3].startswith("mean of 2")
    assert "1 equal to the reference" in done.stdout
    assert "data range 255" in done.stdout
    assert "model fake on cpu" in done.stdout
    assert done.stderr.splitlines() == ["[1/2] a", "[2/2] b"]


def test_extra_columns_stand_beside_the_plain_ones(pairs: Path, fake_model: Path, lumen_command: Run) -> None:
    done = lumen_command(
        "eval", "--gt", "high", "low", "-m", fake_model, "--gt-mean", "--match-brightness", "--json", cwd=pairs
    )
    assert done.returncode == 0, done.stderr
    *pictures, last = map(json.loads, done.stdout.splitlines())
    assert [entry["name"] for entry in pictures] == ["a", "b"]
    assert set(pictures[1]) == {"name", "width", "height", "input", "output", "gt_mean", "match_brightness", "ev"}
    assert pictures[0]["output"]["psnr"] is None
    assert last["summary"]["pictures"] == 2
    assert last["summary"]["mean"]["output"]["equal"] == 1
    assert last["summary"]["mean"]["output"]["psnr"] == pictures[1]["output"]["psnr"]


def test_the_table_of_all_columns_has_a_cell_for_each(pairs: Path, fake_model: Path, lumen_command: Run) -> None:
    done = lumen_command("eval", "--gt", "high", "low", "-m", fake_model, "--gt-mean", "--match-brightness", cwd=pairs)
    header, first, _, mean = done.stdout.splitlines()[:4]
    assert header.endswith("EV")
    assert len(first.split()) == 1 + 4 * 2 + 1
    assert len(mean.split()) == 3 + 4 * 2


def test_saved_results_score_the_same_as_is(pairs: Path, fake_model: Path, lumen_command: Run) -> None:
    first = lumen_command("eval", "--gt", "high", "low", "-m", fake_model, "--save", "kept", "--json", cwd=pairs)
    again = lumen_command("eval", "--gt", "high", "kept", "--as-is", "--json", cwd=pairs)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    scores = [[json.loads(line).get("output") for line in done.stdout.splitlines()] for done in (first, again)]
    assert scores[0] == scores[1]


def test_what_cannot_be_scored_is_named_and_ends_with_3(pairs: Path, fake_model: Path, lumen_command: Run) -> None:
    Image.fromarray(picture(4, 100)).save(pairs / "low" / "alone.png")
    Image.fromarray(picture(5, 100, (20, 20))).save(pairs / "low" / "b.png")
    done = lumen_command("eval", "--gt", "high", "low", "-m", fake_model, cwd=pairs)
    assert done.returncode == 3
    assert "not scored: alone: expected a picture of this name in high, found none" in done.stderr
    assert "not scored: b: expected one size" in done.stderr
    assert "not scored: 2" in done.stdout


def test_nothing_in_common_ends_with_4(pairs: Path, lumen_command: Run) -> None:
    (pairs / "empty").mkdir()
    done = lumen_command("eval", "--gt", "empty", "low", "--as-is", cwd=pairs)
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("lumen: expected pictures of the same name")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--gt", "high"], "LOW"),
        (["low"], "--gt"),
        (["--gt", "high", "missing"], "missing"),
        (["--gt", "high", "low", "--as-is", "--model", "x.onnx"], "--as-is or --model"),
        (["--gt", "high", "low", "--as-is", "--device", "cpu"], "--as-is or --device"),
        (["--gt", "high", "low", "--as-is", "--save", "kept"], "--as-is or --save"),
        (["--gt", "high", "low", "--as-is", "--match-brightness"], "--as-is or --match-brightness"),
        (["--gt", "high", "low", "--save", "low/kept"], "--save"),
        (["--gt", "high", "low", "--device", "tpu"], "--device"),
        (["--gt", "high/a.png", "low"], "two folders or two files"),
    ],
)
def test_wrong_usage_ends_with_2(pairs: Path, lumen_command: Run, arguments: list[str], says: str) -> None:
    done = lumen_command("eval", *arguments, cwd=pairs)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr


def test_an_unknown_model_ends_with_5(pairs: Path, lumen_command: Run) -> None:
    done = lumen_command("eval", "--gt", "high", "low", "-m", "no-such-model", cwd=pairs)
    assert done.returncode == 5
    assert "no-such-model" in done.stderr


def test_an_unwritable_folder_ends_with_6(pairs: Path, fake_model: Path, lumen_command: Run) -> None:
    (pairs / "kept").write_text("in the way")
    done = lumen_command("eval", "--gt", "high", "low", "-m", fake_model, "--save", "kept", cwd=pairs)
    assert done.returncode == 6


@pytest.mark.parametrize(("flags", "spins"), [((), True), (("-q",), False)])
def test_the_spinner_is_silent_with_q(pairs: Path, flags: tuple[str, ...], spins: bool) -> None:
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    command = [sys.executable, "-m", "lumen", *flags, "eval", "--gt", "high", "low", "--as-is"]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment, cwd=pairs) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    assert process.returncode == 0
    assert (b"2/2" in shown) is spins


def _read(terminal: int) -> bytes:
    """Read what is there; on Linux the end of a pseudo-terminal is an error."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
