from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from lumen import conveyor as module
from lumen.conveyor import Conveyor, Stages


class Meter:
    """Counts what is in memory at once, in items and bytes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside: dict[int, int] = {}
        self.most = 0
        self.most_bytes = 0

    def enter(self, job: int, size: int) -> None:
        with self.lock:
            self.inside[job] = size
            self.most = max(self.most, len(self.inside))
            self.most_bytes = max(self.most_bytes, sum(self.inside.values()))

    def leave(self, job: int) -> None:
        with self.lock:
            self.inside.pop(job, None)


def nothing(job: int) -> int:
    return job


def stages(
    *,
    read: Callable[[int], int] = nothing,
    improve: Callable[[int], int] = nothing,
    write: Callable[[int], int] = nothing,
    size: Callable[[int], int] = lambda _: 1,
    workers: int = 1,
) -> Stages[int, int, int]:
    return Stages(read=read, improve=[improve] * workers, write=write, size=size)


def run(jobs: range | list[int], what: Stages[int, int, int], helpers: int = 1) -> dict[int, int | Exception]:
    line = Conveyor(jobs, what, helpers=helpers)
    ended = dict(each for each in line.run() if each is not None)
    assert line.close() == []
    return ended


@pytest.mark.parametrize(("workers", "helpers", "most"), [(1, 1, 3), (2, 1, 4), (1, 3, 7)])
def test_all_jobs_end_and_few_are_inside_at_once(workers: int, helpers: int, most: int) -> None:
    meter = Meter()

    def read(job: int) -> int:
        meter.enter(job, 1)
        return job

    def write(item: int) -> int:
        time.sleep(0.002)
        meter.leave(item)
        return -item

    what = stages(read=read, write=write, workers=workers)
    assert run(range(40), what, helpers) == {job: -job for job in range(40)}
    assert 1 < meter.most <= most


def test_the_stages_run_side_by_side() -> None:
    meet = threading.Barrier(3, timeout=10)
    late = threading.Event()

    def join(item: int) -> int:
        if item == 2:
            late.set()
        if not late.is_set() or item in (0, 1, 2):
            meet.wait()
        return item

    # Reading 2, improving 1 and writing 0 wait for each other: one after the other they would wait for ever.
    what = stages(
        read=lambda job: join(job) if job == 2 else job,
        improve=lambda item: join(item) if item == 1 else item,
        write=lambda item: join(item) if item == 0 else item,
    )
    assert run(range(3), what) == {0: 0, 1: 1, 2: 2}


def test_of_large_items_there_is_one_and_nothing_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AHEAD_BYTES", 100)
    meter = Meter()

    def size(item: int) -> int:
        return 150 if item >= 10 else 10

    def read(job: int) -> int:
        meter.enter(job, size(job))
        return job

    def write(item: int) -> int:
        time.sleep(0.005)
        meter.leave(item)
        return item

    assert len(run([0, 1, 10, 11, 12, 2, 3], stages(read=read, write=write, size=size))) == 7
    assert meter.most_bytes <= 150 + 2 * 10
    assert meter.most == 3


def test_errors_belong_to_their_job() -> None:
    def fail(item: int) -> int:
        raise ValueError(item)

    for stage in ("read", "improve", "write"):
        what = stages(**{stage: lambda item: fail(item) if item == 1 else item})  # type: ignore[arg-type]
        ended = run(range(3), what)
        assert isinstance(ended.pop(1), ValueError)
        assert ended == {0: 0, 2: 2}


@pytest.mark.parametrize("stage", ["read", "improve", "write"])
def test_memory_that_is_short_is_tried_again_alone_and_once(stage: str) -> None:
    inside: set[int] = set()
    tries: dict[int, list[set[int]]] = {3: [], 5: []}

    def step(name: str) -> Callable[[int], int]:
        def call(item: int) -> int:
            inside.add(item)
            time.sleep(0.01)
            if name == stage and item in tries:
                tries[item].append(inside - {item})
                if item == 5 or len(tries[3]) == 1:
                    inside.discard(item)
                    raise MemoryError
            if name == "write":
                inside.discard(item)
            return item

        return call

    ended = run(range(8), stages(read=step("read"), improve=step("improve"), write=step("write")))
    assert len(ended) == 8
    assert ended[3] == 3
    assert isinstance(ended[5], MemoryError)
    assert [bool(others) for others in tries[3]] == [True, False]
    assert len(tries[5]) <= 2 and not tries[5][-1]


def test_draining_finishes_what_is_inside() -> None:
    line = Conveyor(range(100), stages())
    ended = []
    for each in line.run():
        if each is not None:
            ended.append(each[0])
            line.drain()
    assert 1 <= len(ended) <= 3
    assert line.close() == []


def test_closing_finishes_what_is_written_and_drops_the_rest() -> None:
    begun, go = threading.Event(), threading.Event()

    def write(item: int) -> int:
        begun.set()
        go.wait(10)
        return item

    line = Conveyor(range(100), stages(write=write))
    for _ in line.run():
        if begun.is_set():
            break
    threading.Timer(0.05, go.set).start()
    assert (0, 0) in line.close()


def test_closing_at_once_waits_for_nothing() -> None:
    begun, go = threading.Event(), threading.Event()

    def improve(item: int) -> int:
        begun.set()
        go.wait(10)
        return item

    line = Conveyor(range(3), stages(improve=improve))
    for _ in line.run():
        if begun.is_set():
            break
    try:
        assert line.close(at_once=True) == []
        assert not go.is_set()
    finally:
        go.set()


def test_an_interruption_in_a_stage_is_raised() -> None:
    def interrupt(_item: int) -> int:
        raise KeyboardInterrupt

    line = Conveyor(range(3), stages(improve=interrupt))
    with pytest.raises(KeyboardInterrupt):
        list(line.run())
    line.close()


def test_it_is_heard_from_while_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.01)

    def improve(item: int) -> int:
        time.sleep(0.1)
        return item

    line = Conveyor([0], stages(improve=improve))
    assert list(line.run()).count(None) >= 3
    line.close()
