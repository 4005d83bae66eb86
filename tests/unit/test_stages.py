from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from lumen import stages as module
from lumen.stages import LeftError, Stages, Steps, few_inside


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
    work: Callable[[int], int] = nothing,
    write: Callable[[int], int] = nothing,
    workers: int = 1,
    helpers: int = 1,
    **hooks: Any,
) -> Stages[int, int, int, int]:
    steps: Steps[int, int, int, int] = Steps(
        read=read, work=lambda _, items: [work(item) for item in items], write=write
    )
    return Stages(steps, range(workers), helpers=helpers, **hooks)


def ended(
    line: Stages[int, int, int, int], jobs: range | list[int], size: Callable[[int], int] = lambda _: 1
) -> Iterator[tuple[int, int | Exception] | None]:
    return module.drive(line, jobs, lambda: few_inside(line, size), short_of_memory=(MemoryError,))


def run(line: Stages[int, int, int, int], jobs: range | list[int], **sizes: Any) -> dict[int, int | Exception]:
    found = dict(each for each in ended(line, jobs, **sizes) if each is not None)
    assert line.close() == []
    return found


@pytest.mark.parametrize(("workers", "helpers", "most"), [(1, 1, 3), (2, 1, 4), (1, 3, 7), (1, 0, 1)])
def test_all_jobs_end_and_few_are_inside_at_once(workers: int, helpers: int, most: int) -> None:
    meter = Meter()

    def read(job: int) -> int:
        meter.enter(job, 1)
        return job

    def write(item: int) -> int:
        time.sleep(0.002)
        meter.leave(item)
        return -item

    line = stages(read=read, write=write, workers=workers, helpers=helpers)
    assert run(line, range(40)) == {job: -job for job in range(40)}
    assert min(2, most) <= meter.most <= most


def test_the_stages_run_side_by_side() -> None:
    meet = threading.Barrier(3, timeout=10)
    late = threading.Event()

    def join(item: int) -> int:
        if item == 2:
            late.set()
        if not late.is_set() or item in (0, 1, 2):
            meet.wait()
        return item

    # Reading 2, working on 1 and writing 0 wait for each other: one after the other they would wait for ever.
    line = stages(
        read=lambda job: join(job) if job == 2 else job,
        work=lambda item: join(item) if item == 1 else item,
        write=lambda item: join(item) if item == 0 else item,
    )
    assert run(line, range(3)) == {0: 0, 1: 1, 2: 2}


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

    assert len(run(stages(read=read, write=write), [0, 1, 10, 11, 12, 2, 3], size=size)) == 7
    assert meter.most_bytes <= 150 + 2 * 10
    assert meter.most == 3


def test_errors_belong_to_their_job() -> None:
    def fail(item: int) -> int:
        raise ValueError(item)

    for stage in ("read", "work", "write"):
        step: dict[str, Any] = {stage: lambda item: fail(item) if item == 1 else item}
        found = run(stages(**step), range(3))
        assert isinstance(found.pop(1), ValueError)
        assert found == {0: 0, 2: 2}


@pytest.mark.parametrize("stage", ["read", "work", "write"])
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

    found = run(stages(read=step("read"), work=step("work"), write=step("write")), range(8))
    assert len(found) == 8
    assert found[3] == 3
    assert isinstance(found[5], MemoryError)
    assert [bool(others) for others in tries[3]] == [True, False]
    assert len(tries[5]) <= 2 and not tries[5][-1]


def test_leaving_finishes_what_is_inside() -> None:
    line, found = stages(), []
    for each in ended(line, range(100)):
        if each is not None:
            found.append(each[0])
            line.leave()
    assert 1 <= len(found) <= 3
    assert line.close() == []


def test_closing_finishes_what_is_written_and_drops_the_rest() -> None:
    begun, go = threading.Event(), threading.Event()

    def write(item: int) -> int:
        begun.set()
        go.wait(10)
        return item

    line = stages(write=write)
    for _ in ended(line, range(100)):
        if begun.is_set():
            break
    threading.Timer(0.05, go.set).start()
    assert (0, 0) in line.close()


def test_closing_at_once_waits_for_nothing() -> None:
    begun, go = threading.Event(), threading.Event()

    def work(item: int) -> int:
        begun.set()
        go.wait(10)
        return item

    line = stages(work=work)
    for _ in ended(line, range(3)):
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

    line = stages(work=interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(ended(line, range(3)))
    line.close()


def test_it_is_heard_from_while_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.01)

    def work(item: int) -> int:
        time.sleep(0.1)
        return item

    line = stages(work=work)
    assert list(ended(line, [0])).count(None) >= 3
    line.close()


