"""Dark pictures, made from ordinary photographs.

A photograph is converted to linear light, exposed less, given a white-balance error and sensor noise, and coded in 8
bits again. `darken` imitates ordinary cameras: its noise is Poisson-Gaussian, so its variance grows with the light.
`night` imitates LOL's pairs, as measured: about five stops less, a strong colour cast, and noise of one or two levels
at any light.

Reference:
    Foi et al., Practical Poissonian-Gaussian Noise Modeling and Fitting for Single-Image Raw-Data, IEEE TIP 2008.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.color.srgb import linear_to_srgb, srgb_to_linear

_DECODE = srgb_to_linear(np.arange(256, dtype=np.float32) / 255)
_STEPS = 1 << 14
_ENCODE = np.asarray(linear_to_srgb(np.arange(_STEPS + 1, dtype=np.float32) / _STEPS), np.float32)


def encode_srgb(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return sRGB levels in [0, 1] of linear light, clipped to [0, 1] (a table of 16385 entries)."""
    position = np.clip(light, 0, 1) * _STEPS
    table: NDArray[np.float32] = _ENCODE[(position + 0.5).astype(np.int32)]
    return table


def quantise(level: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return levels rounded to integers and clipped to 0 to 255."""
    rounded: NDArray[np.uint8] = (np.clip(level, 0, 255) + np.float32(0.5)).astype(np.uint8)
    return rounded


def darken(
    pixels: NDArray[np.uint8], rng: np.random.Generator, darkest_ev: float, worst_jpeg: int = 60
) -> NDArray[np.uint8]:
    """Return a photograph [H, W, 3] in sRGB as if it had been underexposed, by 0 to `darkest_ev` stops.

    White balance, noise and compression are drawn too; `worst_jpeg` is the lowest JPEG quality.
    """
    light = _DECODE[pixels] * np.float32(2 ** -rng.uniform(0, darkest_ev))
    if rng.random() < 0.5:
        light *= np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    shot = np.float32(10 ** rng.uniform(-4.3, -2.5))
    read = np.float32(10 ** rng.uniform(-4.0, -2.5))
    noise: NDArray[np.float32] = rng.standard_normal(light.shape, np.float32)
    if rng.random() < 0.3:  # denoising cameras leave coarser noise
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))) / np.float32(2)
    return _recorded(light, noise, shot, read, rng, worst_jpeg, coded=0.5)


BACKLIT_STOPS = (1.0, 4.0)  # by which the darkest place is darkened
BACKLIT_CELLS = 12  # along each side: how finely places differ
BRIGHT_PLACE = 0.9  # quantile of the places' levels; brighter ones stay


def backlight(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a photograph [H, W, 3] in sRGB as if it had been exposed for its bright places.

    Dark pixels in dark places lose one to four stops at most, so the order of levels stays.
    """
    height, width, _ = pixels.shape
    grey = Image.fromarray(pixels).convert("L")
    cells = np.asarray(grey.resize((BACKLIT_CELLS, BACKLIT_CELLS), Image.Resampling.BOX), np.float32)
    away = np.clip(1 - cells / max(float(np.quantile(cells, BRIGHT_PLACE)), 1.0), 0, 1)
    away /= max(float(away.max()), 0.2)  # an evenly lit picture has no dark places
    place = np.asarray(Image.fromarray(away).resize((width, height), Image.Resampling.BILINEAR))
    level = np.asarray(grey, np.float32) / np.float32(255)
    stops = np.float32(rng.uniform(*BACKLIT_STOPS)) * place * (1 - level)
    return quantise(encode_srgb(_DECODE[pixels] * np.exp2(-stops)[..., None]) * np.float32(255))


BLANK_PX = 256
BLANK_LEVEL, BLANK_NOISE = 24.0, 3.0  # highest mean level and noise, of 255
STARS = 300


def blank(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a dark frame [256, 256, 3] with nothing in it: a lens cap, an even grey, or a sky with stars."""
    shape = (BLANK_PX, BLANK_PX, 3)
    level = np.float32(BLANK_LEVEL * rng.random() ** 2) * np.exp(rng.normal(0, 0.1, 3)).astype(np.float32)
    noise = np.float32(BLANK_NOISE * rng.random() * (rng.random() < 0.7))
    frame = level + noise * rng.standard_normal(shape, np.float32)
    if rng.random() < 0.3:
        rows, columns = rng.integers(BLANK_PX, size=(2, int(rng.integers(1, STARS))))
        frame[rows, columns] += rng.uniform(20, 255, (len(rows), 1)).astype(np.float32)
    dark = quantise(frame)
    return compress(dark, int(rng.integers(40, 96))) if rng.random() < 0.5 else dark


CAMERA_SHOT = (-4.6, -2.7)  # decades of the variance per unit of light; cameras measured by ELD lie inside
CAMERA_READ = (-4.3, -2.9)  # decades of the standard deviation in the dark, in linear light
CAMERA_JPEG = 0.6  # share of the frames that are coded


def camera(pixels: NDArray[np.uint8], rng: np.random.Generator, worst_jpeg: int) -> NDArray[np.uint8]:
    """Return a clean dark frame [H, W, 3] in sRGB with a sensor's noise, and JPEG of at least quality `worst_jpeg`."""
    shot, read = (np.float32(10 ** rng.uniform(*decades)) for decades in (CAMERA_SHOT, CAMERA_READ))
    light = _DECODE[pixels]
    noise = rng.standard_normal(light.shape, np.float32)
    return _recorded(light, noise, shot, read, rng, worst_jpeg, coded=CAMERA_JPEG)


def _recorded(
    light: NDArray[np.float32],
    noise: NDArray[np.float32],
    shot: np.float32,
    read: np.float32,
    rng: np.random.Generator,
    worst_jpeg: int,
    *,
    coded: float,
) -> NDArray[np.uint8]:
    """Return the 8-bit picture that a sensor makes of light [H, W, 3] with noise of deviation 1; a share is JPEG."""
    level = encode_srgb(light + noise * np.sqrt(shot * light + read * read))
    dark = quantise(level * np.float32(255))
    return compress(dark, int(rng.integers(worst_jpeg, 96))) if rng.random() < coded else dark


NIGHT_EV, NIGHT_EV_SPREAD, NIGHT_EV_RANGE = 5.5, 1.35, (1.0, 8.5)
NIGHT_PIVOT = 0.2  # linear light at which exposure and cast were measured
NIGHT_CAST, NIGHT_CAST_SPREAD = (-0.06, 0.0, -0.15), (0.2, 0.0, 0.22)  # log gain of red and blue against green
NIGHT_CONTRAST, NIGHT_CONTRAST_SPREAD = 1.02, 0.2  # exponent on linear light, the same for all channels
NIGHT_TINT, NIGHT_TINT_SPREAD = (0.09, 0.0, 0.11), (0.2, 0.0, 0.23)  # added to the exponent of red and blue
NIGHT_NOISE, NIGHT_NOISE_SPREAD = (2.05, 1.15, 1.5), 0.15  # standard deviation in 8-bit levels, and its log spread


def night(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a photograph [H, W, 3] in sRGB as if taken in the dark by the cameras of LOL.

    Each channel gets a power law in linear light, fitted to block means of LOL's training pairs, and white noise. Drawn
    at random: exposure -5.5 +- 1.35 stops, exponent 1.02 +- 0.2, gains of red and blue +- 30 %, noise of 1 to 2 levels.
    """
    exposure = np.clip(rng.normal(NIGHT_EV, NIGHT_EV_SPREAD), *NIGHT_EV_RANGE)
    cast = rng.normal(NIGHT_CAST, NIGHT_CAST_SPREAD)
    contrast = rng.normal(NIGHT_CONTRAST, NIGHT_CONTRAST_SPREAD) + rng.normal(NIGHT_TINT, NIGHT_TINT_SPREAD)
    gain = NIGHT_PIVOT * np.exp(cast - exposure * np.log(2))
    light = gain * (_DECODE[:, None] / NIGHT_PIVOT) ** np.clip(contrast, 0.5, 2)
    table = encode_srgb(light.astype(np.float32)) * np.float32(255)
    deviation = (np.array(NIGHT_NOISE) * np.exp(rng.normal(0, NIGHT_NOISE_SPREAD))).astype(np.float32)
    dark = rng.standard_normal(pixels.shape, np.float32) * deviation
    for channel in range(3):
        dark[..., channel] += table[pixels[..., channel], channel]
    return quantise(dark)


def saturate(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return the pixels [H, W, 3] with their distance from grey multiplied by a factor."""
    level = pixels.astype(np.float32)
    grey = level.mean(axis=2, keepdims=True)
    return quantise(grey + (level - grey) * np.float32(factor))


def compress(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return the pixels [H, W, 3] after JPEG coding at a quality from 1 to 100."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))
