"""`benchmarks/gpu.py` in short on the CPU: every part runs or says why not, and nothing wrong passes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import Outcome, Worker, main, run_parts, table
from benchmarks.gpu_parts import PARTS, Setting, SkippedError, WrongError, check_same, exactness, explain, speed
from lumen.errors import DeviceError, ModelError
from lumen.runtime.devices import cuda_device_count
from tests.support.fakes import write_fake_onnx
from tests.support.scores import noise, save


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(tmp_path / "photos" / "a.png", noise(0, size=(40, 48), high=60))
    write_fake_onnx(tmp_path / "m.fp16.onnx", precision="fp16")
    return write_fake_onnx(tmp_path / "m.onnx")


def setting_for(model: Path) -> Setting:
    return Setting(device="cpu", model=str(model), photos=model.parent / "photos")


def test_every_part_runs_or_says_why_not(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--device=cpu", "--short", "--json", f"--model={model}", f"--photos={model.parent / 'photos'}"]
    code = main(line)
    told = json.loads(capsys.readouterr().out)
    parts = told["parts"]
    assert code == 0, parts
    assert list(parts) == list(PARTS)
    skipped = {name: part["why"] for name, part in parts.items() if part["status"] != "done"}
    assert skipped == dict.fromkeys(["cuda_graphs", "tensorrt"], "needs an NVIDIA GPU")
    assert {row["precision"]: row["levels"] for row in parts["exactness"]["rows"]} == {"fp32": 0, "fp16": 0}
    profiled = [row for row in parts["providers"]["rows"] if "nodes" in row]
    assert {row["where"] for row in profiled} == {"CPUExecutionProvider"}
    assert {row["precision"] for row in profiled} == {"fp32", "fp16"}
    assert all(row["ms"] > 0 for name in ("tiles", "batches", "io_binding", "copies") for row in parts[name]["rows"])
    assert len(parts["tiles"]["rows"]) == len(parts["batches"]["rows"]) == 2 * 2


@pytest.mark.skipif(cuda_device_count() > 0, reason="there is one")
def test_without_a_gpu_only_the_proof_fails(model: Path) -> None:
    setting = Setting(device="cuda:0", model=str(model), photos=model.parent / "photos")
    ended = {}
    for name, part in PARTS.items():
        with pytest.raises((SkippedError, WrongError, DeviceError)) as raised:
            list(part(setting))
        ended[name] = explain(raised.value)
    assert [name for name, (status, _) in ended.items() if status == "failed"] == ["providers"]
    assert all(why.startswith("cuda:0 cannot be used: ") for _, why in ended.values())


def test_results_that_differ_are_wrong(model: Path) -> None:
    write_fake_onnx(model.with_name("m.fp16.onnx"), gain=2.5, precision="fp16")
    with pytest.raises(WrongError, match=r"fp16 is \d+ levels from the CPU, expected at most 3"):
        list(exactness(setting_for(model)))
    model.with_name("m.fp16.onnx").unlink()
    rows = list(exactness(setting_for(model)))
    assert rows[0]["levels"] == 0
    assert rows[1]["note"].startswith("skipped: there is no m.fp16.onnx")


def test_a_part_that_crashes_or_does_not_end_costs_itself_alone(model: Path) -> None:
    crashing = Worker(setting_for(model), target=os._exit)  # which ends at once, as it gets what it does not take
    first, second = run_parts(crashing, ["tensorrt", "copies"], 60)
    assert (first.part, second.part) == ("tensorrt", "copies")
    for outcome in (first, second):
        assert (outcome.status, outcome.why) == ("failed", "the process ended with exit code 1")
    worker = Worker(setting_for(model))
    try:
        slow = worker.run("providers", 0)
        assert (slow.status, slow.why) == ("failed", "it did not end within 0 s")
        assert worker.run("tensorrt", 60).status == "skipped", "in a new process"
    finally:
        worker.stop()
    (late,) = run_parts(worker, ["tiles"], 0.5)
    assert late.status == "skipped" and "were over" in late.why


def test_failures_are_told_apart_and_shown() -> None:
    assert explain(SkippedError("why")) == ("skipped", "why")
    assert explain(WrongError("why")) == explain(ModelError("why")) == ("failed", "why")
    assert explain(KeyError("x")) == ("failed", "KeyError: 'x'")

    def short_of_memory() -> None:
        raise MemoryError("out of memory\nmore")

    expected = np.full((1, 2, 2, 3), 255, np.uint8)
    check_same(expected, expected - np.uint8(1))
    with pytest.raises(WrongError, match="254 levels apart"):
        check_same(expected, np.ones_like(expected))

    row = speed({"side": 8}, {}, short_of_memory, 1)
    assert row == {"side": 8, "ms": None, "MP/s": None, "note": "out of memory"}
    lines = table(Outcome(part="tiles", why="it ended", rows=[{"side": 8, "ms": 0.12345}, row])).splitlines()
    assert lines[1:4] == ["### tiles: failed: it ended", "", "| side | ms | MP/s | note |"]
    assert lines[-2:] == ["| 8 | 0.123 |  |  |", "| 8 | – | – | out of memory |"]
