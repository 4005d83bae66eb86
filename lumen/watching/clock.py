"""The clocks of a watcher; tests replace them."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock and a wall clock."""

    def monotonic(self) -> float:
        """Return seconds that never jump, for durations."""

    def time(self) -> float:
        """Return seconds since 1970, for times that are stored."""


class SystemClock:
    """The clocks of the system."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment."""
        return time.monotonic()

    def time(self) -> float:
        """Return seconds since 1970."""
        return time.time()
