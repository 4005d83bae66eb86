"""Progress within one picture."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lumen.imaging.tiling import Tile, TilePlan

PictureProgress = Callable[[float], None]
"""Called with the fraction of a picture that is done, in (0, 1], after each model run."""


def ignore_progress(_fraction: float) -> None:
    """Do nothing: the progress callback if there is no other."""


class TileProgress:
    """Tells how much of a picture is done, from what is done of its tiles; thread-safe."""

    def __init__(self, progress: PictureProgress, plan: TilePlan, rows_done: int) -> None:
        """Begin below rows that are done already."""
        self._progress = progress
        self._plan = plan
        self._rows_done = rows_done
        self._done_px = float(rows_done * plan.width)
        self._lock = threading.Lock()

    def of(self, tile: Tile) -> PictureProgress:
        """Return a callback for the fraction of one tile that is done."""
        counted = 0.0

        def tell(share: float) -> None:
            nonlocal counted
            px = (tile.y1 - max(tile.y0, self._rows_done)) * (tile.x1 - tile.x0) * share
            with self._lock:  # held while it tells, so that the fraction never falls
                self._done_px += px - counted
                counted = px
                self._progress(self._done_px / (self._plan.height * self._plan.width))

        return tell
