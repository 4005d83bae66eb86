"""The last pictures of each first folder (each camera) before and after, small enough for a page.

They are made while the pictures are in memory. The page that shows them is also where they are kept: a watcher that
starts again reads them from there.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import logging
import math
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from lumen.codecs import exif
from lumen.color.icc import to_srgb
from lumen.errors import LumenError, reason_of
from lumen.files.inputs import open_named
from lumen.files.marks import WATCH_PAGE_MARK, has_mark
from lumen.imaging.picture import Picture, to_8bit
from lumen.watching.ledger.folders import first_folder

log = logging.getLogger(__name__)

SIDE_PX: Final = 400
ROOM: Final = 16_000  # bytes of one JPEG file
QUALITIES: Final = (80, 60, 35, 10)
MOST_FRAMES: Final = 24  # on a page, of all folders
MOST_OF_A_FOLDER: Final = 4
PAGE_BYTES: Final = 8 << 20  # of what is read

Pair = tuple[bytes, bytes]

_KEPT = re.compile(rb'<script type="application/json" id="frames">(.*?)</script>', re.DOTALL)
_URL: Final = "data:image/jpeg;base64,"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture before and after.

    Attributes:
        path: Of its file, below the watched folder.
        at: When its result was on the disk, in seconds since 1970.
        before: A JPEG file, upright, in sRGB.
        after: As for `before`, of the result.
    """

    path: str
    at: float
    before: bytes
    after: bytes

    @property
    def folder(self) -> str:
        """The first folder of its path; `.` if there is none."""
        return os.fsdecode(first_folder(os.fsencode(self.path))) or "."

    @property
    def path_below(self) -> str:
        """Its path below the first folder."""
        return self.path if self.folder == "." else os.path.relpath(self.path, self.folder)

    @property
    def sides(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        return Image.open(io.BytesIO(self.before), formats=["JPEG"]).size

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, its pictures as data URLs."""
        urls = {name: _URL + base64.b64encode(getattr(self, name)).decode("ascii") for name in ("before", "after")}
        return {"path": self.path, "at": self.at, **urls}

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Frame:
        """Return what `as_json` gave; raises one of the errors of foreign JSON."""
        files = [base64.b64decode(str(value[name]).removeprefix(_URL), validate=True) for name in ("before", "after")]
        frame = cls(path=str(value["path"]), at=float(value["at"]), before=files[0], after=files[1])
        if max(map(len, files)) > ROOM or max(frame.sides) > SIDE_PX or not math.isfinite(frame.at):
            raise ValueError("expected small JPEG files")
        return frame


def pair_of(before: Picture, after: Picture) -> Pair | None:
    """Return JPEG files of a picture and its result, each of at most `ROOM` bytes; None if they cannot be made."""
    try:
        return _small(before), _small(after)
    except (LumenError, OSError, ValueError, RuntimeError, MemoryError) as error:
        log.debug("no frame for the page: %s", reason_of(error))  # the result is there all the same
        return None


def _small(picture: Picture) -> bytes:
    step = max(1, max(picture.height, picture.width) // (2 * SIDE_PX))  # all pixels would take ten times longer
    image = Image.fromarray(np.asarray(to_8bit(picture.pixels[::step, ::step]), np.uint8))
    image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.BOX, reducing_gap=2.0)
    small = Picture(pixels=to_srgb(np.asarray(image), picture.metadata.icc), format=picture.format)
    image = Image.fromarray(np.asarray(small.turned(exif.orientation(picture.metadata.exif)).pixels))
    while True:
        for quality in QUALITIES:
            stream = io.BytesIO()
            image.save(stream, "jpeg", quality=quality)
            if stream.tell() <= ROOM:
                return stream.getvalue()
        image = image.reduce(2)


class LastFrames:
    """The last frames of each folder, of all folders at most `MOST_FRAMES`. Safe to share between threads."""

    def __init__(self) -> None:
        """Begin without any."""
        self._frames: dict[str, list[Frame]] = {}
        self._lock = threading.Lock()

    def add(self, frame: Frame) -> None:
        """Add a frame; one of the folder with most of them leaves for it, or the oldest."""
        with self._lock:
            own = self._frames.setdefault(frame.folder, [])
            own.append(frame)
            if len(own) > MOST_OF_A_FOLDER:
                own.pop(0)
            if sum(map(len, self._frames.values())) > MOST_FRAMES:
                fullest = max(self._frames, key=lambda name: (len(self._frames[name]), -self._frames[name][0].at))
                self._frames[fullest].pop(0)
                if not self._frames[fullest]:
                    del self._frames[fullest]

    def shown(self) -> list[Frame]:
        """Return all frames, by folder, the newest of each first."""
        with self._lock:
            return [frame for name in sorted(self._frames) for frame in reversed(self._frames[name])]

    def kept(self, output: str) -> dict[str, Any]:
        """Return what a page keeps of the frames of an output folder, as JSON values."""
        return {"output": output, "frames": [frame.as_json() for frame in self.shown()]}

    def restore(self, page: Path, output: str) -> None:
        """Take the frames from a page that was written before; nothing if it is missing, or of another output."""
        if not has_mark(page, WATCH_PAGE_MARK):
            return
        try:
            with open_named(page).stream as stream:
                found = _KEPT.search(stream.read(PAGE_BYTES))
            kept = json.loads(found[1]) if found else {}
            if kept.get("output") == output:
                for frame in sorted(map(Frame.of_json, kept["frames"]), key=lambda frame: frame.at):
                    self.add(frame)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, binascii.Error):
            return  # others have written it
