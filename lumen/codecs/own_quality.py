"""The quality of a lossy file whose format does not tell it: at which our encoder makes a file of about its size.

Squares from all over the picture are encoded at a few qualities, and their size is compared with that of the file. So a
result is about as large as its input, whatever encoder made that. A JPEG tells its quality by its tables instead.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from functools import partial
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


def estimator(picture: Picture, file_bytes: int) -> Callable[[], int] | None:
    """Return what estimates the quality, from 40 to 95, or None for a lossless file and for formats without one.

    It keeps squares of the picture and not the picture, which takes memory, and encodes nothing until it is called.

    Args:
        picture: As it was decoded.
        file_bytes: Length of its file.
    """
    if picture.format not in ESTIMATED or picture.lossless:
        return None
    metadata = picture.metadata
    file_bytes -= sum(len(each or b"") for each in (metadata.exif, metadata.icc, metadata.xmp))
    pixels = _squares(picture.pixels)
    sample = replace(picture, pixels=pixels, alpha=None, extra_channel=None, metadata=Metadata())
    return partial(_estimate, sample, file_bytes * pixels.size / picture.pixels.size)


def _estimate(sample: Picture, room: float) -> int:
    """Return the highest quality at which a sample takes no more bytes than there is room for; 40 if none does.

    Raises:
        Exception: The encoder fails, as in `lumen.codecs.interface.Encoder`.
    """
    encode = encoder(sample.format).encode

    def size(quality: int) -> int:
        return len(encode(sample, Encoding(quality=quality, subsampling="keep")))

    return QUALITIES[max(0, bisect_right(QUALITIES, room, key=size) - 1)]


def _squares(pixels: Samples) -> Samples:
    """Return squares that lie evenly over `[H, W, 3]` side by side; all of a side that is no longer than they are."""
    rows, columns = (_pieces(side) for side in pixels.shape[:2])
    return np.concatenate([np.concatenate([pixels[y, x] for x in columns], axis=1) for y in rows], axis=0)


def _pieces(side: int) -> list[slice]:
    """Return the parts of a side that are taken, in pixels."""
    if side <= SIDE * SQUARE_PX:
        return [slice(side)]
    starts = (round(index * (side - SQUARE_PX) / (SIDE - 1)) for index in range(SIDE))
    return [slice(start, start + SQUARE_PX) for start in starts]
