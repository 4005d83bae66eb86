"""Small previews of pictures for a page: how many and how large decides the room there is for all of them."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from lumen.evaluation import INPUT, REFERENCE, PictureScores
from lumen.evaluation.report import badness
from lumen.imaging.picture import Samples, to_8bit

BUDGET_BYTES: Final = 40_000_000  # of all previews; a third more as text in the page
MAX_PICTURES: Final = 1000  # with previews: the worst
MAX_SIDE_PX, MIN_SIDE_PX = 960, 160
BYTES_PER_PX: Final = 0.16  # of a preview, about; what needs more is compressed harder
QUALITIES: Final = (82, 68, 50, 30)
ERROR: Final = "error "  # before the column, for its error map
ERROR_TOP: Final = 64  # levels of 255 where the colours of the error map end
ERROR_SIDE: Final = 0.75  # of the side of the pictures: less is to be seen in it

# From no error to much: dark blue, violet, red, orange, pale yellow, evenly growing lighter.
_RAMP = ((5, 7, 25), (70, 25, 110), (165, 45, 95), (235, 105, 45), (252, 185, 60), (255, 250, 190))

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The small pictures of one pair.

    Attributes:
        rank: Small for bad scores.
        shots: WebP files by column; `reference`, and `error COLUMN` for the maps.
    """

    rank: float
    shots: Mapping[str, bytes]


class Album:
    """Collects previews from several threads, never more than a page can hold; where there are too many, the worst."""

    def __init__(self) -> None:
        """Start empty."""
        self._previews: dict[str, Preview] = {}
        self._lock = threading.Lock()
        self._room = BUDGET_BYTES

    def begin(self, total: int) -> None:
        """Divide the room by the number of pictures to come."""
        self._room = BUDGET_BYTES // max(1, min(total, MAX_PICTURES))

    def add(self, scores: PictureScores, pixels: Mapping[str, Samples], reference: Samples | None) -> None:
        """Keep previews of one pair: pixels `[H, W, 3]` by column, and the reference's."""
        rank = badness(next((scores.scores[name] for name in pixels if name != INPUT), scores.scores.get(INPUT)))
        with self._lock:
            if len(self._previews) >= MAX_PICTURES and rank >= max(each.rank for each in self._previews.values()):
                return
        shots = self._shots({name: _eight(each) for name, each in pixels.items()}, _eight(reference))
        with self._lock:
            self._previews[scores.name] = Preview(rank=rank, shots=shots)
            if len(self._previews) > MAX_PICTURES:
                del self._previews[max(self._previews, key=lambda name: self._previews[name].rank)]

    def shots(self, name: str) -> dict[str, str]:
        """Return the previews of a picture as data URLs, by column; none where it has none."""
        preview = self._previews.get(name)
        if preview is None:
            return {}
        return {
            column: "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
            for column, data in preview.shots.items()
        }

    def _shots(self, pixels: Mapping[str, Pixels | None], reference: Pixels | None) -> dict[str, bytes]:
        """Return WebP files by column, within the room of one pair."""
        shown = {name: each for name, each in pixels.items() if each is not None}
        errors = {} if reference is None else {ERROR + name: each for name, each in shown.items() if name != INPUT}
        if reference is not None:
            shown[REFERENCE] = reference
        room = self._room / (len(shown) + ERROR_SIDE**2 * len(errors))
        found = {name: _encoded(each, room) for name, each in shown.items()}
        for name, each in errors.items():
            assert reference is not None
            found[name] = _encoded(error_map(each, reference), room * ERROR_SIDE**2)
        return found


def error_map(picture: Pixels, reference: Pixels) -> Pixels:
    """Return the mean absolute difference over the channels of uint8 `[H, W, 3]` as colours."""
    table = np.empty((ERROR_TOP + 1, 3), np.uint8)
    for channel in range(3):
        stops = np.linspace(0, ERROR_TOP, len(_RAMP))
        table[:, channel] = np.rint(np.interp(range(ERROR_TOP + 1), stops, [color[channel] for color in _RAMP]))
    difference = np.maximum(picture, reference) - np.minimum(picture, reference)
    mean = difference.astype(np.uint16).sum(axis=2, dtype=np.uint16) // 3
    result: Pixels = table[np.minimum(mean, ERROR_TOP)]
    return result


def _eight(pixels: Samples | None) -> Pixels | None:
    return None if pixels is None else np.asarray(to_8bit(pixels), np.uint8)


def _encoded(pixels: Pixels, room: float) -> bytes:
    """Return a WebP file of about `room` bytes at most, as large as fits."""
    image = Image.fromarray(pixels)
    ratio = min(image.size) / max(image.size)
    side = min(MAX_SIDE_PX, max(image.size), max(MIN_SIDE_PX, int((room / BYTES_PER_PX / ratio) ** 0.5)))
    while True:
        size = (
            max(1, round(image.width * side / max(image.size))),
            max(1, round(image.height * side / max(image.size))),
        )
        small = image if size == image.size else image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        for quality in QUALITIES:
            stream = io.BytesIO()
            small.save(stream, "webp", quality=quality, method=2)
            if stream.tell() <= room:
                return stream.getvalue()
        if side <= MIN_SIDE_PX // 4:
            return stream.getvalue()
        side = side * 3 // 4
