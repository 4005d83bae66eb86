"""Faults of tone: a wrong brightness, colours that are too weak or too strong, and light that is lost.

PSNR and SSIM mix all three with noise and blur. These numbers tell them apart.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lumen.color.srgb import srgb_to_linear
from lumen.imaging.strips import strips
from lumen.metrics.fidelity import mean_luma

COLOURED: Final = 15.0  # C*ab of the reference from which a pixel counts as coloured
LEAST_COLOURED: Final = 50  # pixels; the ratio of fewer says nothing
STRIDE: Final = 2  # chroma is taken of every second pixel of every second row
FULL: Final = 254  # levels of 255: a channel at its end, with the rounding of a codec
OPEN: Final = 200  # levels of 255: a channel below it in the input was far from its end
_STRIP_PX = 1 << 18  # pixels at a time

# From linear sRGB to CIE XYZ over the white of D65 (IEC 61966-2-1): white becomes (1, 1, 1).
_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_TO_XYZ = (_XYZ / [[0.95047], [1.0], [1.08883]]).T
_LINEAR = np.asarray(srgb_to_linear(np.arange(256) / 255.0), np.float64)


def exposure_error(pixels: NDArray[Any], reference: NDArray[Any]) -> float:
    """Return the error of brightness in stops: log2 of the mean luma over that of the reference.

    Args:
        pixels: `[H, W, 3]` sRGB levels.
        reference: The same shape and data range.

    Returns:
        Below 0 if the picture is too dark; 0 for two black pictures, infinite if one of them is black.
    """
    level, wanted = mean_luma(pixels), mean_luma(reference)
    if level == wanted:
        return 0.0
    if not level or not wanted:
        return math.copysign(math.inf, level - wanted)
    return math.log2(level / wanted)


def chroma(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return C*ab of CIELAB, white D65, for sRGB pixels uint8 `[..., 3]`, as float64 `[...]`; 0 for grey."""
    xyz = np.take(_LINEAR, pixels) @ _TO_XYZ
    x, y, z = np.moveaxis(np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29), -1, 0)
    strength: NDArray[np.float64] = np.hypot(500.0 * (x - y), 200.0 * (y - z))
    return strength


def chroma_ratio(pixels: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float | None:
    """Return the mean chroma over that of the reference, where the reference has colour (C*ab above 15).

    Only every second pixel of every second row is used.

    Args:
        pixels: uint8 `[H, W, 3]` sRGB levels.
        reference: The same shape.

    Returns:
        1 for colours as strong as those of the reference, 0 for a grey picture; None if fewer than 50 of the pixels
        used are coloured.
    """
    height, width = -(-pixels.shape[0] // STRIDE), -(-pixels.shape[1] // STRIDE)
    pixels, reference = pixels[::STRIDE, ::STRIDE], reference[::STRIDE, ::STRIDE]
    found, wanted, count = 0.0, 0.0, 0
    for rows in strips(height, width, _STRIP_PX):
        strength = chroma(reference[rows])
        coloured = strength > COLOURED
        count += int(np.count_nonzero(coloured))
        wanted += float(strength[coloured].sum())
        found += float(chroma(pixels[rows][coloured]).sum())
    return found / wanted if count >= LEAST_COLOURED else None


def newly_clipped(pixels: NDArray[np.uint8], source: NDArray[np.uint8]) -> float:
    """Return the share of pixels with a channel of at least 254 that was below 200 in the picture they were made from.

    Args:
        pixels: uint8 `[H, W, 3]`.
        source: The same shape: the input.

    Returns:
        The share, in [0, 1].
    """
    return float(((pixels >= FULL) & (source < OPEN)).any(axis=2).mean())
