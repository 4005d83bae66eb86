"""What may be wrong with pairs: warned about by name before a training, never repaired."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumen.train.data.load import Example, Pixels, name_some
from lumen.train.data.split import group_scenes, normalised

log = logging.getLogger(__name__)

LOOKED_AT_PX = 320  # longest side at which pictures are compared; shifts in one of 600 px are found to 2 px
CLEARER = 0.03  # how much higher the correlation must be at the shift than without it
FAINTEST = 0.2  # below this correlation no shift is reported
BRIGHTEST_EDGES = 0.02  # the strongest edges, such as lamps, are clipped, or they alone would decide


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A pair whose pictures match better when one is moved.

    The offset is that of the dark picture from the reference, in pixels, to about 1/300 of the longer side.
    """

    name: str
    down: int
    right: int

    def __str__(self) -> str:
        return f"{self.name} ({self.down:+d} down, {self.right:+d} right)"


def misaligned(pairs: Sequence[Example]) -> list[Shift]:
    """Find misaligned pairs, by the correlation of their edges over all shifts.

    Edges of log levels hardly depend on exposure. Objects that moved while the camera stood still are not found.

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
    """Return each held-out picture whose scene is also trained on, with one such training picture, by name."""
    if not train or not held_out:
        return []
    both = [*train, *held_out]
    found = []
    for group in group_scenes(example.high for example in both):
        inside = [index for index in group if index < len(train)]
        found += [(both[i].name, both[inside[0]].name) for i in group if inside and i >= len(train)]
    return found


def warn_of_misaligned(pairs: Sequence[Example]) -> None:
    """Warn about pairs that look misaligned, by name."""
    shifts = misaligned(pairs)
    if shifts:
        log.warning(
            "%d pair(s) look misaligned: %s; leave them out with --set 'data.exclude=[...]'",
            len(shifts),
            name_some([str(shift) for shift in shifts]),
        )


def warn_of_shared_scenes(train: Sequence[Example], held_out: Sequence[Example]) -> None:
    """Warn about held-out pictures that show a scene that is trained on, by name."""
    leaks = shared_scenes(train, held_out)
    if leaks:
        log.warning(
            "%d held-out picture(s) show a scene that is trained on, so their scores will be too high: %s",
            len(leaks),
            name_some([f"{inside} (as {outside})" for inside, outside in leaks]),
        )


def _edges(pixels: Pixels, factor: int) -> NDArray[np.float32]:
    """Return the edges of a reduced picture, float32 [h, w], with mean 0 and norm 1; the strongest are clipped."""
    height, width = (side // factor for side in pixels.shape[:2])
    grey = pixels[: height * factor, : width * factor].mean(axis=2, dtype=np.float32)
    level = np.log1p(1 + grey.reshape(height, factor, width, factor).mean(axis=(1, 3)))
    edges = np.hypot(np.diff(level, axis=1)[:-1], np.diff(level, axis=0)[:, :-1])
    return normalised(np.minimum(edges, np.quantile(edges, 1 - BRIGHTEST_EDGES)))
