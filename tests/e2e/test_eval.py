"""`lumen eval` as users run it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, Run
from tests.support.fakes import write_fake_onnx
from tests.support.scores import noise, save


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder with `low` and `high`: `a` is half as bright, `b` is another picture."""
    for name in ("low", "high"):
        (tmp_path / name).mkdir()
    half = noise(1, high=100)
    Image.fromarray(half).save(tmp_path / "low" / "a.png")
    Image.fromarray(half * 2).save(tmp_path / "high" / "a.png")
    save(tmp_path / "low" / "b.png", noise(2, high=100))
    save(tmp_path / "high" / "b.tif", noise(3, high=256))
    (tmp_path / "niqe.json").write_text("{}")
    return tmp_path


def test_prints_scores_means_and_the_protocol(pairs: Path, fake_model: Path, lumen_command: Run) -> None:
    done = lumen_command("eval", "--gt", "high", "low", "--model", fake_model, "--device", "cpu", cwd=pairs)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["picture", "input", "PSNR", "SSIM", "fake", "PSNR", "SSIM"]
    assert lines[1].split()[0] == "b", "the worst comes first"
    assert lines[2].split()[0] == "a"
    assert lines[2].split()[3:] == ["inf", "1.0000"]
    assert [line.split()[0] for line in lines[3:6]] == ["mean", "median", "spread"]
    assert lines[3].startswith("mean of 2")
    assert [line.split()[0] for line in lines[7:11]] == ["mean", "input", "fake", "reference"]
    assert lines[7].split()[1:6] == ["PSNR", "SSIM", "MAE", "MSE", "brightness"]
    assert "1 equal to the reference" in done.stdout
    assert "data range 255" in done.stdout
    assert "model fake on cpu" in done.stdout
    assert done.stderr.splitlines() == ["[1/2] a", "[2/2] b"]


