"""`--settings`: a look that is kept in a file, and pictures that differ from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Run
from tests.support.scores import noise, save

SETTINGS = """
strength = 1.0
recursive = true

[[picture]]
match = "night/*"
strength = 0.0

[[picture]]
match = "night/c.png"
strength = 0.5
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for index, name in enumerate(("a", "night/b", "night/c")):
        save(tmp_path / "photos" / f"{name}.png", noise(index, high=100))
    (tmp_path / "photos" / "look.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


def gain(folder: Path, out: str, name: str) -> float:
    """Return by how much a result is brighter; the model doubles."""
    made, given = (np.asarray(Image.open(folder / place / f"{name}.png"), float) for place in (out, "photos"))
    return float(made.mean() / given.mean())


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_pictures_differ_by_their_path_and_the_record_says_so(photos: Path, fake_model: Path, lumen_here: Run) -> None:
    line = ("enhance", "photos", "-o", "out", "--model", fake_model, "--settings", "photos/look.toml", "--json")
    done = lumen_here(*line, cwd=photos)
    assert done.returncode == 0, done.stderr
    found = [gain(photos, "out", name) for name in ("a", "night/b", "night/c")]
    assert found == pytest.approx([2, 1, 1.5], abs=0.02)
    told = {Path(each["source"]).name: each.get("options") for each in json_lines(done.stdout)}
    assert told == {"a.png": None, "b.png": {"strength": 0.0}, "c.png": {"strength": 0.5}}, "and look.toml is none"
    (record,) = (photos / "out" / ".lumen" / "runs").iterdir()
    asked = json_lines(record.read_text(encoding="utf-8"))[0]["run"]
    assert asked["enhance"]["strength"] == 1.0 and asked["batch"]["recursive"] is True
    assert asked["pictures"] == [
        {"match": "night/*", "strength": 0.0},
        {"match": "night/c.png", "strength": 0.5},
    ]


def test_the_command_line_wins_over_the_pictures_too(photos: Path, fake_model: Path, lumen_here: Run) -> None:
    line = ("enhance", "photos", "-o", "out", "--model", fake_model, "--settings", "photos/look.toml")
    done = lumen_here(*line, "--strength", "0.5", cwd=photos)
    assert done.returncode == 0, done.stderr
    assert [gain(photos, "out", name) for name in ("a", "night/b")] == pytest.approx([1.5, 1.5], abs=0.02)


def test_a_settings_file_that_nobody_names_is_not_read(photos: Path, fake_model: Path, lumen_here: Run) -> None:
    for name in ("lumen.toml", "settings.toml", ".lumen.toml", "photos/settings.json"):
        (photos / name).write_text("no settings", encoding="utf-8")
    done = lumen_here("enhance", "photos", "-r", "-o", "out", "--model", fake_model, cwd=photos)
    assert done.returncode == 0, done.stderr
    assert gain(photos, "out", "night/b") == pytest.approx(2, abs=0.02)


def test_a_watched_folder_has_the_same_settings(photos: Path, fake_model: Path, lumen_here: Run) -> None:
    (photos / "photos" / "look.toml").write_text(SETTINGS.replace("recursive = true", "settle = '200ms'"))
    line = ("watch", "photos", "out", "--oneshot", "--model", fake_model, "--settings", "photos/look.toml", "--json")
    done = lumen_here(*line, "--failed-dir", "failed", cwd=photos)
    assert done.returncode == 0, done.stderr
    found = [gain(photos, "out", name) for name in ("a", "night/b", "night/c")]
    assert found == pytest.approx([2, 1, 1.5], abs=0.02)
    events = json_lines(done.stdout)
    assert [rule["match"] for rule in events[0]["pictures"]] == ["night/*", "night/c.png"]
    told = {event["path"]: event.get("options") for event in events if event["event"] == "done"}
    assert told == {"a.png": None, "night/b.png": {"strength": 0.0}, "night/c.png": {"strength": 0.5}}
    assert (photos / "photos" / "look.toml").exists(), "it was no picture that failed"


def test_one_picture_through_a_pipe_has_its_own_options(photos: Path, fake_model: Path) -> None:
    (photos / "look.toml").write_text("[[picture]]\nmatch = 'a.png'\nsubsampling = '420'\nquality = 5\n")
    sizes = []
    for name in ("a", "night/b"):
        line = ("enhance", f"photos/{name}.png", "-o", "-", "--format", "jpg", "--model", fake_model)
        words = [sys.executable, "-m", "lumen", *map(str, line), "--settings", "look.toml"]
        done = subprocess.run(words, cwd=photos, capture_output=True, check=True)
        sizes.append(len(done.stdout))
    assert sizes[0] < sizes[1] / 2


def test_what_one_rule_would_lose_in_place_is_refused(photos: Path, fake_model: Path, lumen_here: Run) -> None:
    (photos / "look.json").write_text('{"picture": [{"match": "b.gif", "frames": "first"}]}')
    line = ("enhance", "photos", "--in-place", "--model", fake_model, "--settings", "look.json")
    done = lumen_here(*line, cwd=photos)
    assert done.returncode == 2
    assert "--frames first cannot be combined with --in-place" in done.stderr


def test_scores_take_settings(photos: Path, lumen_here: Run) -> None:
    (photos / "eval.toml").write_text('gt = "photos"\nas-is = true\nborder = 4\n', encoding="utf-8")
    done = lumen_here("eval", "photos", "--settings", "eval.toml", cwd=photos)
    assert done.returncode == 0, done.stderr
    assert "4 pixels ignored along each edge" in done.stdout
