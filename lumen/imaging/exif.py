"""EXIF blocks: reading the orientation, dropping the thumbnail, moving them into and out of TIFF files.

An EXIF block is a small TIFF file: a header, then directories (IFDs) of 12-byte entries, whose larger values lie at
offsets from the header. JPEG, PNG and WebP carry the block as it is. A TIFF file *is* such a structure, so its tags are
collected into a block on reading, and a block is spread over the file on writing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Literal

ORIENTATION = 0x0112
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
XMP, ICC = 700, 34675
# What a TIFF file's own directory says about the picture rather than about its storage: description, make, model,
# orientation, software, date, artist, host, rating, copyright and the five XP... texts.
DESCRIPTIVE = frozenset([270, 271, 272, 274, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096)])

ByteOrder = Literal["<", ">"]

_PREFIX = b"Exif\0\0"
_MARKS = (b"II*\0", b"MM\0*")
_STRIPS, _THUMBNAIL, _THUMBNAIL_BYTES = 0x0111, 0x0201, 0x0202
_POINTERS = (EXIF_IFD, GPS_IFD, INTEROP_IFD)
_SHORT, _LONG = 3, 4
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MAX_VALUE = 1 << 26


@dataclass(frozen=True)
class Entry:
    """One tag: its TIFF type, number of values, and their bytes as stored, or the directory it points to."""

    kind: int
    count: int
    value: bytes | Directory


Directory = dict[int, Entry]


@dataclass(frozen=True)
class _Layout:
    """Byte order, and how wide a TIFF file's fields are (BigTIFF doubles them)."""

    order: ByteOrder
    big: bool

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))

    @property
    def offset(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "I"))


def without_prefix(exif: bytes | None) -> bytes | None:
    """Return the block from its byte-order mark on; None for an empty one."""
    return exif.removeprefix(_PREFIX) or None if exif else None


def with_prefix(exif: bytes) -> bytes:
    """Return the block as a JPEG segment holds it."""
    return _PREFIX + exif


def byte_order(exif: bytes) -> ByteOrder:
    """Return `<` or `>`, as `struct` and numpy write byte orders."""
    return ">" if exif[:2] == b"MM" else "<"


def orientation(exif: bytes | None) -> int:
    """Return the EXIF orientation, 1 to 8; 1 when absent or malformed."""
    found = _orientation_at(exif)
    if exif is None or found is None:
        return 1
    (value,) = struct.unpack_from(byte_order(exif) + "H", exif, found)
    return value if 1 <= value <= 8 else 1


def without_thumbnail(exif: bytes | None) -> bytes | None:
    """Return the block without its thumbnail, for pixels that changed; as it is when there is none or it is malformed.

    The link to the thumbnail's directory (IFD1) is cleared, and its JPEG data are cut off where they end the block, as
    they mostly do. Nothing else moves, as maker notes may hold offsets into the block.
    """
    try:
        if not exif or exif[:4] not in _MARKS:
            return exif
        order = byte_order(exif)
        link = _link_at(exif, order)
        (second,) = struct.unpack_from(order + "I", exif, link)
        if not second:
            return exif
        found = {tag: struct.unpack_from(order + "I", exif, at)[0] for tag, _, _, at in _entries(exif, order, second)}
    except struct.error:
        return exif
    if not found.keys() & {_THUMBNAIL, _STRIPS}:  # what stands there is no link: some writers leave it out
        return exif
    start, size = found.get(_THUMBNAIL, 0), found.get(_THUMBNAIL_BYTES, 0)
    last = start > link and exif[start : start + 2] == b"\xff\xd8" and len(exif) - 1 <= start + size <= len(exif)
    return exif[:link] + b"\0\0\0\0" + exif[link + 4 : start if last else None]


def orientation_only(value: int) -> bytes | None:
    """Return the smallest block that keeps a picture displayed as it was; None for the upright orientation."""
    if value == 1:
        return None
    return build_block({ORIENTATION: Entry(_SHORT, 1, struct.pack("<H", value))}, "<")


def read_directory(stream: BinaryIO, wanted: frozenset[int] | None = None) -> Directory:
    """Read the first directory of a TIFF file or EXIF block, and the EXIF and GPS directories below it.

    Args:
        stream: Seekable; its start is the byte-order mark. Values are returned in the file's own byte order.
        wanted: Tags to return, besides pointers to directories; None returns all.

    Raises:
        ValueError: The structure is malformed.
        EOFError: A part of it lies beyond the end.
    """
    stream.seek(0)
    head = stream.read(16).ljust(16, b"\0")
    layout = _Layout(byte_order(head), head[2:4] in (b"+\0", b"\0+"))
    (first,) = layout.offset.unpack_from(head, 8 if layout.big else 4)
    return _read(stream, layout, first, wanted, frozenset())


