"""Planning ahead of the work, in little memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lumen.batch import ahead
from lumen.batch.ahead import Ahead
from lumen.batch.block import Block
from lumen.batch.plan import Plan
from lumen.batch.skipping import ToDo
from lumen.errors import UsageError

FILES = 50


def block(number: int, files: int = FILES) -> Block:
    names = [f"IMG_{number:05}_{each:04}.jpg" for each in range(files)]
    folder = Path(f"cam/{number:05}")
    return Block(source="in" / folder, target="out" / folder, place=folder, names=names, results=names)


def todo(one: Block) -> Iterator[ToDo]:
    yield ToDo(block=one, reasons=[None] * len(one.names), uncompared=[False] * len(one.names))


def taken(planned: Ahead) -> list[str]:
    """Take all, waiting for it."""
    names: list[str] = []
    while True:
        is_end, each = planned.is_sorted, planned.take()
        if each is None and is_end:
            return names
        if each is not None:
            names += each.block.names


def never() -> bool:
    return False


def test_a_small_run_is_planned_to_its_end_before_it_begins() -> None:
    with Ahead(Plan(blocks=map(block, range(3))), todo) as planned:
        planned.wait_for_plan(never)
        assert (planned.files, planned.is_planned, planned.is_sorted) == (3 * FILES, True, False)
        assert planned.take() is None, "nobody has locked the output yet"
        planned.wait_for_sorted(never)
        assert (planned.pending, planned.is_sorted) == (3 * FILES, True)
        assert taken(planned) == [name for number in range(3) for name in block(number).names]


def test_the_clips_among_the_files_are_counted() -> None:
    names = ["a.jpg", "b.mp4", "c.MOV", "d.jpg", "e.mp4"]
    one = Block(source=Path("in"), target=Path("out"), names=names, results=names)

    def sorted_(each: Block) -> Iterator[ToDo]:
        yield ToDo(block=each, reasons=[None, None, None, "it exists", "it exists"], uncompared=[False] * 5)

    with Ahead(Plan(blocks=iter([one])), sorted_) as planned:
        planned.wait_for_plan(never)
        planned.wait_for_sorted(never)
        assert (planned.pending, planned.pending_clips) == (3, 2)


@pytest.mark.parametrize("whole", [False, True])
def test_a_large_run_begins_while_the_rest_is_planned_unless_it_must_be_known_whole(
    monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    monkeypatch.setattr(ahead, "HEAD_START_S", 0.0)
    go_on = threading.Event()

    def blocks() -> Iterator[Block]:
        yield block(0)
        if whole:
            time.sleep(0.2)
        else:
            assert go_on.wait(10)
        yield block(1)

    with Ahead(Plan(blocks=blocks()), todo, whole=whole) as planned:
        planned.wait_for_plan(never)
        planned.wait_for_sorted(never)
        assert planned.is_planned is whole
        first = None
        while first is None:
            first = planned.take()
        assert first.block == block(0)
        go_on.set()
        assert taken(planned) == block(1).names


@pytest.mark.parametrize("waits", [Ahead.wait_for_plan, Ahead.wait_for_sorted])
def test_what_planning_refuses_is_raised_where_the_work_is_done(
    waits: Callable[[Ahead, Callable[[], bool]], None],
) -> None:
    def blocks() -> Iterator[Block]:
        yield block(0)
        raise UsageError("no")

    with Ahead(Plan(blocks=blocks()), todo) as planned, pytest.raises(UsageError, match="no"):
        waits(planned, never)


def test_what_is_refused_later_is_raised_before_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "HEAD_START_S", 0.0)
    go_on = threading.Event()

    def blocks() -> Iterator[Block]:
        yield block(0)
        assert go_on.wait(10)
        raise UsageError("no")

    with Ahead(Plan(blocks=blocks()), todo) as planned:
        planned.wait_for_plan(never)
        planned.wait_for_sorted(never)
        go_on.set()
        with pytest.raises(UsageError, match="no"):
            taken(planned)


def test_who_is_asked_to_stop_waits_for_nothing() -> None:
    go_on = threading.Event()

    def blocks() -> Iterator[Block]:
        assert go_on.wait(10)
        yield block(0)

    with Ahead(Plan(blocks=blocks()), todo, whole=True) as planned:
        planned.wait_for_plan(lambda: True)
        planned.wait_for_sorted(lambda: True)
        assert (planned.files, planned.is_planned) == (0, False)
        go_on.set()


def test_an_error_of_sorting_is_raised_too() -> None:
    def refuse(_: Any) -> Iterator[ToDo]:
        raise UsageError("exists")
        yield

    with Ahead(Plan(blocks=[block(0)]), refuse) as planned:
        planned.wait_for_plan(never)
        with pytest.raises(UsageError, match="exists"):
            planned.wait_for_sorted(never)
