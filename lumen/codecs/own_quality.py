"""The quality of a lossy file whose format does not tell it: at which our encoder makes a file of about its size.

Squares from all over the picture are encoded at a few qualities, and their size is compared with that of the file. So a
result is about as large as its input, whatever encoder made that. A JPEG tells its quality by its tables instead.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import Final

import numpy as np

from lumen.codecs.interface import Encoding, encoder
from lumen.config import DEFAULT_QUALITY
from lumen.imaging.formats import Format
from lumen.imaging.picture import Metadata, Picture, Samples

ESTIMATED: Final[frozenset[Format]] = frozenset({"webp", "avif", "heif", "jxl"})
QUALITIES: Final = range(40, DEFAULT_QUALITY + 1, 5)
SQUARE_PX: Final = 256
SIDE: Final = 3  # squares


def estimate(picture: Picture, file_bytes: int) -> int | None:
    """Return the quality, from 40 to 95, or None for a lossless file and for formats without one.

    Args:
        picture: As it was decoded.
        file_bytes: Length of its file.

    Raises:
        Exception: The encoder fails, as in `lumen.codecs.interface.Encoder`.
    """
    if picture.format not in ESTIMATED or picture.lossless:
        return None
    metadata = picture.metadata
    file_bytes -= sum(len(each or b"") for each in (metadata.exif, metadata.icc, metadata.xmp))
    pixels = _squares(picture.pixels)
    sample = replace(picture, pixels=pixels, alpha=None, extra_channel=None, metadata=Metadata())
    room = file_bytes * pixels.size / picture.pixels.size
    encode = encoder(picture.format).encode

    def size(quality: int) -> int:
        return len(encode(sample, Encoding(quality=quality, subsampling="keep")))

    return QUALITIES[max(0, bisect_right(QUALITIES, room, key=size) - 1)]


def _squares(pixels: Samples) -> Samples:
    """Return squares that lie evenly over `[H, W, 3]` side by side, or all of it if it is no larger."""
    height, width = pixels.shape[:2]
    if height * width <= (SIDE * SQUARE_PX) ** 2 or min(height, width) < SQUARE_PX:
        return pixels
    tops, lefts = (
        [round(index * (side - SQUARE_PX) / (SIDE - 1)) for index in range(SIDE)] for side in (height, width)
    )
    rows = [np.concatenate([pixels[y : y + SQUARE_PX, x : x + SQUARE_PX] for x in lefts], axis=1) for y in tops]
    return np.ascontiguousarray(np.concatenate(rows, axis=0))
