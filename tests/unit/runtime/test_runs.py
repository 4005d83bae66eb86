"""Runs end when they are told to, wherever they were started."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lumen.errors import ModelError
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.open import open_model
from lumen.runtime.runs import _running, terminate_runs
from tests.support.runtime import EV, THUMBNAIL, cpu
from tests.support.wrong_models import later_endless, write_wrong_onnx

LARGE = np.ones((1, 56, 16, 3), np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    return open_model(cpu(write_wrong_onnx(tmp_path / "m.onnx", later_endless)))


def test_an_interruption_ends_a_run_of_the_main_thread(model: OnnxModel) -> None:
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        model.run(LARGE, THUMBNAIL, EV)
    timer.join()
    assert time.monotonic() - started < 5
    assert not _running
    assert model.run(LARGE[:, :48], THUMBNAIL, EV).max() == 2  # the session can still be used


def test_runs_of_other_threads_are_terminated(model: OnnxModel) -> None:
    found: list[Exception] = []

    def work() -> None:
        try:
            model.run(LARGE, THUMBNAIL, EV)
        except ModelError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        terminate_runs()
        thread.join(0.05)
    assert "terminate flag" in str(found)
    assert not _running


def test_a_run_may_have_a_limit(model: OnnxModel) -> None:
    assert model._session is not None
    feeds = {"tiles": LARGE, "thumbnails": THUMBNAIL, "ev": EV}
    with pytest.raises(TimeoutError):
        model._session.run(["enhanced"], feeds, limit_s=0.1)
    feeds["tiles"] = LARGE[:, :48]
    assert model._session.run(["enhanced"], feeds, limit_s=30)[0].max() == 2
