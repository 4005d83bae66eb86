"""The time, as the watcher sees it: tests bring their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Both clocks of the system; tests have their own."""

    def monotonic(self) -> float:
        """Return seconds that never jump, for lengths of time."""

    def time(self) -> float:
        """Return seconds since 1970, for what must outlive the process."""


class SystemClock:
    """The real clocks."""

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def time(self) -> float:
        """Return seconds since 1970."""
        return time.time()
