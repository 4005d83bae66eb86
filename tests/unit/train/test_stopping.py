"""Signals while training."""

from __future__ import annotations

import os
import signal

import pytest

from lumen.train.stopping import stop_requests


def test_a_second_signal_is_not_held_back() -> None:
    with stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop() == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
