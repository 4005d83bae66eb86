"""Finds the smallest halo by comparing windows with whole pictures; knows nothing of how a network is run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

STEP_PX = 8
LEAST_PX = 32
REACHES_PX = (128, 256)  # tried in this order: deep networks take long on large pictures
MOST_PX = REACHES_PX[-1]
TOLERANCE = 0.05 / 255  # a twentieth of an 8-bit level
CORE_PX = 64


def hard_pictures(side: int) -> dict[str, NDArray[np.float32]]:
    """Return float32 [side, side, 3] pictures in [0, 1] that need large halos."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:side, :side].astype(np.float32)
    wave = (np.sin(row / 23.0) * np.cos(column / 17.0) + 1) / 2
    blocks = (row // 32 + column // 32) % 2
    edge = np.minimum.reduce([row, column, side - 1 - row, side - 1 - column])
    planes = {
        "checkerboard": blocks,
        "dim checkerboard": 0.02 + 0.1 * blocks,
        "ramp": (row / side) ** 2,
        "waves": 0.2 * wave,
        "bright frame": np.where(edge < STEP_PX, 1.0, 0.05),  # beyond every window: only the whole picture has it
    }
    noise = rng.random((2, side, side, 3), np.float32)
    grey = {name: np.repeat(plane[..., np.newaxis], 3, axis=2).astype(np.float32) for name, plane in planes.items()}
    return {"noise": noise[0], "dark noise": np.float32(0.1) * noise[1], **grey}


def search_halo(
    difference: Callable[[int, int], float], count: int, step: int, most: int, tolerance: float
) -> int | None:
    """Return the smallest multiple of `step` that is enough as a halo, up to `most`, or None.

    Args:
        difference: Returns the largest difference of a window from the whole, for the number of a picture and a halo.
        count: Number of pictures.
        step: Pixels from one halo to the next.
        most: The largest one.
        tolerance: The difference that is allowed.
    """

    def enough(halo_px: int) -> bool:
        return all(difference(index, halo_px) <= tolerance for index in range(count))

    return next((halo_px for halo_px in range(step, most + 1, step) if enough(halo_px)), None)
