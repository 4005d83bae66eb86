"""`--engine ray` on two nodes of this machine: workers that are killed, a node that goes, and what Ray costs.

`faults` enhances pictures while workers are killed with -9 and a node is removed, and compares every result with that
of the local engine. `overhead` has a model that sleeps for 50 ms, so that two workers need no more cores than there
are, and compares the pictures per second of both engines, in turns, once their workers are up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from lumen.batch.engines.engine import BatchEngine
from lumen.batch.engines.local import LocalEngine
from lumen.batch.engines.ray_engine import PictureSession, PictureSessions, RayEngine
from lumen.batch.job import Job
from lumen.batch.plan import plan_jobs
from lumen.batch.report import Outcome
from lumen.batch.run import Batch
from lumen.batch.work import PictureWork
from lumen.config import BatchOptions, EnhanceOptions, RuntimeOptions
from tests.support.clusters import TwoNodes, two_nodes
from tests.support.commands import ENVIRONMENT
from tests.support.fakes import FakeModels, write_fake_onnx

MODEL_S = 0.05
ROUNDS = 5
WARM = 0.1  # of the pictures: by then every worker is up


def asleep(_tiles: object) -> None:
    """Take the time of a model, and no core."""
    time.sleep(MODEL_S)


class SleepingSessions(PictureSessions):
    """Workers with the model that sleeps."""

    def open(self, _options: Sequence[RuntimeOptions]) -> PictureSession:
        return PictureSession(self, FakeModels(fault=asleep))


class SleepingRayEngine(RayEngine):
    """The engine with those workers."""

    def sessions(self, work: PictureWork, variants: Collection[EnhanceOptions]) -> PictureSessions:
        return SleepingSessions(pictures=work.pictures, options=work.options, variants=tuple(variants))


class Times:
    """Remembers when each picture was done."""

    def __init__(self) -> None:
        self.done: list[float] = []

    def started(self, _pending: int) -> None: ...

    def counted(self, _pending: int, *, is_all: bool, clips: int = 0) -> None: ...

    def progressed(self, _job: Job, _fraction: float, _megapixels: float, _frames: int = 0) -> None: ...

    def finished(self, outcome: Outcome) -> None:
        assert outcome.status == "done", outcome
        self.done.append(time.monotonic())

    def stopping(self) -> None: ...

    def per_second(self) -> float:
        """Return the pictures per second after the first tenth."""
        first = int(len(self.done) * WARM)
        return (len(self.done) - first - 1) / (self.done[-1] - self.done[first])


def write_pictures(folder: Path, count: int) -> Path:
    """Write small noisy pictures, and return their folder."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for index in range(count):
        pixels = rng.integers(0, 60, (64, 96 + index % 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:05}.png")
    return folder


def rate(engine: BatchEngine, pictures: Path, output: Path) -> tuple[float, float]:
    """Return the pictures per second of an engine once it is warm, and the seconds until its first result."""
    times, options = Times(), BatchOptions(output=output)
    begun = time.monotonic()
    Batch(plan_jobs([pictures], options), engine, EnhanceOptions(), options, times).run()
    return times.per_second(), times.done[0] - begun


def overhead(work: Path, count: int) -> dict[str, Any]:
    """Compare both engines, each with two workers, in turns; other work on the machine slows both alike."""
    pictures, local, far = write_pictures(work / "in", count // ROUNDS), [], []
    with two_nodes() as nodes, _address(nodes):
        for turn in range(ROUNDS):
            models = [FakeModels(fault=asleep) for _ in range(2)]
            local.append(rate(LocalEngine(models), pictures, work / f"local{turn}"))
            far.append(rate(SleepingRayEngine(RuntimeOptions()), pictures, work / f"ray{turn}"))
    ratios = [near / other for (near, _), (other, _) in zip(local, far, strict=True)]
    return {
        "pictures": count,
        "local": f"{statistics.median(each for each, _ in local):.1f}/s",
        "ray": f"{statistics.median(each for each, _ in far):.1f}/s",
        "overhead": f"{100 * (statistics.median(ratios) - 1):.1f} %",
        "from": f"{100 * (min(ratios) - 1):.1f} % to {100 * (max(ratios) - 1):.1f} %",
        "until the first result": f"{statistics.median(first for _, first in far):.1f} s",
    }


def faults(work: Path, count: int, kills: int) -> dict[str, Any]:
    """Kill workers and remove a node while pictures are enhanced by the real command."""
    pictures, model = write_pictures(work / "in", count), write_fake_onnx(work / "m.onnx", burn=30)
    line = [sys.executable, "-m", "lumen", "enhance", str(pictures), "--model", str(model), "--device", "cpu", "--json"]
    subprocess.run([*line, "-o", str(work / "local")], env=ENVIRONMENT, capture_output=True, check=True)
    with two_nodes() as nodes:
        environment = ENVIRONMENT | nodes.environment()
        line += ["-o", str(work / "ray"), "--engine", "ray"]
        with (
            (work / "told").open("w", encoding="utf-8") as told_to,
            subprocess.Popen(line, env=environment, stdout=told_to) as process,
        ):
            killed = _kill(process, nodes, work / "ray", count, kills)
            process.wait(600)
    assert process.returncode == 0
    told = [json.loads(each) for each in (work / "told").read_text(encoding="utf-8").splitlines()]
    assert len(told) == len({each["source"] for each in told}) == count, len(told)
    assert {each["status"] for each in told} == {"done"}
    results, expected = _contents(work / "ray"), _contents(work / "local")
    assert results == expected
    assert len(results) == count
    assert not list((work / "ray").rglob("*.lumen-tmp"))
    return {"pictures": count, "killed": killed, "removed nodes": 1, "results": f"{len(results)}, each once and equal"}


def _kill(process: subprocess.Popen[bytes], nodes: TwoNodes, out: Path, count: int, kills: int) -> int:
    """Kill a worker at each of so many moments, and remove a node in between; return how many were killed."""
    killed = 0
    for moment in range(1, kills + 2):
        while len(list(out.glob("*.png"))) < moment * count // (kills + 3):
            assert process.poll() is None, "ended too early"
            time.sleep(0.01)
        if moment == kills // 2 + 1:
            nodes.remove_second()
            continue
        while nodes.kill_one() is None:
            assert process.poll() is None, "ended too early"
            time.sleep(0.01)
        killed += 1
    return killed


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@contextmanager
def _address(nodes: TwoNodes) -> Iterator[None]:
    os.environ |= nodes.environment()
    try:
        yield
    finally:
        del os.environ["RAY_ADDRESS"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=["faults", "overhead"])
    parser.add_argument("--pictures", type=int, help="500 for faults, 2,000 for overhead unless given")
    parser.add_argument("--kills", type=int, default=10)
    asked = parser.parse_args()
    with TemporaryDirectory() as work:
        if asked.check == "faults":
            found = faults(Path(work), asked.pictures or 500, asked.kills)
        else:
            found = overhead(Path(work), asked.pictures or 2000)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