def test_extra_columns_stand_beside_the_plain_ones(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    done = lumen_here(
        "eval", "--gt", "high", "low", "-m", fake_model, "--gt-mean", "--match-brightness", "--json", cwd=pairs
    )
    assert done.returncode == 0, done.stderr
    *pictures, last = map(json.loads, done.stdout.splitlines())
    assert [entry["name"] for entry in pictures] == ["a", "b"]
    assert set(pictures[1]) == {
        "name",
        "width",
        "height",
        "input",
        "output",
        "gt_mean",
        "match_brightness",
        "reference",
        "ev",
    }
    assert pictures[0]["output"]["psnr"] is None
    assert last["summary"]["pictures"] == 2
    assert last["summary"]["mean"]["output"]["equal"] == 1
    assert last["summary"]["mean"]["output"]["psnr"] == pictures[1]["output"]["psnr"]


def test_the_table_of_all_columns_has_a_cell_for_each(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    done = lumen_here("eval", "--gt", "high", "low", "-m", fake_model, "--gt-mean", "--match-brightness", cwd=pairs)
    header, _, first, mean = done.stdout.splitlines()[:4]
    assert header.endswith("EV")
    assert len(first.split()) == 1 + 4 * 2 + 1
    assert len(mean.split()) == 3 + 4 * 2


def test_faults_of_tone_are_shown_for_each_picture_and_on_average(
    pairs: Path, fake_model: Path, lumen_here: Run
) -> None:
    """The second model is a stop or so too dark; the constant aim stands beside each model."""
    reports = ("--report", "scores.json", "--report", "scores.csv", "--report", "scores.html")
    done = lumen_here("eval", "--gt", "high", "low", "-m", fake_model, "--aim", "0.43", *reports, cwd=pairs)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    at = lines.index(["mean", "stops", "chroma", "newly", "clipped"])
    assert [line[0] for line in lines[at + 1 : at + 4]] == ["input", "fake", "fake"]
    at = lines.index(["fake", "stops", "chroma", "newly", "clipped"])
    assert lines[at + 2] == ["a", "0.00", "1.00", "0.0000"]
    assert lines[at + 1][0] == "b"
    told = json.loads((pairs / "scores.json").read_text(encoding="utf-8"))
    assert told["pictures"][0]["input"]["stops"] == pytest.approx(-1)
    assert told["summary"]["mean"]["input"]["stops"] > 0, "the mean of the absolute values"
    assert set(TONE) <= told["pictures"][0]["aim 0.43"].keys()
    rows = list(csv.DictReader((pairs / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert float(rows[0]["stops"]) == pytest.approx(-1) and rows[0]["method"] == "input"
    assert "newly clipped" in (pairs / "scores.html").read_text(encoding="utf-8")
    checked = lumen_here("eval", "--check", "scores.csv", cwd=pairs)
    assert checked.returncode == 0, checked.stderr


def test_saved_results_score_the_same_as_is(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    first = lumen_here("eval", "--gt", "high", "low", "-m", fake_model, "--save", "kept", "--json", cwd=pairs)
    assert first.stderr.splitlines()[-1] == "the results are in kept"
    again = lumen_here("eval", "--gt", "high", "kept", "--as-is", "--input", "low", "--json", cwd=pairs)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    scores = [[json.loads(line).get("output") for line in done.stdout.splitlines()] for done in (first, again)]
    assert scores[0] == scores[1]


def test_what_cannot_be_scored_is_named_and_ends_with_3(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    save(pairs / "low" / "alone.png", noise(4, high=100))
    save(pairs / "low" / "b.png", noise(5, high=100, size=(20, 20)))
    done = lumen_here("eval", "--gt", "high", "low", "-m", fake_model, cwd=pairs)
    assert done.returncode == 3
    assert "not scored: alone: expected a picture of this name in high, found none" in done.stderr
    assert "not scored: b: expected one size" in done.stderr
    assert "not scored: 2" in done.stdout


def test_nothing_in_common_ends_with_4(pairs: Path, lumen_here: Run) -> None:
    (pairs / "empty").mkdir()
    done = lumen_here("eval", "--gt", "empty", "low", "--as-is", cwd=pairs)
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("lumen: expected pictures of the same name")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--gt", "high"], "LOW"),
        (["--gt", "high", "low", "high"], "expected one LOW"),
        (["--gt", "high", "low", "--input", "low"], "--input with --as-is"),
        (["--gt", "high", "low", "--as-is", "--results", "low"], "--as-is or --results"),
        (["--gt", "high", "low", "high", "--as-is", "--baseline", "gamma"], "--input with --baseline"),
        (["--gt", "high", "low", "low", "--as-is"], "each folder once"),
        (["--gt", "high", "low", "-m", "a", "-m", "a"], "each --model once"),
        (["--gt", "high", "low", "--baseline", "magic"], "--baseline"),
        (["--gt", "high", "low", "--data-range", "1"], "--data-range"),
        (["--gt", "high", "low", "--channel", "yuv"], "--channel"),
        (["--gt", "high", "low", "--pair", "low"], "a group in --pair"),
        (["--gt", "high", "low", "--report", "scores.doc"], "--report"),
        (["--gt", "high", "low", "--niqe-model", "high/a.png"], "--niqe with"),
        (["low", "--niqe", "--niqe-model", "niqe.json", "--report", "niqe.json"], "apart from what is read"),
        (["low", "--niqe", "--gt-mean"], "--gt HIGH with --gt-mean"),
        (["--check", "high/a.png", "--gt-mean"], "--check alone"),
        (["low"], "--gt"),
        (["--gt", "high", "missing"], "missing"),
        (["--gt", "high", "low", "--as-is", "--model", "x.onnx"], "--as-is or --model"),
        (["--gt", "high", "low", "--as-is", "--device", "cpu"], "--as-is or --device"),
        (["--gt", "high", "low", "--as-is", "--save", "kept"], "--as-is or --save"),
        (["--gt", "high", "low", "--as-is", "--match-brightness"], "--as-is or --match-brightness"),
        (["--gt", "high", "low", "--as-is", "--aim", "0.43"], "--as-is or --aim"),
        (["--gt", "high", "low", "--aim", "1.2"], "--aim between 0 and 1"),
        (["--gt", "high", "low", "--aim", "0"], "--aim between 0 and 1"),
        (["--gt", "high", "low", "--aim", "nan"], "--aim between 0 and 1"),
        (["--gt", "high", "low", "--aim", "bright"], "--aim"),
        (["--gt", "high", "low", "--save", "low/kept"], "--save"),
        (["--gt", "high", "low", "--device", "tpu"], "--device"),
        (["--gt", "high/a.png", "low"], "two folders or two files"),
    ],
)
def test_wrong_usage_ends_with_2(pairs: Path, lumen_here: Run, arguments: list[str], says: str) -> None:
    done = lumen_here("eval", *arguments, cwd=pairs)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr


def test_an_unknown_model_ends_with_5(pairs: Path, lumen_here: Run) -> None:
    done = lumen_here("eval", "--gt", "high", "low", "-m", "no-such-model", cwd=pairs)
    assert done.returncode == 5
    assert "no-such-model" in done.stderr


def test_an_unwritable_folder_ends_with_6(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    (pairs / "kept").write_text("in the way")
    done = lumen_here("eval", "--gt", "high", "low", "-m", fake_model, "--save", "kept", cwd=pairs)
    assert done.returncode == 6


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["summary"]
    return found


def test_models_results_and_baselines_stand_side_by_side(
    pairs: Path, fake_model: Path, lumen_here: Run, tmp_path: Path
) -> None:
    other = write_fake_onnx(tmp_path / "other.onnx", gain=1.5, radius=0)
    (pairs / "tool").mkdir()
    for name in "ab":
        save(pairs / "tool" / f"{name}.png", noise(9, high=200))
    done = lumen_here(
        "eval", "--gt", "high", "low", "-m", fake_model, "-m", other, "--device", "cpu", "--results", "tool",
        "--baseline", "gamma:3,autocontrast", "--gt-mean", "--save", "kept", "--json", cwd=pairs,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mean = summary_of(done)["mean"]
    methods = ["fake", "other", "tool", "gamma:3", "autocontrast"]
    assert list(mean) == ["input", *(column for name in methods for column in (name, f"{name} gt_mean"))]
    assert mean["fake"]["equal"] == 1
    assert mean["other"]["equal"] == 0
    assert {path.relative_to(pairs / "kept").as_posix() for path in (pairs / "kept").rglob("*.png")} == {
        f"{model}/{name}.png" for model in ("fake", "other") for name in "ab"
    }
    assert "fake by model fake on cpu; other by model fake on cpu" in summary_of(done)["protocol"]


def test_folders_are_scored_as_they_are_beside_their_input(pairs: Path, lumen_here: Run) -> None:
    for tool, seed in (("one", 7), ("two", 8)):
        (pairs / tool).mkdir()
        for name in "ab":
            save(pairs / tool / f"{name}.png", noise(seed, high=200))
    done = lumen_here("eval", "--gt", "high", "--as-is", "one", "two", "--input", "low", "--json", cwd=pairs)
    assert done.returncode == 0, done.stderr
    assert list(summary_of(done)["mean"]) == ["input", "one", "two"]


def test_order_names_and_extensions_do_not_change_a_score(pairs: Path, lumen_here: Run) -> None:
    """The same pictures under upper-case names, as other formats, written in another order, beside foreign files."""
    for folder in ("low", "high"):
        (pairs / f"{folder}-2").mkdir()
        for path in sorted((pairs / folder).iterdir(), reverse=True):
            image = Image.open(path)
            image.save(pairs / f"{folder}-2" / f"{path.stem.upper()}.TIFF")
        (pairs / f"{folder}-2" / "notes.txt").write_text("no picture")
        (pairs / f"{folder}-2" / ".hidden.png").write_bytes(b"")
    first = lumen_here("eval", "--gt", "high", "low", "--as-is", "--json", cwd=pairs)
    again = lumen_here("eval", "--gt", "high-2", "low-2", "--as-is", "--json", cwd=pairs)
    scores = [[json.loads(line).get("output") for line in done.stdout.splitlines()] for done in (first, again)]
    assert (first.returncode, again.returncode) == (0, 0), again.stderr
    assert scores[0] == scores[1]
    assert scores[0][0] is not None


def test_pictures_without_references_get_what_needs_none(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    large = noise(4, high=100, size=(200, 300))
    Image.fromarray(large).save(pairs / "low" / "a.png")
    done = lumen_here("eval", "low", "--niqe", "-m", fake_model, "--json", cwd=pairs)
    assert done.returncode == 0, done.stderr
    large_scores, small_scores, _ = map(json.loads, done.stdout.splitlines())
    assert "psnr" not in large_scores["output"]
    assert large_scores["output"]["niqe"] > 0
    assert "niqe" not in small_scores["output"], "too small for a block"
    assert large_scores["output"]["brightness"] == pytest.approx(2 * large_scores["input"]["brightness"])
    assert "no references" in summary_of(done)["protocol"]
    table = lumen_here("eval", "low", "--niqe", "-m", fake_model, cwd=pairs)
    assert table.stdout.splitlines()[0].split() == [
        "picture",
        "input",
        "NIQE",
        "brightness",
        "fake",
        "NIQE",
        "brightness",
    ]


def test_reports_hold_what_is_printed(pairs: Path, fake_model: Path, lumen_here: Run) -> None:
    reports = [word for suffix in ("html", "json", "csv", "md") for word in ("--report", f"out/scores.{suffix}")]
    done = lumen_here("eval", "--gt", "high", "low", "-m", fake_model, *reports, "--json", cwd=pairs)
    assert done.returncode == 0, done.stderr
    told = json.loads((pairs / "out" / "scores.json").read_text(encoding="utf-8"))
    assert told["summary"] == summary_of(done)
    assert [entry["name"] for entry in told["pictures"]] == ["a", "b"]
    rows = (pairs / "out" / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("picture,method,width,height,psnr,ssim,mae,mse,")
    assert len(rows) == 1 + 2 * 3
    assert "data range 255" in (pairs / "out" / "scores.md").read_text(encoding="utf-8")
    page = (pairs / "out" / "scores.html").read_text(encoding="utf-8")
    assert page.count('<article class="card"') == 2
    assert "http" not in page.replace("http-equiv", "")


def test_a_report_in_the_place_of_a_picture_is_refused(pairs: Path, lumen_here: Run) -> None:
    (pairs / "pictures.csv").mkdir()
    done = lumen_here("eval", "--gt", "high", "low", "--as-is", "--report", "pictures.csv", cwd=pairs)
    assert done.returncode == 2
    (pairs / "out").write_text("in the way")
    done = lumen_here("eval", "--gt", "high", "low", "--as-is", "--report", "out/scores.csv", cwd=pairs)
    assert done.returncode == 6


def test_a_table_with_impossible_scores_ends_with_3(tmp_path: Path, lumen_here: Run) -> None:
    (tmp_path / "bad.csv").write_text("picture,PSNR (dB),MAE,MSE\na,27.9,90,105\nb,27.8,88,106\nc,28.0,91,104\n")
    done = lumen_here("eval", "--check", "bad.csv", cwd=tmp_path)
    assert done.returncode == 3
    assert "bad.csv: 3 pictures, suspicious" in done.stdout
    assert "27.9" in done.stderr and "root of MSE" in done.stderr
    (tmp_path / "good.csv").write_text("picture,method,psnr,mae,mse\na,x,20.17,20,625\n")
    done = lumen_here("eval", "--check", "good.csv", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"method": "x", "pictures": 1, "warnings": []}
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    done = lumen_here("eval", "--check", "other.csv", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("lumen: expected columns psnr, ssim, mae or mse")


def test_scores_that_look_like_an_artefact_are_warned_of(pairs: Path, lumen_here: Run) -> None:
    nearly = np.array(Image.open(pairs / "high" / "a.png"))
    nearly[0, 0, 0] ^= 1
    Image.fromarray(nearly).save(pairs / "low" / "a.png")
    done = lumen_here("eval", "--gt", "high", "low", "--as-is", cwd=pairs)
    assert done.returncode == 0
    assert "warning: low: 1 of 2 pictures are above 50 dB" in done.stderr


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


TONE = ("stops", "chroma", "newly_clipped")  # added later
BEFORE = ROOT / "tests" / "data" / "before"
LINE = ("--gt-mean", "--match-brightness", "--baseline", "gamma", "--report", "scores.json", "--report", "scores.csv")


@pytest.fixture
def pictures_before(tmp_path: Path) -> Path:
    """The pictures of the reports in `tests/data/before`: one equals its reference, one has none."""
    for number, name in enumerate("abcd"):
        dark = noise(number, high=100)
        save(tmp_path / "low" / f"{name}.png", dark)
        if name != "d":
            save(tmp_path / "high" / f"{name}.png", dark * 2 + noise(9, high=1 + 8 * number))
    return tmp_path


def test_reports_hold_the_fields_and_numbers_they_always_had(
    pictures_before: Path, fake_model: Path, lumen_here: Run
) -> None:
    done = lumen_here("eval", "--gt", "high", "low", "-m", fake_model, "--device", "cpu", *LINE, cwd=pictures_before)
    assert done.returncode == 3, done.stderr
    then, now = (json.loads((folder / "scores.json").read_text()) for folder in (BEFORE, pictures_before))
    assert [list(picture) for picture in now["pictures"]] == [list(picture) for picture in then["pictures"]]
    for told in (then, now):  # words for people may change
        assert told["summary"].pop("protocol") and all(problem.pop("error") for problem in told["problems"])
    numbers = {path: number for path, number in flat(now).items() if path.rpartition("/")[2] not in TONE}
    assert list(numbers) == list(flat(then))
    assert list(numbers.values()) == pytest.approx(list(flat(then).values()), rel=1e-6)
    then, now = (
        list(csv.reader((folder / "scores.csv").read_text().splitlines())) for folder in (BEFORE, pictures_before)
    )
    assert now[0] == [*then[0], *TONE], "new columns come last"
    assert [row[:4] for row in now] == [row[:4] for row in then]


def flat(value: Any, name: str = "") -> dict[str, float]:
    """Return the numbers of a JSON value by their paths; whatever is no fraction stands in the path itself."""
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: leaf for part, inner in parts for key, leaf in flat(inner, f"{name}/{part}").items()}
    return {name: value} if isinstance(value, float) else {f"{name}={value}": 0.0}


def test_tables_written_before_are_still_checked(tmp_path: Path, lumen_here: Run) -> None:
    done = lumen_here("eval", "--check", BEFORE / "scores.csv", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    methods = ["input", "output", "gt_mean", "match_brightness", "gamma", "gamma gt_mean"]
    assert found == [{"method": method, "pictures": 3, "warnings": []} for method in methods]


def test_names_of_data_sets_pair_by_themselves(tmp_path: Path, lumen_here: Run) -> None:
    for number in (1, 2):
        save(tmp_path / "low" / f"low0000{number}.png", noise(number, high=100))
        save(tmp_path / "high" / f"normal0000{number}.png", noise(number))
    done = lumen_here("eval", "--gt", "high", "low", "--as-is", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "without 'low' or 'normal' at the beginning, as with --pair '^(?:normal|low)(.+)$'" in done.stdout
    save(tmp_path / "low" / "low00001.bmp", noise(3))
    done = lumen_here("eval", "--gt", "high", "low", "--as-is", cwd=tmp_path)
    assert done.returncode == 3
    assert (
        "not scored: low00001: expected one picture of this name in low, found low00001.bmp, low00001.png"
        in done.stderr
    )


def test_transparency_is_ignored_as_the_protocol_says(tmp_path: Path, lumen_here: Run) -> None:
    pixels = noise(1)
    save(tmp_path / "high" / "a.png", pixels)
    save(tmp_path / "low" / "a.png", np.dstack([pixels, noise(2)[..., :1]]))
    done = lumen_here("eval", "--gt", "high", "low", "--as-is", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "inf" in done.stdout and "transparency is ignored" in done.stdout
