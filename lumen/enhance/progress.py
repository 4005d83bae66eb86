"""Progress within one picture."""

from __future__ import annotations

from collections.abc import Callable

from lumen.imaging.tiling import Tile, TilePlan

PictureProgress = Callable[[float], None]
"""Called with the fraction of a picture that is done, in (0, 1], after each model run."""


def ignore_progress(_fraction: float) -> None:
    """Do nothing: the progress callback if there is no other."""


def tile_progress(progress: PictureProgress, plan: TilePlan, tile: Tile) -> PictureProgress:
    """Return a callback for the fraction of one tile that is done, when all tiles before it are done."""

    def tell(share: float) -> None:
        done_px = tile.y0 * plan.width + (tile.y1 - tile.y0) * (tile.x0 + (tile.x1 - tile.x0) * share)
        progress(done_px / (plan.height * plan.width))

    return tell
