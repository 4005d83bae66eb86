"""Clips as users have them: named, in folders with `--clips`, in a watched folder, and without the package."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.support.clips import FRAMES, contents, frame_times, write_clip
from tests.support.commands import ENVIRONMENT, command, run, run_here, save, start, tree

pytest.importorskip("av")

QUICK = ("--oneshot", "--settle", "50ms", "--min-free", "0")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `in` with a clip and a picture; the current folder is the one around it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    write_clip(tmp_path / "in" / "night.mp4")
    save(tmp_path / "in" / "a.png")
    return tmp_path


def test_a_clip_that_is_named_just_works(here: Path, models: Path) -> None:
    line = command("enhance", "in/night.mp4", "-o", "out", "--json", model=models / "fast.onnx")
    code, out, err = run(line)
    outcome = json.loads(out)
    assert (code, outcome["status"], outcome["frames"], outcome["damaged"]) == (0, "done", FRAMES, False)
    assert "the light of clips is not held steady: model" in err  # the fake has no tone stage
    before, after = contents(here / "in" / "night.mp4"), contents(here / "out" / "night.mp4")
    assert after["times"] == before["times"]
    assert after["sound"] == before["sound"]
    assert (here / "out" / "night.mp4").stat().st_mtime_ns >= (here / "in" / "night.mp4").stat().st_mtime_ns
    assert json.loads(run(line)[1])["status"] == "skipped"


@pytest.mark.usefixtures("here")
def test_folders_give_clips_only_if_asked(models: Path) -> None:
    _, _, err = run_here(command("enhance", "in", "-o", "out", model=models / "fast.onnx"))
    assert tree() == [".lumen/lock", "a.png"]
    assert "1 clip not taken; add --clips" in err
    code, _, err = run_here(command("enhance", "in", "-o", "out", "--clips", model=models / "fast.onnx"))
    assert code == 0
    assert tree() == [".lumen/lock", "a.png", "night.mp4"]
    assert "not taken" not in err


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["-o", "better.mkv"], "better.mkv"),
        (["-o", "out", "--video-codec", "ffv1"], "out/night.mkv"),
        (["-o", "out", "--suffix", "-bright", "--video-codec", "hevc"], "out/night-bright.mp4"),
    ],
)
def test_the_name_of_a_result(more: list[str], expected: str, here: Path, models: Path) -> None:
    code, out, err = run_here(command("enhance", "in/night.mp4", *more, "--json", model=models / "fast.onnx"))
    assert code == 0, err
    assert (here / expected).is_file()
    moved = ["the result is .mkv, since .mp4 cannot hold it"] if "ffv1" in more else []
    assert json.loads(out)["warnings"] == moved


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["in/night.mp4", "-o", "out.jpg"], "use out.mp4"),
        (["in/night.mp4", "-o", "out.wmv"], "use out.mkv"),
        (["in/night.mp4", "-o", "out.webm"], "use out.mkv"),
        (["in/a.png", "-o", "out.mp4"], "expected a picture or a folder after --out"),
        (["in", "--clips", "--in-place"], "--clips cannot be combined with --in-place"),
        (["in/night.mp4", "-o", "out", "--crf", "52"], "--crf"),
    ],
)
def test_what_cannot_be_meant_is_refused(line: list[str], message: str, here: Path, models: Path) -> None:
    code, _, err = run_here(command("enhance", *line, model=models / "fast.onnx"))
    assert code == 2
    assert message in err
    assert sorted(path.name for path in here.iterdir()) == ["in"]


def test_a_clip_is_never_replaced(here: Path, models: Path) -> None:
    data = (here / "in" / "night.mp4").read_bytes()
    code, _, err = run_here(command("enhance", "in/night.mp4", "--in-place", model=models / "fast.onnx"))
    assert code == 4
    assert "clips are never replaced; use --out" in err
    assert (here / "in" / "night.mp4").read_bytes() == data


def test_a_clip_that_is_cut_off_is_done_and_told(here: Path, models: Path) -> None:
    data = write_clip(here / "whole.mkv", times=frame_times(60), options={"g": "4"}, sound=False).read_bytes()
    (here / "half.mkv").write_bytes(data[: len(data) // 2])
    code, out, err = run_here(command("enhance", "half.mkv", "-o", "out", "--json", model=models / "fast.onnx"))
    outcome = json.loads(out)
    assert (code, outcome["status"], outcome["damaged"]) == (0, "done", True)
    assert "the clip is cut off at its end" in err
    assert 0 < outcome["frames"] < 60
    code, out, _ = run_here(
        command("enhance", "half.mkv", "-o", "strict", "--strict", "--json", model=models / "fast.onnx")
    )
    assert (code, json.loads(out)["status"]) == (4, "failed")
    assert not (here / "strict" / "half.mkv").exists()


def test_without_the_package_a_named_clip_is_refused_and_a_folder_warns_once(here: Path, models: Path) -> None:
    hidden = here / "hidden"
    hidden.mkdir()
    # As if it were not installed, in this process and those that it starts.
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'av' else real(name, package)\n"
    )
    environment = {"env": {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(hidden), ENVIRONMENT["PYTHONPATH"]])}}
    write_clip(here / "in" / "second.mp4")
    code, _, err = run(command("enhance", "in/night.mp4", "-o", "out", model=models / "fast.onnx"), **environment)
    assert code == 5
    assert "a clip needs av; install it with: pip install" in err
    code, _, err = run(command("enhance", "in", "--clips", "-o", "out", model=models / "fast.onnx"), **environment)
    assert code == 0
    assert err.count("pip install") == 1
    assert tree() == [".lumen/lock", "a.png"]
    code, _, err = run(command("watch", "in", "out2", "--clips", *QUICK, "-m", models / "fast.onnx"), **environment)
    assert code == 5


def test_watch_takes_clips_only_if_asked_and_deletes_no_others(here: Path, models: Path) -> None:
    line = command("watch", "in", "out", "--on-success", "delete", *QUICK, "-m", models / "fast.onnx")
    assert run_here(line)[0] == 0
    assert sorted(path.name for path in (here / "in").iterdir()) == ["night.mp4"]
    code, out, err = run_here([*line, "--clips", "--json"])
    assert code == 0, err
    (done,) = (event for event in map(json.loads, out.splitlines()) if event["event"] == "done")
    assert (done["path"], done["frames"]) == ("night.mp4", FRAMES)
    assert list((here / "in").iterdir()) == []
    assert len(contents(here / "out" / "night.mp4")["times"]) == FRAMES


def test_watch_tries_half_an_upload_again_and_takes_it_when_it_is_whole(here: Path, models: Path) -> None:
    data = (here / "in" / "night.mp4").read_bytes()
    half = here / "in" / "night.mp4"
    half.write_bytes(data[: len(data) // 2])
    line = command("watch", "in", "out", "--clips", *QUICK[1:], "--json", "-m", models / "fast.onnx")
    with start([*line, "--incomplete-timeout", "2s"]) as process:
        assert process.stdout is not None
        events = map(json.loads, process.stdout)
        assert next(event for event in events if event["event"] == "retry")["path"] == "night.mp4"
        half.write_bytes(data)
        assert (
            next(event for event in events if event["event"] in ("done", "failed") and event["path"] == "night.mp4")[
                "event"
            ]
            == "done"
        )
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_a_killed_watcher_leaves_no_half_clip_and_goes_on(here: Path, models: Path) -> None:
    write_clip(here / "in" / "night.mp4", times=frame_times(120), size=(160, 120), sound=False)
    line = command("watch", "in", "out", "--clips", *QUICK, "-m", models / "fast.onnx")
    with start(line) as process:
        deadline = time.monotonic() + 60
        while not list((here / "out").glob(".*.lumen-tmp")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=60)
    assert not (here / "out" / "night.mp4").exists()
    assert run_here(line)[0] == 0
    assert not list((here / "out").glob(".*.lumen-tmp"))
    assert len(contents(here / "out" / "night.mp4")["times"]) == 120
    with sqlite3.connect(here / "out" / ".lumen" / "watch.db") as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    ledger.close()


def test_a_shard_takes_whole_clips(here: Path, models: Path) -> None:
    for number in range(3):
        write_clip(here / "in" / f"{number}.mp4", sound=False, times=frame_times(2))
    for index in (1, 2):
        line = command("enhance", "in", "-o", "out", "--clips", "--shard", f"{index}/2", model=models / "fast.onnx")
        assert run_here(line)[0] == 0
    assert {name for name in tree() if not name.startswith(".")} == {
        "0.mp4",
        "1.mp4",
        "2.mp4",
        "a.png",
        "night.mp4",
    }
