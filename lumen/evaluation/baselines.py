"""Simple methods that a model should beat: one call of Pillow, or a gamma curve."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from lumen.errors import UsageError

Pixels = npt.NDArray[np.uint8]

GAMMA: Final = 2.2
BASELINES: Final[Mapping[str, str]] = {
    "autocontrast": "each channel stretched from its darkest to its brightest sample, by Pillow",
    "equalize": "the histogram of each channel flattened, by Pillow",
    "gamma": "samples in [0, 1] raised to the power of 1/2.2, or of 1/G with gamma:G",
}
_GAMMA = re.compile(r"gamma(?::(\d{1,2}(?:\.\d{1,3})?))?")


def make_baseline(name: str) -> Callable[[Pixels], Pixels]:
    """Return the function of a baseline, from and to 8-bit pixels `[H, W, 3]`.

    Raises:
        UsageError: There is no such baseline.
    """
    found = _GAMMA.fullmatch(name)
    exponent = float(found[1] or GAMMA) if found else 0.0
    if exponent > 0:
        return partial(gamma, exponent=exponent)
    if name == "autocontrast":
        return lambda pixels: np.asarray(ImageOps.autocontrast(Image.fromarray(pixels)))
    if name == "equalize":
        return lambda pixels: np.asarray(ImageOps.equalize(Image.fromarray(pixels)))
    raise UsageError(f"expected --baseline autocontrast, equalize, gamma or gamma:2.5, got {name!r}")


def gamma(pixels: Pixels, exponent: float = GAMMA) -> Pixels:
    """Return 8-bit pixels, scaled to [0, 1], raised to the power of 1/exponent."""
    table = np.rint(255.0 * (np.arange(256) / 255.0) ** (1.0 / exponent)).astype(np.uint8)
    result: Pixels = table.take(pixels)
    return result
