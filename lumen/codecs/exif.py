"""EXIF blocks: reading the orientation, dropping the thumbnail, moving them into and out of TIFF files.

An EXIF block is a small TIFF file: a header, then directories (IFDs) of 12-byte entries, whose larger values lie at
offsets from the header. JPEG, PNG and WebP store the block as it is. A TIFF file *is* such a structure, so its tags are
collected into a block on reading and written as tags of the file on writing.

Written by hand on purpose: blocks are kept byte for byte, and sizes are checked before anything is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Literal

from lumen.codecs import density
from lumen.imaging.picture import Pair

ORIENTATION = 0x0112
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
XMP, ICC, IPTC, PHOTOSHOP = 700, 34675, 33723, 34377
# Tags of a TIFF directory that describe the picture, not its storage: names of document and page, description, make,
# model, orientation, position on the page, software, date, artist, host, white point, primaries, rating, copyright, the
# five XP... texts, what cameras put here instead of into the EXIF directory, and the place on earth (GeoTIFF, GDAL).
_TEXTS = (269, 270, 271, 272, 274, 285, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096))
_PAGE, _COLORS = (286, 287), (318, 319)
_EXPOSURE = (33434, 33437, *range(34850, 34853), *range(34854, 34867), 36867, 36868, *range(37377, 37387))
_PLACE = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50844)
DESCRIPTIVE = frozenset([*_TEXTS, *_PAGE, *_COLORS, *_EXPOSURE, *_PLACE])
PER_INCH = {2: 1.0, 3: 2.54}  # resolution units: inch, centimetre

ByteOrder = Literal["<", ">"]

_PREFIX = b"Exif\0\0"
_MARKS = (b"II*\0", b"MM\0*")
_STRIPS, _THUMBNAIL, _THUMBNAIL_BYTES = 0x0111, 0x0201, 0x0202
_RESOLUTIONS, _UNIT = (0x011A, 0x011B), 0x0128
_POINTERS = (EXIF_IFD, GPS_IFD, INTEROP_IFD)
_SHORT, _LONG = 3, 4
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MAX_VALUE, _MAX_VALUES = 1 << 26, 1 << 27  # bytes of one tag, and of all tags, which may share one place
_MOST_ENTRIES, _DEEPEST = 4096, 8


@dataclass(frozen=True)
class Entry:
    """One tag: its TIFF type, number of values, and their bytes as stored, or the directory it points to."""

    kind: int
    count: int
    value: bytes | Directory


Directory = dict[int, Entry]


def without_prefix(exif: bytes | None) -> bytes | None:
    """Return the block without its `Exif` prefix, or None if it is empty."""
    return exif.removeprefix(_PREFIX) or None if exif else None


def with_prefix(exif: bytes) -> bytes:
    """Return the block with the `Exif` prefix of a JPEG segment."""
    return _PREFIX + exif


def byte_order(exif: bytes) -> ByteOrder:
    """Return the byte order as `<` or `>`, in the notation of `struct` and numpy."""
    return ">" if exif[:2] == b"MM" else "<"


def orientation(exif: bytes | None) -> int:
    """Return the EXIF orientation, 1 to 8, or 1 if absent or malformed."""
    found = _orientation_at(exif)
    if exif is None or found is None:
        return 1
    (value,) = struct.unpack_from(byte_order(exif) + "H", exif, found)
    return value if 1 <= value <= 8 else 1


def upright(exif: bytes | None) -> bytes | None:
    """Return the block with orientation 1, for pixels that were turned; unchanged if it has no orientation."""
    found = _orientation_at(exif)
    if exif is None or found is None:
        return exif
    return exif[:found] + struct.pack(byte_order(exif) + "H", 1) + exif[found + 2 :]


def resolution(exif: bytes | None) -> tuple[Pair | None, Pair | None]:
    """Return `dpi` and `aspect` as in `Metadata`; both are None if nothing is told, or if it is malformed."""
    try:
        found, order = parse_block(exif or b""), byte_order(exif or b"")
        unit = struct.unpack_from(order + "H", _bytes_of(found, _UNIT) or struct.pack(order + "H", 2))[0]
        x, y = (struct.unpack(order + "II", _bytes_of(found, tag)) for tag in _RESOLUTIONS)
        return density.told((x[0] / x[1], y[0] / y[1]), PER_INCH.get(unit))
    except (ValueError, EOFError, struct.error, ArithmeticError):
        return None, None


def is_sound(exif: bytes) -> bool:
    """Return whether a block can be read completely: header, directories, and the values they point to."""
    try:
        parse_block(exif)
    except (ValueError, EOFError):
        return False
    return exif[:4] in _MARKS


def without_thumbnail(exif: bytes | None) -> bytes | None:
    """Return the block without its thumbnail, for pixels that changed; unchanged if it has none or is malformed.

    The link to the thumbnail's directory (IFD1) is cleared, and its JPEG data are cut off if they end the block, as
    they usually do. Nothing else moves, because maker notes may hold offsets into the block.
    """
    try:
        if not exif or exif[:4] not in _MARKS:
            return exif
        order = byte_order(exif)
        (first,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, first)
        link = first + 2 + 12 * count
        (second,) = struct.unpack_from(order + "I", exif, link)
        if not second:
            return exif
        found = {tag: struct.unpack_from(order + "I", exif, at)[0] for tag, _, _, at in _entries(exif, order, second)}
    except struct.error:
        return exif
    if not found.keys() & {_THUMBNAIL, _STRIPS}:  # not a link: some writers leave it out
        return exif
    start, size = found.get(_THUMBNAIL, 0), found.get(_THUMBNAIL_BYTES, 0)
    last = start > link and exif[start : start + 2] == b"\xff\xd8" and len(exif) - 1 <= start + size <= len(exif)
    return exif[:link] + b"\0\0\0\0" + exif[link + 4 : start if last else None]


def orientation_only(value: int, order: ByteOrder = "<") -> bytes | None:
    """Return the smallest block with an orientation, or None for the upright one."""
    if value == 1:
        return None
    return build_block({ORIENTATION: Entry(_SHORT, 1, struct.pack(order + "H", value))}, order)


def read_directory(stream: BinaryIO, wanted: frozenset[int] | None = None, *, lenient: bool = False) -> Directory:
    """Read the first directory of a TIFF file or EXIF block, and the EXIF and GPS directories below it.

    Args:
        stream: Seekable, starting with the byte-order mark. Values are returned in the file's own byte order.
        wanted: Tags to return, besides pointers to directories; None returns all.
        lenient: Leave out malformed tags and tags that point to a malformed directory.

    Raises:
        ValueError: The structure is malformed.
        EOFError: A part of it lies beyond the end.
    """
    reader = _Reader(stream, lenient)
    return reader.directory(reader.first, wanted)


def picture_tags(directory: Directory) -> Directory:
    """Return the tags that describe the picture, without those about storage."""
    kept = DESCRIPTIVE | {EXIF_IFD, GPS_IFD}
    return {tag: entry for tag, entry in directory.items() if tag in kept}


def parse_block(exif: bytes) -> Directory:
    """Read a whole EXIF block; raises the errors of `read_directory`."""
    return read_directory(BytesIO(exif))


def build_block(directory: Directory, order: ByteOrder) -> bytes:
    """Return an EXIF block with one directory; its values must be in byte order `order`."""
    header = struct.pack(order + "2sHI", b"MM" if order == ">" else b"II", 42, 8)
    return header + build_directory(directory, order, 8)


def build_directory(directory: Directory, order: ByteOrder, base: int) -> bytes:
    """Return a directory and everything it points to, for the (even) offset `base` in a classic TIFF file."""
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


class _Reader:
    """Reads directories, each offset once and within limits, because damaged files may claim anything."""

    def __init__(self, stream: BinaryIO, lenient: bool) -> None:
        stream.seek(0)
        head = stream.read(16).ljust(16, b"\0")
        self._stream, self._lenient = stream, lenient
        self._order, self._big = byte_order(head), head[2:4] in (b"+\0", b"\0+")
        fields = ("Q", "HHQ8s", "Q") if self._big else ("H", "HHI4s", "I")  # BigTIFF doubles the widths
        self._count, self._entry, self._offset = (struct.Struct(self._order + each) for each in fields)
        (self.first,) = self._offset.unpack_from(head, 8 if self._big else 4)
        self._seen: set[int] = set()
        self._left = _MAX_VALUES

    def directory(self, at: int, wanted: frozenset[int] | None, depth: int = 0) -> Directory:
        if at in self._seen or depth > _DEEPEST:
            raise ValueError("its directories form a loop, overlap or are nested too deeply")
        self._seen.add(at)
        (count,) = self._count.unpack(_bytes_at(self._stream, at, self._count.size))
        if count > _MOST_ENTRIES:
            raise ValueError(f"a directory claims {count} entries")
        table = _bytes_at(self._stream, at + self._count.size, self._entry.size * count)
        found: Directory = {}
        for tag, kind, length, inline in self._entry.iter_unpack(table):
            try:
                if tag in _POINTERS:
                    found[tag] = Entry(_LONG, 1, self.directory(self._below(kind, inline), None, depth + 1))
                elif wanted is None or tag in wanted:
                    found[tag] = Entry(kind, length, self._value(kind, length, inline))
                elif (size := _SIZES.get(kind, 0) * length) > len(inline):
                    # Not needed here, but if it is missing the file is truncated.
                    _bytes_at(self._stream, self._offset.unpack(inline)[0] + size - 1, 1)
            except ValueError:
                if not self._lenient:
                    raise
        return found

    def _below(self, kind: int, inline: bytes) -> int:
        wide = kind in (16, 18)
        if wide and not self._big:
            raise ValueError(f"a pointer to a directory has type {kind}")
        return int(struct.unpack_from(self._order + ("Q" if wide else "I"), inline)[0])

    def _value(self, kind: int, length: int, inline: bytes) -> bytes:
        size = _SIZES.get(kind, 0) * length
        if not size or size > _MAX_VALUE:
            raise ValueError(f"a tag has type {kind} and {length} values")
        if size <= len(inline):
            return inline[:size]
        self._left -= size
        if self._left < 0:
            raise ValueError("its tags claim too many values")
        return _bytes_at(self._stream, self._offset.unpack(inline)[0], size)


def _bytes_at(stream: BinaryIO, at: int, size: int) -> bytes:
    stream.seek(at)
    value = stream.read(size)
    if len(value) < size:
        raise EOFError("a tag lies beyond the end")
    return value


def _bytes_of(directory: Directory, tag: int) -> bytes:
    value = directory[tag].value if tag in directory else b""
    return value if isinstance(value, bytes) else b""


def _orientation_at(exif: bytes | None) -> int | None:
    """Return the offset of the orientation's value in the block, or None if absent or malformed."""
    try:
        if not exif or exif[:4] not in _MARKS:
            return None
        order = byte_order(exif)
        (first,) = struct.unpack_from(order + "I", exif, 4)
        for tag, kind, count, at in _entries(exif, order, first):
            if tag == ORIENTATION and kind in (_SHORT, _LONG) and count == 1:
                found = at + 2 if kind == _LONG and order == ">" else at  # the low half of a 4-byte value
                struct.unpack_from(order + "H", exif, found)
                return found
    except struct.error:
        return None
    return None


def _entries(exif: bytes, order: ByteOrder, directory: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (tag, type, number of values, offset of the value or of its pointer) of one directory of a block."""
    (count,) = struct.unpack_from(order + "H", exif, directory)
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", exif, at)
        yield tag, kind, length, at + 8
