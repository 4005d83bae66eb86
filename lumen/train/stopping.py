"""Signals that stop a training: the first one after the current step, the second one at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Catch SIGINT and SIGTERM; the yielded function returns the number of the caught one, or 0.

    A second signal is not caught: it ends the training at once, and the last checkpoint stays as it is.
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
