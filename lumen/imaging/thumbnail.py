"""The one thumbnail resampler, used by training and by the runtime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK_VALUES = 4_000_000  # float32 values held at a time, so that memory does not grow with the picture


def area_weights(length: int, size: int) -> NDArray[np.float32]:
    """Return float32 [size, length]: row i averages the part of the axis that output pixel i covers; rows sum to 1."""
    edges = np.arange(size + 1) * (length / size)
    start, stop = edges[:-1, None], edges[1:, None]
    left = np.arange(length)[None, :]
    overlap = np.clip(np.minimum(stop, left + 1) - np.maximum(start, left), 0, None)
    weights: NDArray[np.float32] = (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights


def area_thumbnail(pixels: NDArray[np.integer], size: int) -> NDArray[np.float32]:
    """Average a whole picture over the areas of a square thumbnail, whatever its aspect.

    An area mean keeps what a very dark picture has left: its 8-bit average would round to a few levels.

    Args:
        pixels: uint8 or uint16 [H, W, 3].
        size: Side of the thumbnail in pixels.

    Returns:
        float32 [size, size, 3] in [0, 1].
    """
    height, width = pixels.shape[:2]
    rows, columns = area_weights(height, size), area_weights(width, size)
    step = max(1, min(size, CHUNK_VALUES * size // max(1, height * width * 3)))
    out = np.empty((size, size, 3), np.float32)
    for first in range(0, size, step):
        part = rows[first : first + step]
        used = np.flatnonzero(part.any(axis=0))
        top, bottom = int(used[0]), int(used[-1]) + 1
        strip = pixels[top:bottom].reshape(bottom - top, width * 3).astype(np.float32)
        averaged = (part[:, top:bottom] @ strip).reshape(len(part), width, 3)
        out[first : first + step] = np.einsum("tw,hwc->htc", columns, averaged, optimize=True)
    return out / np.float32(np.iinfo(pixels.dtype).max)
