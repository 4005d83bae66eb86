from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from lumen.cli import signals as module
from lumen.cli.signals import exit_on_sigterm, service_signals, stop_on_ctrl_c
from lumen.errors import Exit


class Stops:
    """Remembers how it was asked to stop."""

    def __init__(self) -> None:
        self.heard: list[bool] = []

    def __call__(self, *, at_once: bool = False) -> None:
        self.heard.append(at_once)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminate = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGTERM, terminate)


def test_the_first_press_asks_and_the_second_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[bool] = []
    monkeypatch.setattr(module, "_exit_interrupted", lambda: left.append(True))
    stop = Stops()
    first: list[bool] = []

    def work() -> None:
        with stop_on_ctrl_c(stop):
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

    monkeypatch.setattr(module, "_exit_interrupted", leave)

    def work() -> None:
        with stop_on_ctrl_c(Stops()):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert left == [True]


def test_an_interruption_that_is_none_of_the_user_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_exit_interrupted", lambda: pytest.fail("the process was not to end"))
    with pytest.raises(KeyboardInterrupt), stop_on_ctrl_c(Stops()):
        raise KeyboardInterrupt


def test_where_interruptions_are_ignored_they_stay_so() -> None:
    stop = Stops()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_on_ctrl_c(stop):
        signal.raise_signal(signal.SIGINT)
    assert stop.heard == []


def test_other_threads_have_no_signals() -> None:
    done = []

    def work() -> None:
        with stop_on_ctrl_c(Stops()):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


class FakeService:
    """What signals need of a service."""

    def __init__(self, hangs: bool = False) -> None:
        self.hangs = hangs
        self.stops = 0

    def run(self) -> Exit:
        signal.raise_signal(signal.SIGTERM)
        return Exit.OK

    def stop(self) -> None:
        self.stops += 1


def test_the_first_signal_stops_and_the_second_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Exit] = []
    monkeypatch.setattr(module, "exit_now", left.append)
    before = signal.getsignal(signal.SIGTERM)
    service = FakeService()
    with service_signals() as subject:
        assert subject.run(service) is Exit.OK  # type: ignore[arg-type]
        assert (service.stops, left) == (1, [])
        signal.raise_signal(signal.SIGTERM)
        assert left == [Exit.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_before_there_is_a_service_is_kept() -> None:
    service = FakeService()
    service.run = lambda: Exit.OK  # type: ignore[method-assign]
    with service_signals() as subject:
        signal.raise_signal(signal.SIGINT)
        assert subject.run(service) is Exit.SIGINT  # type: ignore[arg-type]
    assert service.stops == 1


def test_threads_that_hang_are_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Exit] = []
    monkeypatch.setattr(module, "exit_now", left.append)
    with service_signals() as subject:
        subject.run(FakeService(hangs=True))  # type: ignore[arg-type]
    assert left == [Exit.OK]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_sighup_has_the_log_opened_anew() -> None:
    heard: list[int] = []
    with service_signals() as subject:
        subject.on_hangup = lambda: heard.append(1)
        signal.raise_signal(signal.SIGHUP)
    assert heard == [1]


def test_the_third_signal_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "exit_now", lambda _code: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(os, "_exit", sys.exit)
    with service_signals() as subject:
        subject.run(FakeService())  # type: ignore[arg-type]
        with pytest.raises(SystemExit) as left:
            signal.raise_signal(signal.SIGINT)
    assert left.value.code == Exit.SIGTERM


def test_sigterm_ends_a_command_with_its_own_code() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with exit_on_sigterm():
        pass
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(SystemExit) as ended, exit_on_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == Exit.SIGTERM


def test_later_sigterms_end_the_process_whatever_the_first_one_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[tuple[str, int]] = []
    monkeypatch.setattr(module, "exit_now", lambda code: left.append(("in order", code)))
    monkeypatch.setattr(os, "_exit", lambda code: left.append(("at once", code)))
    with pytest.raises(SystemExit), exit_on_sigterm():
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert left == [("in order", 143), ("at once", 143)]


def test_who_handles_interruptions_already_keeps_them() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    stop, service = Stops(), FakeService()
    with stop_on_ctrl_c(stop), service_signals() as subject:
        subject.run(service)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)
    assert (heard, stop.heard, service.stops) == ([signal.SIGINT], [], 1)
