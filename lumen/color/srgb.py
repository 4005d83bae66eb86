"""The sRGB transfer function (IEC 61966-2-1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def srgb_to_linear(level: ArrayLike) -> NDArray[np.floating[Any]]:
    """Return linear light in [0, 1] for sRGB levels in [0, 1], in the input's floating dtype (float64 for scalars)."""
    x = np.asarray(level)
    return np.where(x <= 0.04045, x / 12.92, ((np.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: ArrayLike) -> NDArray[np.floating[Any]]:
    """Return sRGB levels in [0, 1] for linear light in [0, 1], in the input's floating dtype (float64 for scalars)."""
    x = np.asarray(light)
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055)
