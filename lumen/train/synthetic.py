"""Dark pictures made from ordinary photographs.

A photograph is taken back to linear light, exposed less, given a white-balance drift and the noise of a sensor, and
coded again in 8 bits. The noise is Poisson-Gaussian: its variance grows with the light.

Reference:
    Foi et al., Practical Poissonian-Gaussian Noise Modeling and Fitting for Single-Image Raw-Data, IEEE TIP 2008.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.imaging.color import linear_to_srgb, srgb_to_linear

_DECODE = srgb_to_linear(np.arange(256, dtype=np.float32) / 255)
_STEPS = 1 << 14
_ENCODE = np.asarray(linear_to_srgb(np.arange(_STEPS + 1, dtype=np.float32) / _STEPS), np.float32)


def encode_srgb(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return sRGB levels in [0, 1] of linear light, clipped to [0, 1] (a table of 16385 entries)."""
    position = np.clip(light, 0, 1) * _STEPS
    table: NDArray[np.float32] = _ENCODE[(position + 0.5).astype(np.int32)]
    return table


def darken(pixels: NDArray[np.uint8], rng: np.random.Generator, darkest_ev: float) -> NDArray[np.uint8]:
    """Return the photograph as a badly exposed one.

    Args:
        pixels: uint8 [H, W, 3], sRGB.
        rng: Source of exposure, white balance, noise and compression.
        darkest_ev: The exposure is drawn from 0 to this many stops less.

    Returns:
        uint8 [H, W, 3], sRGB.
    """
    light = _DECODE[pixels] * np.float32(2 ** -rng.uniform(0, darkest_ev))
    if rng.random() < 0.5:
        light *= np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    shot = np.float32(10 ** rng.uniform(-4.3, -2.5))
    read = np.float32(10 ** rng.uniform(-4.0, -2.5))
    noise: NDArray[np.float32] = rng.standard_normal(light.shape, np.float32)
    if rng.random() < 0.3:  # cameras that smooth leave coarser noise
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))) / np.float32(2)
    light = light + noise * np.sqrt(shot * light + read * read)
    dark = (encode_srgb(light) * 255 + np.float32(0.5)).astype(np.uint8)
    return compress(dark, int(rng.integers(60, 96))) if rng.random() < 0.5 else dark


def compress(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return the pixels [H, W, 3] after JPEG coding at a quality from 1 to 100."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))
