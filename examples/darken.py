"""Makes two of the examples: darkens well-lit photographs as if a camera had received less light.

Run as `python examples/darken.py`. Each picture is converted from sRGB to linear light, darkened by a number of stops,
given the photon and read noise of a small sensor, and stored as 8-bit sRGB in a JPEG. The originals are in
`reference/`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.color.srgb import linear_to_srgb, srgb_to_linear

HERE = Path(__file__).parent
STOPS = {"otters": 4.0, "spices": 3.0}
FULL_WELL = 4000  # electrons of a white pixel at full exposure
READ_NOISE = 3.0  # electrons
SEED = 20


def darken(pixels: NDArray[np.uint8], stops: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return sRGB `pixels` [H, W, 3] as taken with `stops` less light, with photon and read noise, as uint8."""
    expected = srgb_to_linear(pixels / 255.0) * FULL_WELL * 2.0**-stops
    electrons = rng.poisson(expected) + rng.normal(0.0, READ_NOISE, pixels.shape)
    levels = linear_to_srgb(np.clip(electrons / FULL_WELL, 0.0, 1.0))
    return np.asarray(np.rint(levels * 255.0), np.uint8)


def main() -> None:
    """Write all darkened examples again."""
    rng = np.random.default_rng(SEED)
    for name, stops in sorted(STOPS.items()):
        with Image.open(HERE / "reference" / f"{name}.jpg") as image:
            dark = darken(np.asarray(image.convert("RGB")), stops, rng)
        Image.fromarray(dark).save(HERE / f"{name}.jpg", quality=92)


if __name__ == "__main__":
    main()
