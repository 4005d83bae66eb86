"""Statistics of a picture without a reference: brightness, contrast, colourfulness, colour cast, clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lumen.imaging.strips import strips
from lumen.metrics.fidelity import luma

BLACK: Final = 5  # levels of 255: only noise around zero
WHITE: Final = 255
_STRIP_PX = 1 << 17  # pixels at a time

Floats = npt.NDArray[np.float64]


def statistics(pixels: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Return statistics of sRGB pixels uint8 `[H, W, 3]`.

    Returns:
        `brightness`: mean luma in [0, 1]. `contrast`: its standard deviation, in [0, 0.5]. `colorfulness`: in levels of
        255, 0 for grey pictures, about 15 for slightly, 45 for quite and 80 for very colourful ones. `cast`: distance
        of the largest from the smallest channel mean, in [0, 1]. `black`: share of pixels with no channel above 5.
        `clipped`: share with a channel at 255.

    Raises:
        ValueError: The picture has no pixels.

    Reference:
        Hasler, Süsstrunk: Measuring colourfulness in natural images. Human Vision and Electronic Imaging VIII, 2003.
    """
    height, width = pixels.shape[:2]
    if not height * width:
        raise ValueError(f"expected a picture with pixels in it, got shape {pixels.shape}")
    sums = np.sum([_sums(pixels[rows]) for rows in strips(height, width, _STRIP_PX)], axis=0) / (height * width)
    means, squares, (black, clipped) = sums[:6], sums[6:9], sums[9:]
    level, red_green, yellow_blue = (
        math.sqrt(max(0.0, float(square - mean * mean))) for square, mean in zip(squares, means[:3], strict=True)
    )
    return {
        "brightness": float(means[0]) / 255.0,
        "contrast": level / 255.0,
        "colorfulness": math.hypot(red_green, yellow_blue) + 0.3 * math.hypot(float(means[1]), float(means[2])),
        "cast": float(means[3:].max() - means[3:].min()) / 255.0,
        "black": float(black),
        "clipped": float(clipped),
    }


def _sums(strip: npt.NDArray[np.uint8]) -> Floats:
    """Return sums over pixels: luma, red-green, yellow-blue, R, G, B, squares of the first three, black, clipped."""
    red, green, blue = (strip[..., channel].astype(np.float64) for channel in range(3))
    planes: Sequence[Floats] = (luma(strip), red - green, (red + green) / 2 - blue)
    brightest = np.maximum(np.maximum(strip[..., 0], strip[..., 1]), strip[..., 2])
    squares = [float(np.einsum("hw,hw->", plane, plane)) for plane in planes]
    counts = [float(np.count_nonzero(brightest <= BLACK)), float(np.count_nonzero(brightest == WHITE))]
    return np.array([*(float(plane.sum()) for plane in (*planes, red, green, blue)), *squares, *counts])
