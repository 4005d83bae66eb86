"""Signals: SIGTERM ends any command, Ctrl-C first finishes the files in work, SIGHUP reopens the log of a watcher."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

import click

from lumen.cli.streams import echo_error
from lumen.errors import Exit, LumenError

if TYPE_CHECKING:
    from lumen.watching.service import Service

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def signal_handlers(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle signals for the length of a `with` block.

    Only the main thread receives signals; in other threads this does nothing. A SIGINT that is already handled or
    ignored, as in a background job, stays so.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            if number != signal.SIGINT or signal.getsignal(number) is signal.default_int_handler:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            if earlier is not None:  # was not set by Python, which cannot restore it
                signal.signal(number, earlier)


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C, with its own exit code: files in work are finished or removed.

    The second one removes them and ends the process at once: another exception would interrupt the exit, and ONNX
    Runtime aborts a process that ends while its threads run.
    """
    heard = 0

    def handle(*_: object) -> None:
        nonlocal heard
        heard += 1
        if heard == 1:
            raise SystemExit(int(Exit.SIGTERM))
        (exit_now if heard == 2 else os._exit)(Exit.SIGTERM)

    try:
        with signal_handlers({signal.SIGTERM: handle}):
            yield
    finally:
        if heard:  # the interpreter still waits for threads
            signal.signal(signal.SIGTERM, handle)


@contextmanager
def stop_on_ctrl_c(stop: Callable[..., None]) -> Iterator[None]:
    """Turn the first Ctrl-C into `stop()`, the second into `stop(at_once=True)`, after which the process ends."""
    presses = 0

    def handle(*_: object) -> None:
        nonlocal presses
        presses += 1
        if presses == 1:
            stop()
        elif presses == 2:
            stop(at_once=True)
            raise KeyboardInterrupt
        # Later ones are ignored: another exception would disturb the exit.

    with signal_handlers({signal.SIGINT: handle}):
        try:
            yield
        except KeyboardInterrupt:
            if presses > 1:
                _exit_interrupted()
            raise


class ServiceSignals:
    """What SIGTERM, Ctrl-C and SIGHUP do to a service; `on_hangup` is called on SIGHUP."""

    def __init__(self) -> None:
        self.on_hangup: Callable[[], None] = lambda: None
        self._service: Service | None = None
        self._first: int | None = None  # kept for the service if it arrives earlier
        self._is_exiting = False

    def run(self, service: Service) -> Exit:
        """Run a service until it ends or is stopped, and return the exit code: 130 after Ctrl-C, its own after SIGTERM.

        If threads hang, the process ends here, after an error too. Raises what the service raises.
        """
        self._service = service
        if self._first is not None:
            service.stop()
        try:
            code = service.run()
        except LumenError as error:
            if not service.hangs:
                raise
            echo_error(error)
            self._exit(error.exit_code)
        if self._first == signal.SIGINT:
            code = Exit.SIGINT
        if service.hangs:
            self._exit(code)
        return code

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Stop the service at the first signal, exit in order at the second, and at once at the third."""
        if self._is_exiting:
            os._exit(128 + number)
        if self._first is not None:
            self._exit(Exit(128 + number))
        self._first = number
        if self._service is not None:
            self._service.stop()

    def _exit(self, code: Exit) -> None:
        self._is_exiting = True
        exit_now(code)


@contextmanager
def service_signals() -> Iterator[ServiceSignals]:
    """Listen to SIGTERM, Ctrl-C and SIGHUP for the length of a `with` block."""
    signals = ServiceSignals()
    handlers: dict[signal.Signals, Handler] = {signal.SIGTERM: signals.handle, signal.SIGINT: signals.handle}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = lambda *_: signals.on_hangup()
    with signal_handlers(handlers):
        yield signals


def exit_now(code: Exit) -> None:
    """Remove unfinished files and end the process, without waiting for threads that decode or run a model."""
    from lumen.files.atomic import discard_unfinished

    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    discard_unfinished()
    os._exit(code)


def _exit_interrupted() -> None:
    click.echo("lumen: interrupted", err=True)
    exit_now(Exit.SIGINT)
