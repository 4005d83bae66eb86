"""The thumbnail resampler, shared by training and runtime."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lumen.imaging.picture import Samples
from lumen.imaging.tiling import cut, plan_tiles
from lumen.spec import ThumbnailKind

CHUNK_VALUES = 1_000_000  # float32 values held at a time, so that memory does not grow with the picture

Conversion = Callable[[Samples], Samples]


class Viewer(Protocol):
    """How a network sees a whole picture; `ModelSpec` and `Network` have these attributes."""

    @property
    def thumbnail(self) -> ThumbnailKind:
        """See `lumen.spec.ModelSpec`; so for the others."""

    @property
    def thumbnail_px(self) -> int:
        """Longest side."""

    @property
    def align(self) -> int:
        """Sides are multiples of this."""

    @property
    def edge_px(self) -> int:
        """Reflection around the picture."""


def thumbnail_for(pixels: Samples, viewer: Viewer, seen: Conversion | None = None) -> NDArray[np.float32]:
    """Return the thumbnail of a whole picture for a network.

    Args:
        pixels: uint8 or uint16 [H, W, 3].
        viewer: The network, or the spec of its file.
        seen: Converts pixels before they are averaged, strip by strip; by default they are unchanged.

    Returns:
        float32 [h, w, 3] in [0, 1]: a square, or in the picture's aspect ratio. In the second case a picture that fits
        is its own thumbnail, with the reflection of a run over the whole picture.
    """
    longest = viewer.thumbnail_px
    if viewer.thumbnail == "square":
        return area_thumbnail(pixels, longest, seen)
    align, sides = viewer.align, pixels.shape[:2]
    plan = plan_tiles(*sides, align=align, halo_px=0, edge_px=viewer.edge_px, max_window_px=longest)
    if len(plan.tiles) == 1:
        window = cut(pixels, plan, plan.tiles[0])
        window = seen(window) if seen else window
        return window.astype(np.float32) / np.float32(np.iinfo(window.dtype).max)
    scale = longest / (max(sides) * align)
    height, width = (max(align, round(side * scale) * align) for side in sides)
    return area_thumbnail(pixels, (height, width), seen)


Band = tuple[int, NDArray[np.float32]]


@lru_cache(maxsize=1024)  # a training meets the same sides again and again
def area_bands(length: int, size: int) -> tuple[Band, ...]:
    """Return for each output pixel the first input pixel it covers, and the weights, which sum to 1.

    Nearly all weights of a whole axis are zero. Products of whole matrices would take ten times longer, need gigabytes
    for a panorama, and start BLAS threads that compete with those of the model.
    """
    edges = np.arange(size + 1) * (length / size)
    return tuple(_band(float(start), float(stop), length) for start, stop in pairwise(edges))


def area_weights(length: int, size: int) -> NDArray[np.float32]:
    """Return the bands as one matrix, float32 [size, length], for devices that are fast at matrix products."""
    weights = np.zeros((size, length), np.float32)
    for row, (first, band) in zip(weights, area_bands(length, size), strict=True):
        row[first : first + len(band)] = band
    return weights


def area_thumbnail(pixels: Samples, size: int | tuple[int, int], seen: Conversion | None = None) -> NDArray[np.float32]:
    """Average a whole picture over the areas of a thumbnail, whatever its aspect ratio.

    The means are floats: in 8 bits, those of a very dark picture would round to a few levels.

    Args:
        pixels: uint8 or uint16 [H, W, 3].
        size: Side of a square thumbnail in pixels, or height and width.
        seen: Converts pixels before they are averaged, strip by strip; by default they are unchanged.

    Returns:
        float32 [h, w, 3] in [0, 1].
    """
    height, width = pixels.shape[:2]
    sides = (size, size) if isinstance(size, int) else size
    rows, columns = area_bands(height, sides[0]), area_bands(width, sides[1])
    together = max(1, CHUNK_VALUES // (width * 3))
    out = np.empty((*sides, 3), np.float32)
    for first in range(0, sides[0], together):
        part = rows[first : first + together]
        means = np.stack([_mean_of_rows(pixels, *band, seen) for band in part])  # [rows, W, 3]
        for column, (left, weights) in enumerate(columns):
            means_used = means[:, left : left + len(weights)]
            out[first : first + together, column] = np.einsum("w,hwc->hc", weights, means_used)
    return out / np.float32(np.iinfo((seen(pixels[:1]) if seen else pixels).dtype).max)


def _band(start: float, stop: float, length: int) -> Band:
    first = int(start)
    left = np.arange(first, min(math.ceil(stop), length))
    overlap = np.clip(np.minimum(stop, left + 1) - np.maximum(start, left), 0, None)
    used = np.flatnonzero(overlap)
    overlap = overlap[used[0] : used[-1] + 1]
    return first + int(used[0]), (overlap / overlap.sum()).astype(np.float32)


def _mean_of_rows(
    pixels: Samples, top: int, weights: NDArray[np.float32], seen: Conversion | None
) -> NDArray[np.float32]:
    """Return the weighted mean of some rows of a picture, float32 [W, 3]."""
    width = pixels.shape[1]
    step = max(1, CHUNK_VALUES // (width * 3))
    mean = np.zeros(width * 3, np.float32)
    for first in range(0, len(weights), step):
        part = weights[first : first + step]
        strip = pixels[top + first : top + first + len(part)]
        strip = seen(strip) if seen else strip
        mean += np.einsum("r,rk->k", part, strip.reshape(len(part), width * 3).astype(np.float32))
    return mean.reshape(width, 3)
