from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lumen.cluster import blocks as module
from lumen.cluster.blocks import BLOCK_JOBS, BLOCKS_PER_WORKER, MAX_RETRIES, Blocks
from lumen.cluster.connection import Cluster
from lumen.cluster.nodes import Expected
from lumen.config import RuntimeOptions
from lumen.errors import DeviceError, PictureError, UnavailableError, UsageError
from tests.support.fake_ray import FakeRay, WorkerCrashedError


class Doubling:
    """A session that doubles numbers, and fails at 13."""

    def open(self, _options: Sequence[RuntimeOptions]) -> Doubling:
        return self

    def facts(self) -> Mapping[str, Any]:
        return {"name": "doubling"}

    def memory(self) -> int:
        return 0

    def run(self, jobs: Sequence[int]) -> Iterator[tuple[int, int | Exception] | None]:
        for number, job in enumerate(jobs):
            yield number, 2 * job if job != 13 else PictureError("unlucky")
            yield None

    def leave(self) -> None: ...

    def close(self) -> list[tuple[int, int | Exception]]:
        return []


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    fake.install(monkeypatch)
    return fake


def opened(sessions: Any = None, **versions: str) -> Blocks[int, int]:
    blocks: Blocks[int, int] = Blocks(Cluster(), RuntimeOptions(device="cpu"))
    expected = Expected(versions=versions, files=(), cwd=Path.cwd())
    assert blocks.open(sessions or Doubling(), (), expected) == {"name": "doubling"}
    return blocks


def results(jobs: Iterator[int], blocks: Blocks[int, int]) -> dict[int, int | Exception]:
    ended = [each for each in blocks.run(jobs) if each is not None]
    assert len(ended) == len({job for job, _ in ended})
    return dict(ended)


def test_every_job_ends_once_with_its_result_or_error(ray: FakeRay) -> None:
    found = results(iter(range(100)), opened())
    assert isinstance(found.pop(13), PictureError)
    assert found == {job: 2 * job for job in range(100) if job != 13}
    assert max(map(len, ray.blocks)) == BLOCK_JOBS


def test_blocks_get_smaller_towards_the_end(ray: FakeRay) -> None:
    results(iter(range(100)), opened())
    sizes = [len(block) for block in ray.blocks]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == BLOCK_JOBS and sizes[-1] == 1


@pytest.mark.usefixtures("ray")
def test_few_jobs_are_taken_ahead() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            taken.append(len(taken))
            yield taken[-1]

    running = opened().run(endless())
    for _ in range(50):
        next(running)
    workers = 2
    assert len(taken) <= 50 + 2 * BLOCKS_PER_WORKER * workers * BLOCK_JOBS


def test_the_jobs_of_a_lost_worker_go_again_each_alone(ray: FakeRay) -> None:
    losses = iter([True])

    def fault(_jobs: Sequence[int]) -> None:
        if next(losses, False):
            raise WorkerCrashedError("killed")

    ray.fault = fault
    found = results(iter(range(40)), opened())
    assert len(found) == 40
    counts = Counter(len(block) for block in ray.blocks)
    first = ray.blocks[0]
    assert all((job,) in ray.blocks for job in first)
    assert counts[BLOCK_JOBS] > 1


def test_a_job_that_ends_its_workers_fails_and_takes_no_other_with_it(ray: FakeRay) -> None:
    def fault(jobs: Sequence[int]) -> None:
        if 3 in jobs:
            raise WorkerCrashedError("out of memory\nmore")

    ray.fault = fault
    found = results(iter(range(20)), opened())
    lost = found.pop(3)
    assert str(lost) == f"{MAX_RETRIES + 1} workers were lost while they worked on it: out of memory"
    assert isinstance(lost, PictureError)
    assert len(found) == 19
    assert ray.blocks.count((3,)) == MAX_RETRIES + 1


@pytest.mark.usefixtures("ray")
def test_after_leave_no_job_is_taken_and_what_runs_ends() -> None:
    jobs, blocks = iter(range(1000)), opened()
    running = blocks.run(jobs)
    first = next(running)
    blocks.leave()
    rest = [each for each in running if each is not None]
    assert first is not None
    assert 0 < len(rest) < 100
    assert next(jobs) < 100


@pytest.mark.usefixtures("ray")
def test_another_version_on_a_node_ends_all_before_work_begins() -> None:
    with pytest.raises(UnavailableError, match=r"node 10\.0\.0\.1 has lumen .*, and the machine .* 9\.9; install"):
        opened(lumen="9.9")


@pytest.mark.usefixtures("ray")
def test_what_a_model_cannot_do_is_told_as_it_was_raised_on_the_worker() -> None:
    class Refusing(Doubling):
        def open(self, _options: Sequence[RuntimeOptions]) -> Doubling:
            raise UsageError("leave --shadows out")

    with pytest.raises(UsageError, match="leave --shadows out"):
        opened(Refusing())


@pytest.mark.usefixtures("ray")
def test_a_node_without_lumen_is_told_so() -> None:
    class Missing(Doubling):
        def open(self, _options: Sequence[RuntimeOptions]) -> Doubling:
            raise ModuleNotFoundError("No module named 'lumen'")

    with pytest.raises(UnavailableError, match="cannot import lumen: No module named 'lumen'; install lumen"):
        opened(Missing())


@pytest.mark.usefixtures("ray")
def test_warnings_of_workers_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    class Careful(Doubling):
        def run(self, jobs: Sequence[int]) -> Iterator[tuple[int, int | Exception] | None]:
            module.log.warning("running on the CPU instead")
            return super().run(jobs)

    caplog.set_level("WARNING", "lumen")
    results(iter(range(100)), opened(Careful()))
    told = [record for record in caplog.records if record.funcName == "_tell"]
    assert [record.getMessage() for record in told] == ["running on the CPU instead"]


def test_a_cluster_without_room_is_refused(ray: FakeRay) -> None:
    ray.nodes[0]["Resources"] = {"CPU": 0.5}
    with pytest.raises(DeviceError, match="no node of the Ray cluster has 1 CPU for a worker; use another"):
        opened()
