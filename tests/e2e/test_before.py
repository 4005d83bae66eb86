"""What an earlier version wrote into folders is read, and nothing it finished is done again."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.commands import command, run_here

BEFORE = ROOT / "tests" / "data" / "before"
MTIME_NS = 1_700_000_000_000_000_000  # of the inputs when they were watched


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `in` and its `out`, which an earlier version watched: a and b are done, c failed; the inodes are new."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(BEFORE / "watched", "in")
    for path in Path("in").iterdir():
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
    Path("out", ".lumen").mkdir(parents=True)
    with sqlite3.connect("out/.lumen/watch.db") as database:
        database.executescript((BEFORE / "watch.sql").read_text(encoding="utf-8"))
    database.close()
    return Path("out")


def test_the_status_of_a_ledger_is_shown(watched: Path) -> None:
    code, out, _ = run_here(command("watch", "--status", watched, "--json"))
    status = json.loads(out)
    assert (code, status["state"]) == (6, "stopped")
    assert [(each["name"], each["done"], each["failed"]) for each in status["folders"]] == [(".", 2, 1)]
    assert {name: count for name, count in status["counts"].items() if count} == {"done": 2, "failed": 1}
    assert [error["path"] for error in status["errors"]] == ["c.png"]


def test_what_was_watched_before_is_not_done_again(watched: Path, models: Path) -> None:
    line = ["watch", "in", watched, "--oneshot", "--settle", "0.1", "--json", "--retries", "1"]
    shutil.copy("in/a.png", "in/new.png")
    code, out, _ = run_here([*command(*line), "--model", str(models / "fast.onnx")])
    done = [event for event in map(json.loads, out.splitlines()) if event["event"] in ("done", "failed")]
    assert code == 0
    assert [(event["event"], event["path"]) for event in done] == [("done", "new.png")]
    assert [path.name for path in watched.glob("*.png")] == ["new.png"]


def test_pictures_enhanced_in_place_before_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(BEFORE / "placed", "in")
    Path("in", ".lumen").mkdir()
    shutil.copy(BEFORE / "in-place.jsonl", "in/.lumen")
    shutil.copy("in/a.png", "in/renamed.png")
    shutil.copy(BEFORE / "watched" / "a.png", "in/b.png")  # another picture under a known name
    contents = {path.name: path.read_bytes() for path in Path("in").glob("*.png")}
    line = command("enhance", "in", "--in-place", "--json", model=models / "fast.onnx")
    assert json_statuses(line) == {"a.png": "skipped", "b.png": "skipped", "renamed.png": "skipped"}
    assert {path.name: path.read_bytes() for path in Path("in").glob("*.png")} == contents
    assert json_statuses([*line, "--existing", "update"])["b.png"] == "done"


def json_statuses(line: list[str]) -> dict[str, str]:
    """Run a batch and return the status of each file by its name."""
    found = map(json.loads, run_here(line)[1].splitlines())
    return {Path(each["source"]).name: each["status"] for each in found}


def test_the_record_of_a_run_has_the_fields_it_had(photos: Path, models: Path) -> None:
    runs = Path("out", ".lumen", "runs")
    runs.mkdir(parents=True)
    shutil.copy(BEFORE / "run.jsonl", runs / "20251128T023830Z-873882.jsonl")
    assert run_here(command("enhance", photos, "-o", "out", model=models / "fast.onnx"))[0] == 0
    earlier, later = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in sorted(runs.iterdir())
    )
    assert all(set(before) <= set(now) for before, now in zip(earlier, later, strict=True))
    for part in ("batch", "enhance"):
        assert set(earlier[0]["run"][part]) <= set(later[0]["run"][part])
