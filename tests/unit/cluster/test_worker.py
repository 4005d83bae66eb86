from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lumen.cluster.nodes import Expected
from lumen.cluster.worker import Parcel, open_session, work_on
from lumen.config import RuntimeOptions
from lumen.errors import OutputError, PictureError


class Steps:
    """A session whose jobs are called; one that was begun with and not ended is finished by `close`."""

    def __init__(self) -> None:
        self.opened = 0
        self.is_left = False
        self.open_jobs: list[int] = []

    def open(self, _options: Sequence[RuntimeOptions]) -> Steps:
        self.opened += 1
        return self

    def facts(self) -> Mapping[str, Any]:
        return {"name": "steps"}

    def memory(self) -> int:
        return 7

    def run(self, jobs: Sequence[Callable[[], Any]]) -> Iterator[tuple[int, Any] | None]:
        self.is_left = False
        for number, job in enumerate(jobs):
            if self.is_left:
                return
            self.open_jobs = [number]
            try:
                ending = job()
            except Exception as error:  # noqa: BLE001  # as stages do
                ending = error
            self.open_jobs = []
            yield number, ending

    def leave(self) -> None:
        self.is_left = True

    def close(self) -> list[tuple[int, Any]]:
        return [(number, "written") for number in self.open_jobs]


@pytest.fixture
def steps() -> Steps:
    return Steps()


def parcel(steps: Steps) -> Parcel[Any, Any]:
    expected = Expected(versions={}, files=(), cwd=Path.cwd())
    return Parcel(key=str(id(steps)), sessions=steps, models=(), expected=expected)


def interrupt(times: int = 1) -> Callable[[], str]:
    def press() -> str:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        return "done"

    return press


def test_a_session_is_opened_once_in_a_process(steps: Steps) -> None:
    assert open_session(parcel(steps)) == ({"name": "steps"}, 7)
    for _ in range(3):
        assert work_on(parcel(steps), [lambda: "a", lambda: "b"]).endings == ((0, "a"), (1, "b"))
    assert steps.opened == 1


def test_errors_are_ones_that_every_machine_knows(steps: Steps) -> None:
    class OddError(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(one, two)

    def odd() -> None:
        raise OddError(1, 2)

    def full() -> None:
        raise OutputError("no space")

    ((_, first), (_, second)) = work_on(parcel(steps), [odd, full]).endings
    assert type(first) is PictureError and "OddError" in str(first)
    assert type(second) is OutputError


def test_the_first_interrupt_leaves_what_is_not_begun_with(steps: Steps) -> None:
    before = signal.getsignal(signal.SIGINT)
    ending = work_on(parcel(steps), [lambda: "a", interrupt(), lambda: "never"])
    assert ending.endings == ((0, "a"), (1, "done"))
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_interrupt_leaves_all_but_what_is_written(steps: Steps) -> None:
    ending = work_on(parcel(steps), [lambda: "a", interrupt(3), lambda: "never"])
    assert ending.endings == ((0, "a"), (1, "written"))


def test_warnings_come_along(steps: Steps) -> None:
    import logging

    ending = work_on(parcel(steps), [lambda: logging.getLogger("lumen.any").warning("careful with %s", "that")])
    assert ending.warnings == ("careful with that",)
    assert work_on(parcel(steps), [lambda: None]).warnings == ()
