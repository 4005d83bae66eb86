"""Previews of scored pictures for a page, and maps of their errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lumen.evaluation.columns import INPUT, REFERENCE, column_title
from lumen.evaluation.report import PictureScores, badness
from lumen.imaging.picture import Samples, to_8bit
from lumen.pages.album import Album

ERROR: Final = "error "  # before a column: the name of its error map
ERROR_TOP: Final = 64  # levels of 255 at which the colours of the error map end

# From small to large errors, with evenly rising lightness: dark blue to pale yellow. `page.css` has the same colours.
_RAMP = ((5, 7, 25), (70, 25, 110), (165, 45, 95), (235, 105, 45), (252, 185, 60), (255, 250, 190))


class Previews:
    """Fills an album with previews while pictures are scored; may be called from several threads.

    Attributes:
        album: The previews; if there are too many pictures, those of the worst.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.album = Album()

    def begin(self, total: int) -> None:
        """Divide the available size by the number of pictures to come."""
        self.album.begin(total)

    def add(self, scores: PictureScores, pixels: Mapping[str, Samples], reference: Samples | None) -> None:
        """Add previews of the pixels `[H, W, 3]` of one pair by column and of its reference, and of error maps."""
        rank = badness(next((scores.scores[name] for name in pixels if name != INPUT), scores.scores.get(INPUT)))
        if not self.album.wants(rank):
            return
        shown = {name: _8bit(each) for name, each in pixels.items()}
        errors = {}
        if reference is not None:
            truth = _8bit(reference)
            errors = {ERROR + name: error_map(each, truth) for name, each in shown.items() if name != INPUT}
            shown[REFERENCE] = truth
        self.album.add(scores.name, rank, shown | errors, small=errors)


def preview_titles(names: Iterable[str]) -> dict[str, str]:
    """Return the names of previews for people; a single error map is just `error`."""
    maps = [name for name in names if name.startswith(ERROR)]
    words = {name: f"error of {column_title(name.removeprefix(ERROR))}" if len(maps) > 1 else "error" for name in maps}
    return {name: words.get(name) or column_title(name) for name in names}


def error_map(picture: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean absolute difference over the channels of two pictures, uint8 `[H, W, 3]`, as colours."""
    table = np.empty((ERROR_TOP + 1, 3), np.uint8)
    for channel in range(3):
        stops = np.linspace(0, ERROR_TOP, len(_RAMP))
        table[:, channel] = np.rint(np.interp(range(ERROR_TOP + 1), stops, [color[channel] for color in _RAMP]))
    difference = np.maximum(picture, reference) - np.minimum(picture, reference)
    mean = difference.astype(np.uint16).sum(axis=2, dtype=np.uint16) // 3
    result: NDArray[np.uint8] = table[np.minimum(mean, ERROR_TOP)]
    return result


def _8bit(pixels: Samples) -> NDArray[np.uint8]:
    return np.asarray(to_8bit(pixels), np.uint8)
