"""Sequences of dark frames as a camera would take them: noise, a lamp that passes, a cut, a dawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lumen.imaging.picture import Picture, Samples

HEIGHT, WIDTH = 120, 160
STILL = (slice(84, 120), slice(0, 64))  # a patch to which no lamp comes

Scene = NDArray[np.float64]


def wall(seed: int = 0, level: float = 10.0) -> Scene:
    """Return a still scene float64 [120, 160, 3] of coloured boards, of a mean level from 0 to 255."""
    random = np.random.default_rng(seed)
    scene = np.zeros((HEIGHT, WIDTH, 3))
    for _ in range(30):
        top, left = random.integers(0, HEIGHT), random.integers(0, WIDTH)
        height, width = random.integers(8, 60, 2)
        scene[top : top + height, left : left + width] = random.uniform(0.1, 2.2, 3)
    scene += 0.5
    return np.asarray(scene * (level / scene.mean()))


def with_lamp(scene: Scene, x: float, y: float, radius: float) -> Scene:
    """Return a scene with a lamp at a place, and a glow around it of twice its radius."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - y, columns - x)[..., None]
    glow = 12 * np.clip(1 - distance / (2 * radius), 0, 1)
    return np.asarray(np.maximum(scene + glow, 235 * np.clip((radius - distance) / 3 + 0.5, 0, 1)))


def taken(scene: Scene, seed: int | None, noise: float = 2.5) -> Samples:
    """Return a scene as a camera takes it, uint8 [120, 160, 3], with noise unless the seed is None."""
    if seed is not None:
        scene = scene + np.random.default_rng(1000 + seed).normal(0, noise, scene.shape)
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)


def noise_frames(count: int = 20) -> list[Samples]:
    """Return frames of a still scene."""
    return [taken(wall(), each) for each in range(count)]


def lamp_frames(count: int = 20) -> list[Samples]:
    """Return frames through which a lamp moves that grows to a fifteenth of the picture."""
    xs, radii = np.linspace(24, 140, count), 8 + 13 * np.sin(np.linspace(0, np.pi, count))
    return [taken(with_lamp(wall(), x, 38, r), each) for each, (x, r) in enumerate(zip(xs, radii, strict=True))]


def headlight_frames(count: int = 60) -> list[Samples]:
    """Return frames through which a headlight passes in the middle third."""
    frames = []
    for each in range(count):
        x = np.interp(each, (count / 3, 2 * count / 3), (-30, WIDTH + 30))
        frames.append(taken(with_lamp(wall(), float(x), 40, 20), each))
    return frames


def cut_frames(count: int = 20) -> list[Samples]:
    """Return frames of one scene and then of a brighter one, from `count // 2` on."""
    scenes = [wall()] * (count // 2) + [wall(3, 35.0)] * (count - count // 2)
    return [taken(scene, each) for each, scene in enumerate(scenes)]


def dawn_frames(count: int = 40) -> list[Samples]:
    """Return frames of a scene that brightens by 1 % a frame, as a time-lapse in which noise is averaged out."""
    return [taken(wall(level=15 * 1.01**each), None) for each in range(count)]


def as_pictures(frames: list[Samples]) -> list[Picture]:
    """Return frames as pictures."""
    return [Picture(pixels=frame, format="png") for frame in frames]


def stops(frames: list[Samples], where: tuple[slice, slice] = (slice(None), slice(None))) -> NDArray[np.float64]:
    """Return the mean levels of frames, or of a patch of them, as log2."""
    return np.log2([float(frame[where].mean()) for frame in frames])
