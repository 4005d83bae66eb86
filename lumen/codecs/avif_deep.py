"""AVIF of 10 and 12 bits with metadata: Pillow writes 8 bits only, and imagecodecs no metadata.

Both put what libavif makes into the same boxes. So Pillow stores a picture of a few pixels with all metadata, and
imagecodecs the real one; then the coded picture, and the boxes that describe it, take the place of those of the small
one.

Reference:
    ISO/IEC 23008-12 and 14496-12, the boxes `ipco` and `iloc`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import imagecodecs
import numpy as np

from lumen.codecs.pillow_codecs import save
from lumen.imaging.picture import Chroma, Picture

_SMALL_PX = 16
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
        level=quality,
        speed=speed,
        bitspersample=bits,
        pixelformat=(chroma or ("4:2:0" if clear else "4:0:0")).replace(":", ""),
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
    )
    flat = np.zeros((_SMALL_PX, _SMALL_PX, 3), np.uint8)
    small = replace(picture, pixels=flat, alpha=flat[..., 0] if clear else None, bits=None)
    return _exchanged(save(small, "AVIF", speed=10, subsampling=chroma), bytes(coded))


def _exchanged(small: bytes, coded: bytes) -> bytes:
    """Return a file with the metadata of the first file and the picture of the second one."""
    start, end = next(_boxes(small, b"meta", 0, len(small)))
    meta = bytearray(small[start:end])
    for kind in _DESCRIBING:
        for (at, to), (since, until) in zip(_properties(small, kind), _properties(coded, kind), strict=True):
            if to - at != until - since:
                raise ValueError(f"a box {kind!r} has another length")
            meta[at - start : to - start] = coded[since:until]
    _, type_end = next(_boxes(coded, b"ftyp", 0, len(coded)))
    pictures = {item: coded[at : at + size] for item, at, size, _ in _items(coded)}
    parts, place = list[bytes](), type_end + len(meta) + 8
    for item, at, size, field in _items(small):
        data = pictures.get(item, small[at : at + size])
        struct.pack_into(">II", meta, field - start, place, len(data))
        place += len(data)
        parts.append(data)
    media = b"".join(parts)
    return b"".join([coded[:type_end], meta, struct.pack(">I4s", len(media) + 8, b"mdat"), media])


def _boxes(data: bytes, kind: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the boxes of a kind start and end."""
    while start + 8 <= end:
        size, found = struct.unpack_from(">I4s", data, start)
        if size < 8:
            raise ValueError("a box has no length")
        if found == kind:
            yield start, start + size
        start += size


def _inside(data: bytes, *path: bytes) -> tuple[int, int]:
    """Return where a box starts and ends that lies in others; the first of them has 4 bytes before its boxes."""
    start, end = next(_boxes(data, b"meta", 0, len(data)))
    start += 4
    for kind in path:
        start, end = next(_boxes(data, kind, start + 8, end))
    return start, end


def _properties(data: bytes, kind: bytes) -> Iterator[tuple[int, int]]:
    start, end = _inside(data, b"iprp", b"ipco")
    return _boxes(data, kind, start + 8, end)


def _items(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, start and length of each item, and where both are written."""
    start, _ = _inside(data, b"iloc")
    version, sizes, count = struct.unpack_from(">I2sH", data, start + 8)
    if version or sizes != b"\x44\0":
        raise ValueError("its table of items is of another kind")
    for number in range(count):
        at = start + 16 + 14 * number
        item, _, extents, place, size = struct.unpack_from(">HHHII", data, at)
        if extents != 1:
            raise ValueError("an item has several parts")
        yield item, place, size, at + 6
