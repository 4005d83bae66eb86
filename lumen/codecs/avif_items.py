"""The items of an AVIF file as libavif writes it: taken apart, and put together again.

An item is a coded picture, a grid of others, or a block of metadata. Properties describe it, and references lead from
it to others.

Reference:
    ISO/IEC 23008-12 and 14496-12, the boxes `iloc`, `iinf`, `iref` and `iprp`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

CODED, GRID = b"av01", b"grid"
_MAIN = 1  # number of the picture that programs show
_HANDLER = bytes(8) + b"pict" + bytes(13)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item.

    Attributes:
        kind: `CODED`, `GRID`, or that of a block of metadata.
        name: What follows the kind in the table of items: a name, and the type of the content.
        data: Its content.
        properties: Whole boxes, each with whether readers must understand it.
        references: Kinds of reference, each with the numbers of the items it leads to.
        is_hidden: It is not shown by itself.
    """

    kind: bytes
    name: bytes
    data: bytes
    properties: tuple[tuple[bool, bytes], ...]
    references: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    is_hidden: bool = False

    def property(self, kind: bytes) -> bytes:
        """Return the box of a kind.

        Raises:
            ValueError: There is none.
        """
        for _, box in self.properties:
            if box[4:8] == kind:
                return box
        raise ValueError(f"a coded picture has no box {kind!r}")


def items_of(data: bytes) -> dict[int, Item]:
    """Return the items of a file by their numbers.

    Raises:
        ValueError: The file is not laid out as libavif does it.
    """
    meta = boxes_of(boxes_of(data)[b"meta"][4:])
    described = boxes_of(meta[b"iprp"])
    properties = [box for _, box in each_box(described[b"ipco"])]
    kept = {number: [(strict, properties[at]) for strict, at in places] for number, places in _ipma(described[b"ipma"])}
    references = list(_iref(meta.get(b"iref", b"")))
    places = dict(_iloc(meta[b"iloc"]))
    items = {}
    for _, box in each_box(meta[b"iinf"][6:]):
        version, is_hidden, number, _, kind = struct.unpack_from(">B2x?HH4s", box, 8)
        start, size = places[number]
        if version != 2 or len(data) < start + size:
            raise ValueError("its table of items is of another kind")
        items[number] = Item(
            kind=kind,
            name=box[20:],
            data=data[start : start + size],
            properties=tuple(kept.get(number, ())),
            references=tuple((kind, to) for kind, source, to in references if source == number),
            is_hidden=is_hidden,
        )
    return items


def joined(items: Mapping[int, Item], like: bytes) -> bytes:
    """Return a file of items; its first item is the picture that programs show.

    Args:
        items: By their numbers, from 1 on.
        like: A file of the same brands.
    """
    head = _box(b"ftyp", boxes_of(like)[b"ftyp"])
    length = len(_meta(items, 0))
    media = _box(b"mdat", *(item.data for item in items.values()))
    return b"".join([head, _meta(items, len(head) + length + 8), media])


def _meta(items: Mapping[int, Item], place: int) -> bytes:
    """Return the box that describes the items, whose content starts at a place of the file."""
    boxes = list(dict.fromkeys(box for item in items.values() for _, box in item.properties))
    numbers = {box: number for number, box in enumerate(boxes, 1)}
    located, named, linked, described = [], [], [], []
    for number, item in items.items():
        located.append(struct.pack(">3H2I", number, 0, 1, place, len(item.data)))
        place += len(item.data)
        flags = (2 << 24) | item.is_hidden
        named.append(_box(b"infe", struct.pack(">IHH", flags, number, 0), item.kind, item.name))
        for kind, to in item.references:
            linked.append(_box(kind, struct.pack(f">{2 + len(to)}H", number, len(to), *to)))
        if item.properties:
            marks = bytes(strict << 7 | numbers[box] for strict, box in item.properties)
            described.append(struct.pack(">HB", number, len(marks)) + marks)
    return _box(
        b"meta",
        bytes(4),
        _box(b"hdlr", _HANDLER),
        _box(b"pitm", struct.pack(">IH", 0, _MAIN)),
        _box(b"iloc", struct.pack(">I2sH", 0, b"\x44\0", len(items)), *located),
        _box(b"iinf", struct.pack(">IH", 0, len(items)), *named),
        _box(b"iref", bytes(4), *linked) if linked else b"",
        _box(
            b"iprp",
            _box(b"ipco", *boxes),
            _box(b"ipma", struct.pack(">II", 0, len(described)), *described),
        ),
    )


def _box(kind: bytes, *parts: bytes) -> bytes:
    return b"".join([struct.pack(">I4s", 8 + sum(map(len, parts)), kind), *parts])


def each_box(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind of each box, and the box."""
    start = 0
    while start + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8:
            raise ValueError("a box has no length")
        yield kind, data[start : start + size]
        start += size


def boxes_of(data: bytes) -> dict[bytes, bytes]:
    """Return the contents of boxes by their kinds."""
    return {kind: box[8:] for kind, box in each_box(data)}


def _ipma(data: bytes) -> Iterator[tuple[int, list[tuple[bool, int]]]]:
    """Yield number and properties of each item: whether one must be understood, and its place in the list."""
    version_and_flags, count = struct.unpack_from(">II", data)
    if version_and_flags:
        raise ValueError("its table of properties is of another kind")
    at = 8
    for _ in range(count):
        number, length = struct.unpack_from(">HB", data, at)
        at += 3 + length
        yield number, [(mark > 127, (mark & 127) - 1) for mark in data[at - length : at]]


def _iref(data: bytes) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """Yield the kind of each reference, the item it belongs to, and those it leads to."""
    for kind, box in each_box(data[4:]):
        source, count = struct.unpack_from(">HH", box, 8)
        yield kind, source, struct.unpack_from(f">{count}H", box, 12)


def _iloc(data: bytes) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield number, start and length of each item."""
    version, sizes, count = struct.unpack_from(">I2sH", data)
    if version or sizes != b"\x44\0":
        raise ValueError("its table of items is of another kind")
    for at in range(8, 8 + 14 * count, 14):
        number, _, extents, start, size = struct.unpack_from(">HHHII", data, at)
        if extents != 1:
            raise ValueError("an item has several parts")
        yield number, (start, size)
