"""What may be wrong with pairs: told by name before a training, never repaired."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumen.train.data.load import Example, Pixels, name_some
from lumen.train.data.split import group_scenes

log = logging.getLogger(__name__)

LOOKED_AT_PX = 320  # the longest side of what is compared: of a picture of 600 px, two pixels are one step
CLEARER = 0.03  # how much better the correlation must be elsewhere
FAINTEST = 0.2  # below it nothing is recognised, there or elsewhere
BRIGHTEST_EDGES = 0.02  # that share of the edges counts no more than the rest: lamps would decide alone


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A pair whose pictures agree better when one is moved.

    Attributes:
        name: Of the pair.
        down, right: How far the dark picture lies from the good one, in pixels, to about 1/300 of the longer side.
    """

    name: str
    down: int
    right: int

    def __str__(self) -> str:
        return f"{self.name} ({self.down:+d} down, {self.right:+d} right)"


def misaligned(pairs: Sequence[Example]) -> list[Shift]:
    """Find pairs that do not register, by the correlation of their edges over all shifts.

    Exposure hardly matters to the edges of log levels. Objects that moved while the camera stood still are not found.

    Reference:
        Reddy, Chatterji, An FFT-Based Technique for Translation, Rotation, and Scale-Invariant Image Registration, IEEE
        TIP 1996 (the translation part).
    """
    found = []
    for pair in pairs:
        factor = -(-max(pair.low.shape[:2]) // LOOKED_AT_PX)
        if min(pair.low.shape[:2]) // factor < 8:
            continue
        low, high = _edges(pair.low, factor), _edges(pair.high, factor)
        spectrum = np.fft.rfft2(low) * np.conj(np.fft.rfft2(high))
        correlation = np.fft.irfft2(spectrum, s=low.shape)
        down, right = (int(place) for place in np.unravel_index(int(correlation.argmax()), correlation.shape))
        best, here = float(correlation[down, right]), float(correlation[0, 0])
        if best > max(FAINTEST, here + CLEARER):
            offsets = [(at + side // 2) % side - side // 2 for at, side in zip((down, right), low.shape, strict=True)]
            found.append(Shift(name=pair.name, down=offsets[0] * factor, right=offsets[1] * factor))
    return found


def shared_scenes(train: Sequence[Example], held_out: Sequence[Example]) -> list[tuple[str, str]]:
    """Return, for every held-out picture whose scene is trained on too, its name and that of one such picture."""
    if not train or not held_out:
        return []
    both = [*train, *held_out]
    found = []
    for group in group_scenes(example.high for example in both):
        inside = [index for index in group if index < len(train)]
        found += [(both[i].name, both[inside[0]].name) for i in group if inside and i >= len(train)]
    return found


def warn_of_misaligned(pairs: Sequence[Example]) -> None:
    """Tell by name which pairs look misaligned."""
    shifts = misaligned(pairs)
    if shifts:
        log.warning(
            "%d pair(s) look misaligned: %s; leave them out with --set 'data.exclude=[...]'",
            len(shifts),
            name_some([str(shift) for shift in shifts]),
        )


def warn_of_shared_scenes(train: Sequence[Example], held_out: Sequence[Example]) -> None:
    """Tell by name which held-out pictures show a scene that is trained on."""
    leaks = shared_scenes(train, held_out)
    if leaks:
        log.warning(
            "%d held-out picture(s) show a scene that is trained on, so their scores are too good: %s",
            len(leaks),
            name_some([f"{inside} (as {outside})" for inside, outside in leaks]),
        )


def _edges(pixels: Pixels, factor: int) -> NDArray[np.float32]:
    """Return the edges of a reduced picture, float32 [h, w], with mean 0 and norm 1; few large ones are cut off."""
    height, width = (side // factor for side in pixels.shape[:2])
    grey = pixels[: height * factor, : width * factor].mean(axis=2, dtype=np.float32)
    level = np.log1p(1 + grey.reshape(height, factor, width, factor).mean(axis=(1, 3)))
    edges = np.hypot(np.diff(level, axis=1)[:-1], np.diff(level, axis=0)[:, :-1])
    edges = np.minimum(edges, np.quantile(edges, 1 - BRIGHTEST_EDGES))
    edges -= edges.mean()
    unit: NDArray[np.float32] = (edges / max(float(np.linalg.norm(edges)), 1e-6)).astype(np.float32)
    return unit
