"""Frames for `benchmarks/tone.py`: nights of photographs, frames with nothing in them, and grey ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.darkened import darken
from lumen.imaging.picture import Samples
from lumen.metrics.fidelity import luma
from lumen.train.data.synthetic import compress, quantise

Pixels = NDArray[np.uint8]

NIGHT_JPEG = (30, 60)  # range of the quality
FLAT_PX, FLAT_LEVELS = 8, 4.0  # a flat block: its side, and the largest standard deviation of its luma
BRIGHT, BRIGHT_SHARE, DARK = 240, 0.05, 30  # back-lit: levels of luma, and the share of bright pixels
FRAME = (384, 512, 3)


def night(photo: Pixels, stops: int, rng: np.random.Generator) -> Pixels:
    """Return a photograph [H, W, 3] exposed that many stops less, with noise, as JPEG 4:2:0."""
    return compress(darken(photo, stops, rng), int(rng.integers(NIGHT_JPEG[0], NIGHT_JPEG[1] + 1)))


def flat_blocks(photo: Pixels) -> NDArray[np.bool_]:
    """Return for each block of 8x8 pixels whether its luma hardly varies."""
    height, width = (side // FLAT_PX * FLAT_PX for side in photo.shape[:2])
    level = luma(photo)[:height, :width].reshape(height // FLAT_PX, FLAT_PX, width // FLAT_PX, FLAT_PX)
    flat: NDArray[np.bool_] = level.std(axis=(1, 3)) < FLAT_LEVELS
    return flat


def chroma_error(result: Pixels, photo: Pixels, flat: NDArray[np.bool_]) -> float:
    """Return the mean distance of a* and b* in the flat blocks."""
    height, width = (blocks * FLAT_PX for blocks in flat.shape)
    difference = (rgb2lab(result) - rgb2lab(photo))[:height, :width, 1:]
    distance = np.hypot(difference[..., 0], difference[..., 1])
    inside = np.repeat(np.repeat(flat, FLAT_PX, axis=0), FLAT_PX, axis=1)
    return float(distance[inside].mean())


def is_backlit(pixels: Pixels) -> bool:
    """Return whether a frame has bright pixels, and a quarter that is dark."""
    level = luma(pixels)
    return bool((level > BRIGHT).mean() > BRIGHT_SHARE and np.quantile(level, 0.25) < DARK)


def blank_frames() -> dict[str, Pixels]:
    """Return frames with nothing in them."""
    rng = np.random.default_rng(0)
    cap = 1.8 + 1.5 * rng.standard_normal(FRAME, np.float32)
    sky = 1.5 + 1.2 * rng.standard_normal(FRAME, np.float32)
    ys, xs = rng.integers(1, FRAME[0] - 1, 400), rng.integers(1, FRAME[1] - 1, 400)
    light = rng.uniform(30, 255, 400) * rng.uniform(0.3, 1, 400)
    for y, x, star in zip(ys, xs, light, strict=True):
        sky[y, x] += star
        sky[y - 1 : y + 2, x - 1 : x + 2] += star / 4
    return {
        "lens cap": quantise(cap),
        "black": np.zeros(FRAME, np.uint8),
        "flat grey 10": np.full(FRAME, 10, np.uint8),
        "starry sky": quantise(sky),
    }


def grey_frames() -> dict[str, Samples]:
    """Return dark scenes with R = G = B: 8 bit, 16 bit, and after coding as RGB in a JPEG file."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[: FRAME[0], : FRAME[1]]
    scene = 25 + 20 * np.sin(x / 37) * np.cos(y / 23) + 60 * ((x // 64 + y // 64) % 5 == 0)
    level = np.clip(scene + 2 * rng.standard_normal(scene.shape), 0, 255)[..., None].repeat(3, axis=2)
    grey = quantise(level.astype(np.float32))
    return {
        "8 bit": grey,
        "16 bit": np.rint(level * 257).astype(np.uint16),
        "JPEG as RGB": compress(grey, 85),
    }
