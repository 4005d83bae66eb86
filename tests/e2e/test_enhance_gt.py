"""`lumen enhance --gt`: enhance and score in one run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Run


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder with `low` and `high`: pictures of noise, and brighter ones that differ a little from twice those."""
    rng = np.random.default_rng(1)
    for number in range(3):
        dark = rng.integers(10, 110, (24, 32, 3)).astype(np.uint8)
        bright = dark * 2 + rng.integers(0, 9, dark.shape).astype(np.uint8)
        for folder, pixels in (("low/x", dark), ("high/x", bright)):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    return tmp_path


def tables(text: str) -> list[list[str]]:
    """Return the words that are printed but for the protocol."""
    return [line.split() for line in text.partition("protocol:")[0].splitlines()]


def test_it_ends_with_the_report_of_eval(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    common = ("--gt", "high", "low", "-m", fake_model, "--device", "cpu")
    expected = lumen_here("eval", *common, cwd=pairs)
    first = lumen_here("enhance", "-r", "-o", "out", *common, cwd=pairs)
    assert first.returncode == 0, first.stderr
    # The files may be of earlier runs, with other models: their column has no model's name.
    assert tables(first.stdout) == tables(expected.stdout.replace("fake", "output"))
    assert "mean of 3" in first.stdout
    assert "data range 255" in first.stdout
    again = lumen_here("enhance", "-r", "-o", "out", *common, cwd=pairs)
    assert "3 skipped" in again.stderr
    assert again.stdout == first.stdout


def test_results_of_other_names_and_formats_find_their_references(
    pairs: Path, fake_model: Path, lumen_here: Run
) -> None:
    done = lumen_here(
        "enhance", "low/x", "-o", "out", "--suffix", "-lit", "--format", "webp", "--gt", "high/x", "-m", fake_model,
        "--json", cwd=pairs,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files, scores, (last,) = ([json.loads(line) for line in done.stdout.splitlines()][part] for part in PARTS)
    assert [entry["status"] for entry in files] == ["done"] * 3
    assert [entry["name"] for entry in scores] == ["0", "1", "2"]
    assert set(scores[0]) == {"name", "width", "height", "input", "output", "reference"}
    assert last["summary"]["pictures"] == 3
    assert 10 < last["summary"]["mean"]["output"]["psnr"] < 45, "the loss of the format counts"


def test_one_result_of_another_name_finds_its_reference(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    line = ("enhance", "low/x/0.png", "-o", "better.tif", "--gt", "high/x", "-m", fake_model, "--json")
    done = lumen_here(*line, cwd=pairs)
    assert done.returncode == 0, done.stderr
    assert "; the result is better.tif\n" in done.stderr
    assert json.loads(done.stdout.splitlines()[1])["name"] == "0"


PARTS = (slice(0, 3), slice(3, 6), slice(6, None))


def test_a_missing_reference_is_named_and_ends_with_3(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    (pairs / "high/x/1.png").unlink()
    done = lumen_here("enhance", "low", "-r", "-o", "out", "--gt", "high", "-m", fake_model, cwd=pairs)
    assert done.returncode == 3
    assert "not scored: x/1: expected a picture of this name in high, found none" in done.stderr
    assert "mean of 2" in done.stdout
    assert len(list((pairs / "out").rglob("*.png"))) == 3


def test_a_file_that_fails_has_no_score(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    (pairs / "low/x/1.png").write_bytes(b"")
    done = lumen_here("enhance", "low", "-r", "-o", "out", "--gt", "high", "-m", fake_model, cwd=pairs)
    assert done.returncode == 3
    assert "not scored" not in done.stderr
    assert "mean of 2" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "high"], "--out apart from --gt"),
        (["--in-place"], "--gt cannot be combined with --in-place"),
        (["-o", "out", "--dry-run"], "--gt cannot be combined with --dry-run"),
        (["-o", "-"], "--gt"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_the_work(
    pairs: Path, fake_model: Path, lumen_here: Run, arguments: list[str], says: str
) -> None:
    done = lumen_here("enhance", "low/x", "--gt", "high", "-m", fake_model, *arguments, cwd=pairs)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert sorted(path.name for path in pairs.iterdir()) == ["high", "low"]
