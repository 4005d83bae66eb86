"""Damaged pictures: told of, never taken for whole, and never deleted or moved as if they had been enhanced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.support.damage import BLACK, DAMAGES, photo
from tests.support.files import saved

SOUND = photo()
FILES = {f"{damage.__name__}.jpg": damage(SOUND) for damage in DAMAGES}
NO_END = "no-end.jpg"
WHOLE = {"sound.jpg": SOUND, "black.jpg": saved(BLACK.resize((800, 600)), "JPEG", optimize=True)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name, data in ({NO_END: SOUND[:-2]} | WHOLE | FILES).items():
        (tmp_path / "in" / name).write_bytes(data)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def lines(text: str) -> dict[str, dict[str, Any]]:
    return {Path(each["source"]).name: each for each in map(json.loads, text.splitlines())}


@pytest.mark.parametrize("what", ["delete", "move:gone"])
def test_a_watched_folder_loses_nothing_that_is_damaged(
    what: str, folder: Path, fake_model: Path, lumen_here: Run
) -> None:
    options = ["--on-success", what, "--settle", "100ms", "--retries", "2", "--incomplete-timeout", "1s"]
    done = lumen_here("watch", "in", "out", "--oneshot", "--json", *options, "--model", fake_model, cwd=folder)
    assert done.returncode == 3, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kept = {NO_END: SOUND[:-2]} | FILES
    assert contents(folder / "in") == kept
    assert contents(folder / "gone") == WHOLE if what != "delete" else not (folder / "gone").exists()
    assert set(contents(folder / "out")) == {NO_END, *WHOLE}
    failed = {event["path"]: event for event in events if event["event"] == "failed"}
    assert failed.keys() == FILES.keys()
    assert all(event["attempts"] == 2 and "is damaged: " in event["reason"] for event in failed.values())
    assert {event["path"] for event in events if event["event"] == "retry"} == FILES.keys()
    assert {event["path"] for event in events if event["event"] == "note"} == {NO_END}
    again = lumen_here("watch", "in", "out", "--oneshot", "--json", *options, "--model", fake_model, cwd=folder)
    assert not [line for line in again.stdout.splitlines() if json.loads(line)["event"] in ("done", "retry")]
    assert contents(folder / "in") == kept


def test_what_is_left_of_a_damaged_picture_is_enhanced_with_a_warning(
    folder: Path, fake_model: Path, lumen_here: Run
) -> None:
    done = lumen_here("enhance", "in", "-o", "out", "--json", "--model", fake_model, cwd=folder)
    assert done.returncode == 0, done.stderr
    outcomes = lines(done.stdout)
    assert {name for name, each in outcomes.items() if each["damaged"]} == FILES.keys()
    assert {name for name, each in outcomes.items() if each["warnings"]} == {NO_END, *FILES}
    assert all(f"{name}: the picture is damaged: " in done.stderr for name in FILES)
    assert set(contents(folder / "out")) == set(contents(folder / "in"))


def test_strict_fails_every_file_with_a_warning(folder: Path, fake_model: Path, lumen_command: Run) -> None:
    plain = photo(xmp=b"<x hdrgm:Version='1.0'/>")
    (folder / "in" / "gain-map.jpg").write_bytes(plain)
    done = lumen_command("enhance", "in", "-o", "out", "--strict", "--json", "--model", fake_model, cwd=folder)
    assert done.returncode == 3, done.stderr
    outcomes = lines(done.stdout)
    assert {name for name, each in outcomes.items() if each["status"] == "failed"} == {NO_END, "gain-map.jpg", *FILES}
    assert set(contents(folder / "out")) == WHOLE.keys()
    for name in (NO_END, "gain-map.jpg"):
        alone = lumen_command("enhance", folder / "in" / name, "-o", "-", "--strict", "--model", fake_model)
        assert alone.returncode == 4
        assert alone.stdout == ""


def test_a_damaged_picture_is_not_replaced(folder: Path, fake_model: Path, lumen_here: Run) -> None:
    done = lumen_here("enhance", "in", "--in-place", "--json", "--model", fake_model, cwd=folder)
    assert done.returncode == 3, done.stderr
    outcomes = lines(done.stdout)
    assert {name for name, each in outcomes.items() if each["status"] == "failed"} == FILES.keys()
    assert {name: contents(folder / "in")[name] for name in FILES} == FILES