def parse_block(exif: bytes) -> Directory:
    """Read all of an EXIF block; raises as `read_directory` does."""
    return read_directory(BytesIO(exif))


def build_block(directory: Directory, order: ByteOrder) -> bytes:
    """Return an EXIF block of one directory whose values are in byte order `order`."""
    header = struct.pack(order + "2sHI", b"MM" if order == ">" else b"II", 42, 8)
    return header + build_directory(directory, order, 8)


def build_directory(directory: Directory, order: ByteOrder, base: int) -> bytes:
    """Return a directory with all it points to, for the (even) offset `base` in a classic TIFF file."""
    entries, tail = [], b""
    tail_at = base + 2 + 12 * len(directory) + 4
    for tag, entry in sorted(directory.items()):
        kind, count, value = entry.kind, entry.count, entry.value
        if isinstance(value, dict):
            kind, count, at = _LONG, 1, tail_at + len(tail)
            tail += build_directory(value, order, at)
            value = struct.pack(order + "I", at)
        elif len(value) > 4:
            at = tail_at + len(tail)
            tail += value + b"\0" * (len(value) % 2)
            value = struct.pack(order + "I", at)
        entries.append(struct.pack(order + "HHI4s", tag, kind, count, value))
    return struct.pack(order + "H", len(entries)) + b"".join(entries) + b"\0\0\0\0" + tail


def _read(
    stream: BinaryIO, layout: _Layout, at: int, wanted: frozenset[int] | None, parents: frozenset[int]
) -> Directory:
    if at in parents:
        raise ValueError("its directories form a loop")
    (count,) = layout.count.unpack(_bytes_at(stream, at, layout.count.size))
    if count > 4096:
        raise ValueError(f"a directory claims {count} entries")
    table = _bytes_at(stream, at + layout.count.size, layout.entry.size * count)
    directory: Directory = {}
    for tag, kind, length, inline in layout.entry.iter_unpack(table):
        if tag in _POINTERS:
            (below,) = struct.unpack_from(layout.order + ("Q" if kind in (16, 18) else "I"), inline)
            directory[tag] = Entry(_LONG, 1, _read(stream, layout, below, None, parents | {at}))
        elif wanted is None or tag in wanted:
            directory[tag] = Entry(kind, length, _value(stream, layout, kind, length, inline))
        elif (size := _SIZES.get(kind, 0) * length) > len(inline):
            # Not needed here, but its absence tells that the file was cut off.
            _bytes_at(stream, layout.offset.unpack(inline)[0] + size - 1, 1)
    return directory


def _value(stream: BinaryIO, layout: _Layout, kind: int, length: int, inline: bytes) -> bytes:
    size = _SIZES.get(kind, 0) * length
    if not size or size > _MAX_VALUE:
        raise ValueError(f"a tag has type {kind} and {length} values")
    if size <= len(inline):
        return inline[:size]
    return _bytes_at(stream, layout.offset.unpack(inline)[0], size)


def _bytes_at(stream: BinaryIO, at: int, size: int) -> bytes:
    stream.seek(at)
    value = stream.read(size)
    if len(value) < size:
        raise EOFError("a tag lies beyond the end")
    return value


def _orientation_at(exif: bytes | None) -> int | None:
    """Return where the orientation's value lies in the block; None when absent or malformed."""
    try:
        if not exif or exif[:4] not in _MARKS:
            return None
        order = byte_order(exif)
        (first,) = struct.unpack_from(order + "I", exif, 4)
        for *entry, at in _entries(exif, order, first):
            if entry == [ORIENTATION, _SHORT, 1]:
                struct.unpack_from(order + "H", exif, at)
                return at
    except struct.error:
        return None
    return None


def _entries(exif: bytes, order: ByteOrder, directory: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (tag, type, number of values, where the value or its offset lies) of one directory of a block."""
    (count,) = struct.unpack_from(order + "H", exif, directory)
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", exif, at)
        yield tag, kind, length, at + 8


def _link_at(exif: bytes, order: ByteOrder) -> int:
    """Return where the first directory's offset of the second one lies."""
    (first,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, first)
    return int(first) + 2 + 12 * int(count)
