"""Whether a part of an AVIF or HEIC file was replaced by zeros: their decoders make a picture of anything.

Both codings are arithmetic: what they write looks random. HEVC allows no three zeros in a row, and AV1 writes no longer
runs of them, even for black pictures; files that were never completed, or lost a block of the disk, hold hundreds.

Reference:
    ISO/IEC 14496-12 and 23008-12, the boxes `iinf` and `iloc`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from lumen.codecs.pillow_codecs import size_of
from lumen.imaging.picture import Damage

_META_BYTES = 1 << 20
_CODED = re.compile(rb"infe(?:\x02...(..)|\x03...(....))..(?:av01|hvc1)", re.DOTALL)
_ZEROS = bytes(64)


def damage_of_items(stream: BinaryIO) -> Damage | None:
    """Return that the pictures of a file are damaged, if they are known to be."""
    left = size = size_of(stream)
    for start, length in _extents(description(stream)):
        stream.seek(min(start, size))
        data = stream.read(min(length, left))  # no part is read twice, however often it is named
        left -= len(data)
        if _ZEROS in data:
            return Damage(reason="the picture is damaged: a part was replaced by zeros", in_picture=True)
    return None


def description(stream: BinaryIO) -> bytes:
    """Return the boxes that describe the pictures, wherever they are in the file."""
    parts, at = [], 0
    stream.seek(0)
    while len(head := stream.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        size = int.from_bytes(stream.read(8), "big") if size == 1 else size
        if kind in (b"meta", b"moov"):
            parts.append(stream.read(min(size, _META_BYTES) if size else _META_BYTES))
        if size < 8:  # the box extends to the end, or is damaged
            break
        at += size
        stream.seek(at)
    return b"".join(parts)


def _extents(meta: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, length) of the parts of the file that hold coded pictures; nothing for what is odd."""
    coded = {int.from_bytes(found[1] or found[2], "big") for found in _CODED.finditer(meta)}
    at = meta.find(b"iloc") + 4
    if not 4 <= at < len(meta) - 6:
        return
    version, sizes = meta[at], meta[at + 4 : at + 6].hex()
    at += 6

    def number(length: int) -> int:
        nonlocal at
        at += length
        return int.from_bytes(meta[at - length : at], "big")

    offset_bytes, length_bytes, base_bytes, index_bytes = (int(digit, 16) for digit in sizes)
    if not length_bytes:  # each part is the whole file
        return
    wide = 4 if version == 2 else 2
    for _ in range(number(wide)):
        item = number(wide)
        is_in_file = not version or number(2) & 15 == 0
        number(2)
        base = number(base_bytes)
        for _ in range(number(2)):
            number(index_bytes if version else 0)
            start, length = base + number(offset_bytes), number(length_bytes)
            if at > len(meta):
                return
            if item in coded and is_in_file:
                yield start, length
