"""What stays still in a sequence, told from thumbnails: cells that something passes through, and cuts.

A lamp or a headlight that passes changes what a model decides for the whole picture. So each cell of a thumbnail is
compared with the same cell in the frames around it, and what only passes is taken out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lumen.runtime.protocols import Floats

GRID = 16  # cells on a side: noise of single pixels is gone, and a lamp covers few of them
FLOOR = 3 / 255  # added to levels before the logarithm, so that noise of black cells is no change
RESTLESS = 0.3  # median deviation of a log level from which nothing about a cell stays still
PASSING = (0.06, 4.5)  # log level, and median deviations, from which something passes through a cell
CHANGED = 0.3  # log level: a third brighter or darker
CUT_SHARE = 0.4  # of the cells that show anything
LEAST_SHARE = 0.2  # of all cells: in a picture that is all but black, a few are no cut


def cell_levels(thumbnail: Floats) -> Floats:
    """Return the log levels of the cells of a thumbnail [h, w, 3] in [0, 1], float32 [g, g] with g at most 16."""
    level = thumbnail.astype(np.float32).mean(axis=2)
    for axis in (0, 1):
        starts = _starts(level.shape[axis])
        counts = np.diff([*starts, level.shape[axis]]).reshape((-1, 1) if axis == 0 else (1, -1))
        level = np.add.reduceat(level, starts, axis=axis) / counts
    return np.asarray(np.log(level + np.float32(FLOOR)), np.float32)


def is_other_scene(before: Floats, after: Floats) -> bool:
    """Tell whether cells [g, g] of two frames show so much change that there is a cut between them."""
    shown = np.maximum(before, after) > np.log(2 * FLOOR)
    changed = np.count_nonzero(shown & (np.abs(after - before) > CHANGED))
    return bool(changed > CUT_SHARE * max(np.count_nonzero(shown), LEAST_SHARE * shown.size))


def passing(cells: Floats, window: Sequence[Floats]) -> tuple[NDArray[np.bool_], Floats]:
    """Tell through which cells of a frame something passes.

    Args:
        cells: float32 [g, g], of the frame.
        window: The cells of the frames around it.

    Returns:
        bool [g, g], where the frame differs from a window that is still otherwise; and the medians of the window.
    """
    stack = np.stack(window)
    usual = np.median(stack, axis=0)
    spread = np.median(np.abs(stack - usual), axis=0)
    least, times = PASSING
    is_still = spread < RESTLESS
    return is_still & (np.abs(cells - usual) > np.maximum(least, times * spread)), usual.astype(np.float32)


def over_pixels(mask: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Return for the pixels of a thumbnail [height, width] what a mask says of their cells."""
    rows, columns = (np.diff([*_starts(side), side]) for side in (height, width))
    return np.repeat(np.repeat(mask, rows, axis=0), columns, axis=1)


def _starts(side: int) -> NDArray[np.intp]:
    """Return where the cells along a side start."""
    count = min(GRID, side)
    return np.arange(count) * side // count
