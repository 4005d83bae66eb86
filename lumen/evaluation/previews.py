"""Previews of scored pictures for a page, and maps of their errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
    """Fills an album with previews of the worst pictures while they are scored; may be called from several threads."""

    def __init__(self) -> None:
        self.album = Album()

    def add(self, scores: PictureScores, pixels: Mapping[str, Samples], reference: Samples | None) -> None:
        """Add previews of the pixels `[H, W, 3]` of one pair by column and of its reference, and of error maps."""
        rank = badness(next((scores.scores[name] for name in pixels if name != INPUT), scores.scores.get(INPUT)))
        if not self.album.wants(rank):
            return
        shown = {name: to_8bit(each) for name, each in pixels.items()}
        errors = {}
        if reference is not None:
            truth = to_8bit(reference)
            errors = {ERROR + name: error_map(each, truth) for name, each in shown.items() if name != INPUT}
            shown[REFERENCE] = truth
        self.album.add(scores.name, rank, shown | errors, small=errors)


def preview_titles(names: Iterable[str], title: Callable[[str], str] = column_title) -> dict[str, str]:
    """Return the names of previews for people, by `title` of a column; a single error map is just `error`."""
    maps = [name for name in names if name.startswith(ERROR)]
    words = {name: f"error of {title(name.removeprefix(ERROR))}" if len(maps) > 1 else "error" for name in maps}
    return {name: words.get(name) or title(name) for name in names}


def error_map(picture: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean absolute difference over the channels of two pictures, uint8 `[H, W, 3]`, as colours."""
    stops = np.linspace(0, ERROR_TOP, len(_RAMP))
    channels = [np.interp(range(ERROR_TOP + 1), stops, channel) for channel in zip(*_RAMP, strict=True)]
    table = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    difference = np.maximum(picture, reference) - np.minimum(picture, reference)
    mean = difference.astype(np.uint16).sum(axis=2, dtype=np.uint16) // 3
    result: NDArray[np.uint8] = table[np.minimum(mean, ERROR_TOP)]
    return result
