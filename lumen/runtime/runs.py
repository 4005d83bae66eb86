"""Runs of a session that signals, other threads and a time limit can end.

onnxruntime returns to Python only at the end of a run, and a graph may hold a loop without end. A run that is
terminated ends with an error of onnxruntime after the operator it is at.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from lumen.runtime.session import Session, load_onnxruntime

TICK_S = 0.1

_running: set[Any] = set()  # the options of all runs


def run_session(
    session: Session,
    outputs: Sequence[str],
    feeds: Mapping[str, Any],
    options: Any = None,
    *,
    limit_s: float | None = None,
) -> Sequence[Any]:
    """Run a session; `terminate_runs`, or in the main thread an exception such as KeyboardInterrupt, ends the run.

    Args:
        session: What is run.
        outputs: Names of the outputs to compute.
        feeds: Inputs by name.
        options: `RunOptions` of this run alone; None for the usual ones.
        limit_s: How long it may take.

    Raises:
        TimeoutError: It took longer, and was terminated.
    """
    options = options or load_onnxruntime().RunOptions()
    _running.add(options)
    try:
        if limit_s is None and threading.current_thread() is not threading.main_thread():
            return session.run(outputs, feeds, options)
        # Signal handlers run only while the main thread is in Python, and so does a time limit.
        deadline = math.inf if limit_s is None else time.monotonic() + limit_s
        with ThreadPoolExecutor(1, "model") as thread:
            try:
                future = thread.submit(session.run, outputs, feeds, options)
                while not wait([future], TICK_S).done:  # a wait without end would miss signals on Windows
                    if time.monotonic() > deadline:
                        raise TimeoutError
                found: Sequence[Any] = future.result()
            except BaseException:
                options.terminate = True
                raise
            return found
    finally:
        _running.discard(options)


def terminate_runs() -> None:
    """Terminate the runs of all models in this process."""
    for options in tuple(_running):
        options.terminate = True
