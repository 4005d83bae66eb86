"""`--engine ray` on a cluster of two nodes in short; `benchmarks/ray_cluster.py` has the long version."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from tests.support.clips import write_clip
from tests.support.clusters import TwoNodes, two_nodes
from tests.support.commands import ENVIRONMENT, command, run, save, tree
from tests.support.fakes import write_fake_onnx

FILES = 40


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the user that takes about a tenth of a second for a picture."""
    return write_fake_onnx(tmp_path_factory.mktemp("slow") / "slow.onnx", burn=40)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory holds `in` with 39 pictures of different sizes, and a damaged one."""
    monkeypatch.chdir(tmp_path)
    for index in range(1, FILES):
        save(tmp_path / "in" / f"{index:02}.png", size=(80, 100 + index))
    (tmp_path / "in" / "bad.png").write_bytes((tmp_path / "in" / "01.png").read_bytes()[:60])
    return tmp_path / "in"


def enhance(out: str, model: Path, *more: str) -> list[str]:
    return command("enhance", "in", "-o", out, "--device", "cpu", "--existing", "overwrite", *more, model=model)


def start(cluster: TwoNodes, line: list[str]) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": {**ENVIRONMENT, **cluster.environment()}}
    return subprocess.Popen(line, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def finish(cluster: TwoNodes, line: list[str]) -> tuple[int, str, str]:
    with start(cluster, line) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def told(out: str) -> list[dict[str, Any]]:
    """Return what is told of every file, without what differs from run to run."""
    found = [json.loads(line) for line in out.splitlines()]
    return sorted(
        ({**each, "seconds": 0, "target": Path(each["target"]).name} for each in found), key=lambda each: each["source"]
    )


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).glob("*.png")}


def wait_until(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.usefixtures("pictures")
def test_results_are_those_of_the_local_engine_though_a_worker_is_killed(cluster: TwoNodes, slow: Path) -> None:
    with start(cluster, enhance("far", slow, "--engine", "ray", "--json")) as process:
        wait_until(lambda: len(contents("far")) > 4, process)
        wait_until(cluster.kill_one, process)
        out, err = process.communicate(timeout=120)
    code, local, _ = run(enhance("near", slow, "--json"))
    assert (process.returncode, code) == (3, 3), err
    assert told(out) == told(local)
    assert len(told(out)) == FILES
    assert contents("far") == contents("near")
    assert tree("far") == tree("near")
    (record,) = Path("far/.lumen/runs").iterdir()
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["counts"] == {"done": FILES - 1, "skipped": 0, "failed": 1, "planned": 0}
    assert [each["model"]["name"] for each in lines if "model" in each] == ["fake"]
    assert len([each for each in lines if "status" in each]) == FILES


def test_clips_and_sequences_are_those_of_the_local_engine(cluster: TwoNodes, tmp_path: Path) -> None:
    for index in range(6):
        save(tmp_path / "in" / f"{index}.png", size=(20 + 9 * index, 60))
    write_clip(tmp_path / "in" / "clip.mp4")
    line = ("enhance", tmp_path / "in", "--clips", "--steady", "--device", "cpu", "--json")
    code, out, err = finish(cluster, command(*line, "-o", tmp_path / "far", "--engine", "ray"))
    assert code == 0, err
    assert told(out) == told(run(command(*line, "-o", tmp_path / "near"))[1])
    results = [name for name in tree(tmp_path / "near") if not name.startswith(".lumen")]
    assert len(results) == 7
    for name in results:
        assert (tmp_path / "far" / name).read_bytes() == (tmp_path / "near" / name).read_bytes(), name


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_the_rest_for_the_next_run(
    cluster: TwoNodes, slow: Path, number: signal.Signals, code: int
) -> None:
    with start(cluster, enhance("far", slow, "--engine", "ray", "--json")) as process:
        wait_until(lambda: len(contents("far")) > 4, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    done = {Path(each["source"]).name for each in told(out) if each["status"] == "done"}
    assert 4 < len(done) < FILES - 1
    assert done == set(contents("far"))
    assert [name for name in tree("far") if name.endswith(".lumen-tmp")] == []
    assert cluster.busy() == []


def test_scores_are_those_of_the_local_engine(cluster: TwoNodes, pictures: Path, fake_model: Path) -> None:
    line = ("eval", pictures, "--gt", pictures, "--model", fake_model, "--device", "cpu", "--json", "--save")
    code, out, err = finish(cluster, command(*line, "far", "--engine", "ray", "--report", "far.html"))
    local_code, local, _ = run(command(*line, "near"))
    assert (code, local_code) == (3, 3), err
    assert out == local
    assert contents("far") == contents("near")
    assert Path("far.html").read_text(encoding="utf-8").count("data:image/webp") > FILES


def test_a_cluster_that_is_not_there_is_one_line(pictures: Path, slow: Path) -> None:
    environment = {**ENVIRONMENT, "RAY_ADDRESS": "127.0.0.1:1"}
    line = enhance("far", slow, "--engine", "ray")
    done = subprocess.run(line, env=environment, cwd=pictures.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "RAY_ADDRESS=127.0.0.1:1" in done.stderr
