"""Signals: one SIGINT or SIGTERM finishes what is in work, a second one stops at once; SIGHUP reopens the log."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Protocol

import click

from lumen.errors import Exit

if TYPE_CHECKING:
    from lumen.watching.service import Service


class Stop(Protocol):
    """Asks a run to end."""

    def __call__(self, *, at_once: bool = False) -> None:
        """Ask."""


@contextmanager
def patient(stop: Stop) -> Iterator[None]:
    """Turn the first SIGINT into `stop()`; end the process at the second one, with nothing torn.

    Where SIGINT is ignored (`nohup`, a job in the background), or in other threads than the first, it does nothing.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    presses = 0

    def handle(*_: object) -> None:
        nonlocal presses
        presses += 1
        if presses == 1:
            stop()
        elif presses == 2:
            stop(at_once=True)
            raise KeyboardInterrupt
        # The end has begun: another exception would only get into its way.

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    except KeyboardInterrupt:
        if presses > 1:
            _leave()
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def leave(code: Exit) -> None:
    """End the process now: threads that decode, or run a model, are not waited for."""
    from lumen.files.atomic import discard_unfinished

    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    discard_unfinished()
    os._exit(code)


def _leave() -> None:
    click.echo("lumen: interrupted", err=True)
    leave(Exit.SIGINT)


_CODES = {signal.SIGTERM: Exit.SIGTERM, signal.SIGINT: Exit.SIGINT}


class Ending:
    """Counts the signals to end."""

    def __init__(self) -> None:
        """Wait for signals; they are kept until there is a service."""
        self._service: Service | None = None
        self._first: int | None = None
        self._is_leaving = False

    def run(self, service: Service) -> Exit:
        """Run a service until it ends or is stopped, and return the exit code: Ctrl-C shows, SIGTERM is its way to end.

        When threads are left that hang, the process ends here. Raises what the service raises.
        """
        self._service = service
        if self._first is not None:  # before it was there
            service.stop()
        code = service.run()
        code = Exit.SIGINT if self._first == signal.SIGINT else code
        if service.hangs:
            self._is_leaving = True
            leave(code)
        return code

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Stop; at the second time at once, with nothing torn; at the third whatever the second one still waits for."""
        if self._is_leaving:
            os._exit(_CODES[signal.Signals(number)])
        if self._first is not None:
            self._is_leaving = True
            leave(_CODES[signal.Signals(number)])
        self._first = number
        if self._service is not None:
            self._service.stop()


@contextmanager
def stoppable(reopen: Callable[[], None]) -> Iterator[Ending]:
    """Listen to signals for the length of a `with` block, in the first thread; others do not hear them.

    A SIGINT that is ignored (a job in the background) stays so.

    Args:
        reopen: Called on SIGHUP.
    """
    ending = Ending()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, ending.handle)
        if hasattr(signal, "SIGHUP"):
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: reopen())
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
