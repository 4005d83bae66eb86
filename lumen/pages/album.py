"""Previews for a page: their number and size depend on the space available for all of them."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BUDGET_BYTES: Final = 40_000_000  # of all previews; base64 adds a third
MAX_PICTURES: Final = 1000  # with previews
MAX_SIDE_PX, MIN_SIDE_PX = 960, 160
ABOUT_BYTES_PER_PX: Final = 0.16  # of a preview; one that needs more is compressed further
QUALITIES: Final = (82, 68, 50, 30)
SMALL_SIDE: Final = 0.75  # relative to the side of the others


class Shots(NamedTuple):
    """Previews under one name: their rank, and WebP files by what they show."""

    rank: float
    files: Mapping[str, bytes]


class Album:
    """Collects previews of the smallest ranks, at most as many as fit a page. Safe to share between threads."""

    def __init__(self) -> None:
        self._ranks: dict[str, float] = {}
        self._shots: dict[str, Mapping[str, bytes]] = {}  # WebP files by what they show
        self._lock = threading.Lock()
        self._room = BUDGET_BYTES

    def __contains__(self, name: str) -> bool:
        return name in self._ranks

    def begin(self, total: int) -> None:
        """Divide the available size by the number of names to come."""
        self._room = BUDGET_BYTES // max(1, min(total, MAX_PICTURES))

    def wants(self, rank: float) -> bool:
        """Tell whether a picture of this rank would be kept."""
        with self._lock:
            return len(self._ranks) < MAX_PICTURES or rank < max(self._ranks.values())

    def add(
        self, name: str, rank: float, pictures: Mapping[str, NDArray[np.uint8]], *, small: Collection[str] = ()
    ) -> None:
        """Add previews of sRGB pictures, uint8 `[H, W, 3]`, by what they show; those in `small` may be smaller."""
        shares = {what: SMALL_SIDE**2 if what in small else 1.0 for what in pictures}
        room = self._room / sum(shares.values())
        files = {what: _encoded(pixels, room * shares[what]) for what, pixels in pictures.items()}
        self.keep(name, Shots(rank, files))

    def keep(self, name: str, shots: Shots) -> None:
        """Add previews as they are, such as those that `taken` returned elsewhere."""
        with self._lock:
            self._ranks[name], self._shots[name] = shots.rank, shots.files
            if len(self._ranks) > MAX_PICTURES:
                last = max(self._ranks, key=self._ranks.__getitem__)
                del self._ranks[last], self._shots[last]

    def taken(self, name: str) -> Shots | None:
        """Take the previews under a name out of the album; None if there are none."""
        with self._lock:
            return Shots(self._ranks.pop(name), self._shots.pop(name)) if name in self._ranks else None

    def shots(self, name: str) -> dict[str, str]:
        """Return the previews under a name as data URLs, by what they show; empty if there are none."""
        return {
            what: "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
            for what, data in self._shots.get(name, {}).items()
        }


def _encoded(pixels: NDArray[np.uint8], room: float) -> bytes:
    """Return a WebP file of at most about `room` bytes, with as many pixels as fit."""
    image = Image.fromarray(pixels)
    ratio = min(image.size) / max(image.size)
    side = min(MAX_SIDE_PX, max(image.size), max(MIN_SIDE_PX, int((room / ABOUT_BYTES_PER_PX / ratio) ** 0.5)))
    while True:
        width, height = (max(1, round(each * side / max(image.size))) for each in image.size)
        small = image.resize((width, height), Image.Resampling.BOX, reducing_gap=2.0)
        for quality in QUALITIES:
            stream = io.BytesIO()
            small.save(stream, "webp", quality=quality, method=2)
            if stream.tell() <= room:
                return stream.getvalue()
        if side <= MIN_SIDE_PX // 4:
            return stream.getvalue()
        side = side * 3 // 4
