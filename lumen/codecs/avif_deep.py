"""AVIF of 10 and 12 bits with metadata: Pillow writes 8 bits only, and imagecodecs no metadata.

So Pillow stores a picture of a few pixels with all metadata, and imagecodecs the real one, which takes the place of the
small one.
"""

from __future__ import annotations

from dataclasses import replace

import imagecodecs
import numpy as np

from lumen.codecs.avif_items import CODED, items_of, joined
from lumen.codecs.pillow_codecs import save
from lumen.imaging.picture import Chroma, Picture

_SMALL_PX = 16
_MOST_COARSE = 99  # quality; at 100 imagecodecs stores colours for every pixel, whatever it is asked for
_SRGB, _UNKNOWN = (1, 13, 6), (2, 2, 6)  # codes of primaries, transfer curve and matrix, as Pillow writes them
_DESCRIBING = (b"ispe", b"pixi", b"av1C")  # size, depth, and how it is coded


def encode_deep(picture: Picture, *, quality: int, speed: int, chroma: Chroma | None) -> bytes:
    """Return a picture of 10 or 12 bits, `picture.bits`, as an AVIF file; `chroma` is None for a grey one.

    Raises:
        ValueError: The libraries do not lay out their files as expected.
    """
    bits = picture.bits or 12
    clear = picture.alpha is not None
    samples = np.dstack([picture.pixels, picture.alpha]) if picture.alpha is not None else picture.to_channels()
    primaries, transfer, matrix = _UNKNOWN if picture.metadata.icc else _SRGB
    coded = imagecodecs.avif_encode(
        samples >> (16 - bits),
        level=quality if chroma in (None, "4:4:4") else min(quality, _MOST_COARSE),
        speed=speed,
        bitspersample=bits,
        pixelformat=(chroma or "4:0:0").replace(":", ""),
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
    )
    flat = np.zeros((_SMALL_PX, _SMALL_PX, 3), np.uint8)
    small = replace(picture, pixels=flat, alpha=flat[..., 0] if clear else None, bits=None)
    return _exchanged(save(small, "AVIF", speed=10, subsampling=chroma), bytes(coded))


def _exchanged(small: bytes, coded: bytes) -> bytes:
    """Return a file with the metadata of the first file and the picture of the second one."""
    items, pictures = items_of(small), items_of(coded)
    for number, item in items.items():
        if item.kind == CODED:
            picture = pictures[number]
            properties = tuple(
                (strict, picture.property(box[4:8]) if box[4:8] in _DESCRIBING else box)
                for strict, box in item.properties
            )
            items[number] = replace(item, data=picture.data, properties=properties)
    return joined(items, coded)
