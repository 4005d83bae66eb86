"""Runs of an engine that signals, other threads and a time limit can end.

Engines return to Python only at the end of a run. One that is cancelled ends with an error of the engine, after the
operator it is at (ONNX Runtime), or goes on to its end (OpenVINO, which therefore gets no graph with a loop).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")

TICK_S = 0.1

_running: dict[Callable[[], object], int] = {}  # what cancels each run, and the thread that waits for it


def run_cancellable(run: Callable[[], T], cancel: Callable[[], object], *, limit_s: float | None = None) -> T:
    """Run; `terminate_runs`, or in the main thread an exception such as KeyboardInterrupt, cancels the run.

    Args:
        run: Runs to the end, unless it is cancelled.
        cancel: Cancels this run, from any thread.
        limit_s: How long it may take.

    Raises:
        TimeoutError: It took longer, and was cancelled.
    """
    _running[cancel] = threading.get_ident()
    try:
        if limit_s is None and threading.current_thread() is not threading.main_thread():
            return run()
        # Signal handlers run only while the main thread is in Python, and so does a time limit.
        deadline = math.inf if limit_s is None else time.monotonic() + limit_s
        with ThreadPoolExecutor(1, "model") as thread:
            try:
                future = thread.submit(run)
                while not wait([future], TICK_S).done:  # a wait without end would miss signals on Windows
                    if time.monotonic() > deadline:
                        raise TimeoutError
                return future.result()
            except BaseException:
                cancel()
                raise
    finally:
        _running.pop(cancel, None)


def terminate_runs(threads: Collection[int] | None = None) -> None:
    """Cancel the runs of some threads, by their identifiers, or of all in this process."""
    for cancel, thread in tuple(_running.items()):
        if threads is None or thread in threads:
            cancel()
