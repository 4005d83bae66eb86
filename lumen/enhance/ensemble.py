"""Self-ensemble: the mean of several passes over mirrored and transposed windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumen.enhance.progress import PictureProgress
from lumen.runtime.protocols import Floats, Model, Pixels


def run_passes(
    model: Model,
    window: Pixels,
    thumbnail: Floats,
    ev: Floats,
    passes: int,
    progress: PictureProgress,
    *,
    box: Floats,
    shadows: Floats,
    tones: Floats | None = None,
) -> Pixels:
    """Return the rounded mean of the model's results for the first `passes` augmentations of a window.

    The thumbnail is augmented with the window, as if the whole padded picture were. The sides of that picture are
    multiples of `align`, and so are origin and sides of every window: an augmented window starts at such a multiple
    again, and tiles stay exact. With contract 2 the thumbnail is only transposed, and a mirrored window has a mirrored
    box: so mirrored passes have one tone.

    Args:
        model: The model, run once per pass.
        window: `spec.sample` [h, w, 3].
        thumbnail: float32 [h, w, 3] of the whole picture.
        ev: float32 [1].
        passes: 1, 4 or 8.
        progress: Called with the fraction of the passes done, in (0, 1], after each.
        box: float32 [4], where the window lies, as in `lumen.spec`.
        shadows: float32 [1].
        tones: float32 [1, K], used for all passes instead of the picture's own; these must not be transposed then.
    """

    def run(flips: int) -> Pixels:
        seen = _flipped(thumbnail, flips if model.spec.contract == 1 else flips & 4)
        tiles, thumbnails = (np.ascontiguousarray(array)[None] for array in (_flipped(window, flips), seen))
        boxes = _flipped_box(box, flips)[None]
        enhanced = _restored(model.run(tiles, thumbnails, ev, boxes=boxes, shadows=shadows, tones=tones)[0], flips)
        progress((flips + 1) / passes)
        return enhanced

    if passes == 1:
        return run(0)
    total = np.zeros(window.shape, np.float32)  # exact: 8 * 65535 < 2**24
    for flips in range(passes):
        total += run(flips)
    total /= passes
    return np.rint(total, out=total).astype(window.dtype)


def _flipped(array: NDArray[Any], flips: int) -> NDArray[Any]:
    """Return a view of [h, w, 3]: bit 0 of `flips` mirrors left and right, bit 1 up and down, bit 2 then transposes."""
    mirrored = array[:: -1 if flips & 2 else 1, :: -1 if flips & 1 else 1]
    return mirrored.swapaxes(0, 1) if flips & 4 else mirrored


def _flipped_box(box: Floats, flips: int) -> Floats:
    """Return the box of a flipped window: mirrored sides are in falling order."""
    top, left, bottom, right = box
    if flips & 1:
        left, right = right, left
    if flips & 2:
        top, bottom = bottom, top
    return np.array([left, top, right, bottom] if flips & 4 else [top, left, bottom, right], np.float32)


def _restored(array: NDArray[Any], flips: int) -> NDArray[Any]:
    """Undo `_flipped`."""
    mirrored = array.swapaxes(0, 1) if flips & 4 else array
    return mirrored[:: -1 if flips & 2 else 1, :: -1 if flips & 1 else 1]
