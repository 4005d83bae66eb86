"""Videos of motion photos: the still is enhanced, and its video is kept as it is where phones look for it.

A JPEG file has the video at its end, and its XMP says how many bytes it takes. HEIC and AVIF files have it in a box at
their top level, which their readers pass over.

Reference:
    Android, "Motion Photo format 1.0".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import BinaryIO, Final

from lumen.imaging.formats import Format
from lumen.imaging.picture import FILM, Extra

LEFT_OUT: Final = "the video of the motion photo was left out: the picture itself is whole"

_SAID = re.compile(rb"""(MotionPhoto|MicroVideo)(=["']|>)1""")
# How many bytes at the end of the file are the video: in the older way of saying it, and in that of the container.
_OFFSET = re.compile(rb"""MicroVideoOffset(?:=["']|>)(\d{1,10})""")
_ITEM = re.compile(rb"<[\w:]*Item\s[^<>]*>")  # one scan: files may repeat any part of a tag a million times
_MOTION = re.compile(rb"""Semantic=["']MotionPhoto["']""")
_LENGTH = re.compile(rb"""Length=["'](\d{1,10})["']""")
_BOX, _MOST_BYTES = b"mpvd", 1 << 28


def is_said(described: bytes) -> bool:
    """Return whether metadata say that there is a video."""
    return _SAID.search(described) is not None


def film_at_end(data: bytes, described: bytes) -> tuple[Extra, ...]:
    """Return the video at the end of a JPEG file, if its metadata say how long it is.

    Readers count that length from the end of the file, so the same bytes at the end of the result are found there.
    """
    item = next((each[0] for each in _ITEM.finditer(described) if _MOTION.search(each[0])), None)
    found = _LENGTH.search(item) if item else _OFFSET.search(described)
    size = int(found[1]) if found else 0
    if not is_said(described) or not 8 < size < len(data) or data[4 - size : 8 - size] != b"ftyp":
        return ()
    return (_film("jpeg", data[-size:]),)


def film_in_box(stream: BinaryIO, kind: Format) -> tuple[Extra, ...]:
    """Return the box with the video of a HEIC or AVIF file, head and all."""
    at = 0
    stream.seek(at)
    while len(head := stream.read(16)) >= 8:
        size, name = struct.unpack_from(">I4s", head)
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack_from(">Q", head, 8)
        if name == _BOX:
            stream.seek(at)
            box = stream.read(min(size, _MOST_BYTES) or _MOST_BYTES)
            whole = len(box) < _MOST_BYTES and len(box) == (size or len(box))
            return (_film(kind, box),) if whole else ()
        if size < 8:  # the box extends to the end, or is damaged
            break
        at += size
        stream.seek(at)
    return ()


def films(extras: Sequence[Extra], kind: Format) -> bytes:
    """Return what the end of a file of a format must be."""
    return b"".join(extra.data for extra in extras if extra.kind == FILM and extra.format == kind)


def _film(kind: Format, data: bytes) -> Extra:
    return Extra(format=kind, kind=FILM, data=data, label="video of the motion photo")
