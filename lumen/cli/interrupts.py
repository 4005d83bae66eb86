"""Ctrl-C while a batch runs: once to finish what is in work, twice to stop at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import click

from lumen.errors import Exit


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
