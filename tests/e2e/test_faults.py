"""Interruptions, `kill -9` and full disks in short; `benchmarks/faults.py` has the long versions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lumen.codecs.codec import read_picture
from tests.conftest import ROOT
from tests.support.commands import ENVIRONMENT, command, run, save, start, tree
from tests.support.fakes import write_fake_onnx


def wait_for(process: subprocess.Popen[str], results: int) -> None:
    """Wait until some results are there."""
    deadline = time.monotonic() + 60
    while len(list(Path("out").glob("*.png"))) < results:
        assert process.poll() is None, "ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def interrupt(line: list[str], number: signal.Signals, *, after: int = 2) -> tuple[int, str]:
    """Start, wait until some results are there, send a signal, and return the exit code and stderr."""
    with start(line) as process:
        wait_for(process, after)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


def assert_only_the_rest_is_done(line: list[str]) -> None:
    """Check that all results so far are whole, and that a second run does the others and touches none of them."""
    results = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert 0 < len(results) < 8
    for name in results:
        assert read_picture(Path("out", name)).pixels.shape == (200, 250, 3)
    code, out, _ = run([*line, "--json"])
    assert code == 0
    statuses = {Path(each["source"]).name: each["status"] for each in map(json.loads, out.splitlines())}
    assert {name for name, status in statuses.items() if status == "skipped"} == set(results)
    assert tree() == [".lumen/lock", *(f"{index}.png" for index in range(8))]
    assert {name: Path("out", name).stat().st_mtime_ns for name in results} == results


@pytest.mark.usefixtures("many")
def test_kill_9_leaves_no_partial_file_and_the_second_run_does_the_rest(models: Path) -> None:
    line = command("enhance", "in", "-o", "out", model=models / "slow.onnx")
    code, _ = interrupt(line, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert_only_the_rest_is_done(line)


@pytest.mark.usefixtures("many")
def test_ctrl_c_finishes_the_file_in_work(models: Path) -> None:
    line = command("enhance", "in", "-o", "out", model=models / "slow.onnx")
    code, err = interrupt(line, signal.SIGINT)
    assert code == 130
    assert "stopping after the current file; press Ctrl-C again to stop at once" in err
    assert " left in " in err.splitlines()[-1]
    assert "Traceback" not in err
    assert len(list(Path("out").glob("*.png"))) >= 3
    assert_only_the_rest_is_done(line)


@pytest.mark.usefixtures("many")
def test_sigterm_leaves_nothing_torn(models: Path) -> None:
    line = command("enhance", "in", "-o", "out", model=models / "slow.onnx")
    code, err = interrupt(line, signal.SIGTERM)
    assert code == 143
    assert " left" in err
    assert "Traceback" not in err
    assert [name for name in tree() if name.endswith(".lumen-tmp")] == []
    assert_only_the_rest_is_done(line)


def test_sigterm_ends_a_run_of_a_model_that_takes_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "in" / "0.png", size=(600, 600))
    model = write_fake_onnx(tmp_path / "endless.onnx", burn=3000)  # minutes in one run
    with start(command("enhance", "in", "-o", "out", model=model)) as process:
        deadline = time.monotonic() + 60
        while not any('"model"' in path.read_text() for path in Path("out").glob(".lumen/runs/*")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)  # the model is open, and runs
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        try:
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 143
    assert "Traceback" not in err
    assert [name for name in tree() if not name.startswith(".lumen/")] == []


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "in" / "0.png", size=(1500, 1500))  # many seconds, in small windows
    line = command("enhance", "in", "-o", "out", "--tile", "96", model=models / "slow.onnx")
    with start(line) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("0 of 1 files ("), "the picture is in work"
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("stopping after the current file")
        assert process.poll() is None, "the file in work would be finished"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "lumen: interrupted"
    assert "Traceback" not in err
    assert tree() == [".lumen/lock"]  # no result, and nothing half-written


def faults(*arguments: object) -> dict[str, Any]:
    """Run a check of `benchmarks/faults.py` and return what it found."""
    line = [sys.executable, "-m", "benchmarks.faults", *map(str, arguments), "--json"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


@pytest.mark.parametrize("options", [(), ("--backup",)])
def test_killed_again_and_again_the_folder_is_done_in_the_end(models: Path, options: tuple[str, ...]) -> None:
    facts = faults("kill", "--files", 6, "--side", 200, "--kills", 3, "--model", models / "slow.onnx", *options)
    assert facts["kills"] == 3
    assert facts["folders completed"] >= 1


def test_a_full_disk_is_exit_6_and_a_second_run_does_the_rest(models: Path) -> None:
    facts = faults("disk-full", "--files", 6, "--side", 200, "--model", models / "fast.onnx")
    if "skipped" in facts:
        pytest.skip(facts["skipped"])
    assert facts["done before the disk was full"] < 6
    assert facts["done before the disk of the originals was full"] < 6


def test_memory_does_not_grow_with_the_number_of_pictures(models: Path) -> None:
    facts = faults("memory", "--late", "--files", 60, "--side", 150, "--model", models / "fast.onnx")
    assert facts["pictures"] == 60
    assert facts["ratio"] < 1.5  # the long version, which has time to level out, asks for 1.1


@pytest.mark.parametrize("model", ["fast.onnx", "lumen-s"])
def test_the_throughput_can_be_measured(models: Path, model: str) -> None:
    name = models / model if model.endswith(".onnx") else model
    facts = faults("throughput", "--files", 2, "--megapixels", 0.1, "--model", name)
    assert facts["ratio"] > 0 and facts["CPU ratio"] > 0
