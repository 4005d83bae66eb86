"""Previews for a page: their number and size depend on the space available for all of them."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BUDGET_BYTES: Final = 40_000_000  # of all previews; base64 adds a third
MAX_PICTURES: Final = 1000  # with previews
MAX_SIDE_PX, MIN_SIDE_PX = 960, 160
ABOUT_BYTES_PER_PX: Final = 0.16  # of a preview; one that needs more is compressed further
QUALITIES: Final = (82, 68, 50, 30)
SMALL_SIDE: Final = 0.75  # relative to the side of the others


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The previews under one name.

    Attributes:
        rank: The smallest ranks are kept.
        shots: WebP files by what they show.
    """

    rank: float
    shots: Mapping[str, bytes]


class Album:
    """Collects previews of the smallest ranks, at most as many as fit a page. Safe to share between threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._previews: dict[str, Preview] = {}
        self._lock = threading.Lock()
        self._room = BUDGET_BYTES

    def __contains__(self, name: str) -> bool:
        return name in self._previews

    def begin(self, total: int) -> None:
        """Divide the available size by the number of names to come."""
        self._room = BUDGET_BYTES // max(1, min(total, MAX_PICTURES))

    def wants(self, rank: float) -> bool:
        """Tell whether a picture of this rank would be kept."""
        with self._lock:
            full = len(self._previews) >= MAX_PICTURES
            return not full or rank < max(each.rank for each in self._previews.values())

    def add(
        self, name: str, rank: float, pictures: Mapping[str, NDArray[np.uint8]], *, small: Collection[str] = ()
    ) -> None:
        """Add previews.

        Args:
            name: The name they belong to.
            rank: The smallest ranks are kept.
            pictures: sRGB uint8 `[H, W, 3]` by what they show.
            small: Those of them that show less detail and may be smaller.
        """
        shares = {what: SMALL_SIDE**2 if what in small else 1.0 for what in pictures}
        room = self._room / sum(shares.values())
        shots = {what: _encoded(pixels, room * shares[what]) for what, pixels in pictures.items()}
        with self._lock:
            self._previews[name] = Preview(rank=rank, shots=shots)
            if len(self._previews) > MAX_PICTURES:
                del self._previews[max(self._previews, key=lambda name: self._previews[name].rank)]

    def shots(self, name: str) -> dict[str, str]:
        """Return the previews under a name as data URLs, by what they show; empty if there are none."""
        preview = self._previews.get(name)
        if preview is None:
            return {}
        return {
            what: "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
            for what, data in preview.shots.items()
        }


def _encoded(pixels: NDArray[np.uint8], room: float) -> bytes:
    """Return a WebP file of at most about `room` bytes, with as many pixels as fit."""
    image = Image.fromarray(pixels)
    ratio = min(image.size) / max(image.size)
    side = min(MAX_SIDE_PX, max(image.size), max(MIN_SIDE_PX, int((room / ABOUT_BYTES_PER_PX / ratio) ** 0.5)))
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
