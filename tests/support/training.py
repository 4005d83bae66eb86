"""Tiny data sets for tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.train.recipe.recipe import Recipe, from_dict

SMALL_NETWORK = {"widths": [8, 16], "blocks": 1, "code": 8, "thumbnail_px": 32}


def scene(seed: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Return a smooth coloured picture uint8 [height, width, 3]; different seeds do not look alike."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 250, (6, 8, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def darker(pixels: NDArray[np.uint8], factor: float = 0.1) -> NDArray[np.uint8]:
    return (pixels * factor).astype(np.uint8)


def write_pairs(root: Path, count: int, *, lol: bool = True) -> Path:
    """Write `count` pairs of different scenes below `root`, which is returned."""
    base = root / "our485" if lol else root
    for name in ("low", "high"):
        (base / name).mkdir(parents=True)
    for seed in range(count):
        high = scene(seed)
        Image.fromarray(high).save(base / "high" / f"{seed}.png")
        Image.fromarray(darker(high)).save(base / "low" / f"{seed}.png")
    return root


def tiny_recipe(**sections: dict[str, object]) -> Recipe:
    """Return a recipe that trains in a second; keyword arguments change single values of sections."""
    values: dict[str, dict[str, object]] = {
        "network": {"architecture": "context-mirnet", "hyperparameters": SMALL_NETWORK},
        "data": {"crop_px": 16, "batch": 4},
        "optimizer": {"iterations": 6, "warmup": 2, "rate": 1e-3},
        "brightness": {"iterations": 4, "samples": 8, "batch": 4},
        "validation": {"every": 3, "pairs": 2, "photos": 1},
    }
    for section, changes in sections.items():
        values[section] = {**values[section], **changes} if section in values else changes
    return from_dict({"name": "tiny", **values})
