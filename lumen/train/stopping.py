"""Signals to stop a training: the first is remembered until a step is done, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Catch SIGINT and SIGTERM while training; the result tells the last one caught, or 0.

    A second one is not caught any more and ends the training at once, with its last checkpoint as it is.
    """
    caught = [0]
    if threading.current_thread() is not threading.main_thread():
        yield lambda: caught[0]
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def give_back() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number: int, _: object) -> None:
        caught[0] = number
        give_back()

    for number in previous:
        signal.signal(number, note)
    try:
        yield lambda: caught[0]
    finally:
        give_back()