def test_a_run_takes_those_that_are_gathered_and_leaves_the_order_of_the_rest() -> None:
    runs: list[list[int]] = []
    gate = threading.Event()

    def work(worker: str, items: Sequence[int]) -> list[int | Exception]:
        gate.wait(10)
        assert worker == "the only one"
        runs.append(list(items))
        return [ValueError(item) if item == 4 else item for item in items]

    def gather(_worker: str, first: int, others: Sequence[int]) -> list[int]:
        return [other for other in others if other % 2 == first % 2]

    steps: Steps[int, int, int, str] = Steps(read=nothing, work=work, write=nothing, gather=gather)
    line = Stages(steps, ["the only one"])
    for job in (0, 1, 2, 3, 4, 5):
        line.submit(job)
        while line.reading:
            assert list(line.advance(10)) == []
            line.begin_work()
    assert (line.working, line.ready, line.inside) == ([0], [1, 2, 3, 4, 5], 6)
    gate.set()
    found: dict[int, int | Exception] = {}
    while line.inside:
        found.update(line.advance(10))
        line.begin_work()
    assert runs == [[0], [1, 3, 5], [2, 4]]
    assert isinstance(found.pop(4), ValueError)
    assert found == {job: job for job in (0, 1, 2, 3, 5)}
    line.close()


def test_what_a_run_raises_belongs_to_all_that_are_in_it() -> None:
    def work(_worker: None, _items: Sequence[int]) -> list[int | Exception]:
        raise ValueError

    steps: Steps[int, int, int, None] = Steps(read=nothing, work=work, write=nothing, gather=lambda *them: them[2])
    line, is_behind = Stages(steps, [None], is_behind=lambda: is_behind), True
    for job in range(3):
        line.submit(job)
    found: list[tuple[int, int | Exception]] = []
    while len(line.ready) < 3:
        found += line.advance(10)
        line.begin_work()
    assert line.working == []  # too much is being written
    is_behind = False
    line.begin_work()
    while line.inside:
        found += line.advance(10)
    assert [(job, type(error)) for job, error in found] == [(0, ValueError), (1, ValueError), (2, ValueError)]
    line.close()


def test_whoever_waits_is_woken_when_a_stage_has_ended() -> None:
    woken = threading.Event()
    line = stages(wake=woken.set)
    line.submit(0)
    for _stage in ("read", "work", "write"):
        assert woken.wait(10)
        woken.clear()
        ended_now = list(line.advance(10))
        line.begin_work()
    assert ended_now == [(0, 0)]
    line.close()


def test_leaving_returns_what_had_not_begun_and_ends_what_is_being_read() -> None:
    begun, go = threading.Event(), threading.Event()

    def read(job: int) -> int:
        if job == 1:
            begun.set()
            go.wait(10)
        return job

    line = stages(read=read)
    for job in range(3):
        line.submit(job)
    while not line.ready:
        list(line.advance(10))
    assert begun.wait(10)
    assert line.leave() == [0, 2]
    go.set()
    ((job, error),) = line.advance(10)
    assert (job, type(error), line.inside) == (1, LeftError, 0)
    line.close()


def test_workers_can_be_asked_to_leave_what_they_work_on() -> None:
    begun = threading.Event()

    def work(item: int) -> int:
        begun.set()
        while True:
            line.check()
            time.sleep(0.001)
        return item

    line = stages(work=work)
    line.submit(0)
    list(line.advance(10))
    line.begin_work()
    assert begun.wait(10)
    line.abort()
    ((job, error),) = line.advance(10)
    assert (job, type(error)) == (0, LeftError)
    line.close()


def test_what_was_written_is_returned_at_the_end_whoever_stops_asking() -> None:
    line = stages(helpers=2)
    for job in range(2):
        line.submit_writing(job, job)
    while not all(future.done() for future in line._writing):
        time.sleep(0.001)
    for _ in line.advance(10):
        break
    assert line.close() == [(1, 1)]


def test_numbered_jobs_come_in_order_as_soon_as_they_can() -> None:
    def some() -> Iterator[tuple[int, str] | None]:
        for number in (2, 0, None, 1, 3):
            asked.append(number)
            yield None if number is None else (number, "abcd"[number])

    asked: list[int | None] = []
    found = [(each, len(asked)) for each in module.in_order(some())]
    assert found == [("a", 2), ("b", 4), ("c", 4), ("d", 5)]


def test_closing_interrupts_work_again_and_again_until_it_ends() -> None:
    calls: list[int] = []
    enough = threading.Event()

    def interrupt() -> None:
        calls.append(1)
        if len(calls) > 2:
            enough.set()

    def work(_worker: None, items: Any) -> Any:
        assert enough.wait(30)
        return items

    stages: Stages[int, int, int, None] = Stages(
        Steps(read=lambda job: job, work=work, write=lambda item: item), [None], interrupt=interrupt
    )
    stages.submit(1)
    while not stages.working:
        list(stages.advance(0.1))
        stages.begin_work()
    stages.close()
    assert len(calls) > 2
    idle: Stages[int, int, int, None] = Stages(
        Steps(read=lambda job: job, work=work, write=lambda item: item), [None], interrupt=lambda: calls.append(0)
    )
    idle.close()
    assert 0 not in calls, "nothing of others is interrupted where nothing is worked on"
