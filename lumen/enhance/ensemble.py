"""Mirrored and turned passes over one window, and their mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumen.runtime.protocols import Floats, Model, Pixels

Progress = Callable[[float], None]  # the fraction done, in (0, 1]


def run_passes(model: Model, window: Pixels, thumbnail: Floats, ev: Floats, passes: int, progress: Progress) -> Pixels:
    """Return the mean, to the nearest level, of what the model makes of a window in its first `passes` turns.

    The thumbnail is turned with the window, as if the whole padded picture were turned; not where the model decides
    once per picture (contract 2), which then is one decision for all turns. The sides of that picture are
    multiples of `align`, and so are origin and sides of every window: a turned window starts on such a multiple again,
    and tiles stay exact.

    Args:
        model: What is run, one turn at a time.
        window: `spec.sample` [h, w, 3].
        thumbnail: float32 [h, w, 3] of the whole picture.
        ev: float32 [1].
        passes: 1, 4 or 8.
        progress: Called with the share of the passes done, in (0, 1], after each.
    """

    def run(turn: int) -> Pixels:
        seen = _turned(thumbnail, turn) if model.spec.contract == 1 else thumbnail
        tiles, thumbnails = (np.ascontiguousarray(array)[None] for array in (_turned(window, turn), seen))
        enhanced = _turned_back(model.run(tiles, thumbnails, ev)[0], turn)
        progress((turn + 1) / passes)
        return enhanced

    if passes == 1:
        return run(0)
    total = np.zeros(window.shape, np.float32)  # exact: 8 * 65535 < 2**24
    for turn in range(passes):
        total += run(turn)
    total /= passes
    return np.rint(total, out=total).astype(window.dtype)


def _turned(array: NDArray[Any], turn: int) -> NDArray[Any]:
    """Return a view of [h, w, 3]: bit 0 of `turn` mirrors left and right, bit 1 up and down, then bit 2 transposes."""
    mirrored = array[:: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]
    return mirrored.swapaxes(0, 1) if turn & 4 else mirrored


def _turned_back(array: NDArray[Any], turn: int) -> NDArray[Any]:
    """Undo `_turned`."""
    mirrored = array.swapaxes(0, 1) if turn & 4 else array
    return mirrored[:: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]
