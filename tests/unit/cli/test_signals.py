from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from lumen.cli import signals as module
from lumen.cli.signals import patient


class Stops:
    """Remembers how it was asked to stop."""

    def __init__(self) -> None:
        self.heard: list[bool] = []

    def __call__(self, *, at_once: bool = False) -> None:
        self.heard.append(at_once)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_press_asks_and_the_second_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[bool] = []
    monkeypatch.setattr(module, "_leave", lambda: left.append(True))
    stop = Stops()
    first: list[bool] = []

    def work() -> None:
        with patient(stop):
            signal.raise_signal(signal.SIGINT)
            first.extend(stop.heard)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert first == [False]
    assert (stop.heard, left) == ([False, True], [True])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_third_press_disturbs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[bool] = []

    def leave() -> None:
        signal.raise_signal(signal.SIGINT)  # a key that is held down
        left.append(True)

    monkeypatch.setattr(module, "_leave", leave)

    def work() -> None:
        with patient(Stops()):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert left == [True]


def test_an_interruption_that_is_none_of_the_user_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_leave", lambda: pytest.fail("the process was not to end"))
    with pytest.raises(KeyboardInterrupt), patient(Stops()):
        raise KeyboardInterrupt


def test_where_interruptions_are_ignored_they_stay_so() -> None:
    stop = Stops()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with patient(stop):
        signal.raise_signal(signal.SIGINT)
    assert stop.heard == []


def test_other_threads_have_no_signals() -> None:
    done = []

    def work() -> None:
        with patient(Stops()):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
