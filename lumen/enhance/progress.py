"""How much of a picture is done."""

from __future__ import annotations

from collections.abc import Callable

from lumen.imaging.tiling import Tile, TilePlan

PictureProgress = Callable[[float], None]
"""Called with the fraction of a picture that is done, in (0, 1], after each run of the model."""


def ignore_progress(_fraction: float) -> None:
    """Stand in where nobody asks."""


def tile_progress(progress: PictureProgress, plan: TilePlan, tile: Tile) -> PictureProgress:
    """Return what is called with the fraction of one tile; all tiles before it are done."""

    def tell(share: float) -> None:
        done_px = tile.y0 * plan.width + (tile.y1 - tile.y0) * (tile.x0 + (tile.x1 - tile.x0) * share)
        progress(done_px / (plan.height * plan.width))

    return tell
