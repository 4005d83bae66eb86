"""TensorBoard's event files, written by tensorboardX; TensorBoard itself is needed only to look at them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lumen.extras import require_extra


class EventFiles:
    """Writes scalars into the folder `tensorboard/` of a run.

    Raises:
        MissingExtraError: The package is not installed.
    """

    def __init__(self, run: Path) -> None:
        with require_extra("tensorboard"):
            from tensorboardX import SummaryWriter
        self._make: Any = SummaryWriter
        self._folder = run / "tensorboard"
        self._writer: Any = None
        self._first: int | None = None

    def begin_at(self, iteration: int) -> None:
        """Make TensorBoard drop what an earlier run wrote after an iteration."""
        self.close()
        self._first = iteration + 1

    def add(self, iteration: int, scalars: Mapping[str, float]) -> None:
        """Write values of an iteration."""
        if self._writer is None:
            self._writer = self._make(str(self._folder), purge_step=self._first)
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Write what is still buffered."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
