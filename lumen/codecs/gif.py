"""GIF, which is only read: by Pillow, but for comments, XMP and colour profile, which are read here block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from PIL import GifImagePlugin

from lumen.codecs import density
from lumen.codecs.interface import Decoding
from lumen.codecs.pillow_codecs import load
from lumen.imaging.picture import Metadata, Pair, Picture

_SHAPE = 12  # place of the shape of a pixel
_PIXELS_PER_BYTE = 8192  # LZW, and a frame may be smaller than the picture

_EXTENSION, _IMAGE = b"\x21", b"\x2c"
_COMMENT, _APPLICATION = b"\xfe", b"\xff"
_XMP, _PROFILE = b"XMP DataXMP", b"ICCRGBG1012"
_MAGIC = 257  # bytes behind an XMP packet that lead any reader of blocks to its end
_MOST_BYTES = 1 << 26  # of metadata


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode the picture, or the first frame, of a file."""
    stream.seek(0)
    with GifImagePlugin.GifImageFile(stream) as image:
        samples, notes = load(image, stream, decoding, pixels_per_byte=_PIXELS_PER_BYTE)
        metadata = replace(_metadata(stream), aspect=_aspect(stream))
        return Picture.from_channels(samples, kind="gif", metadata=metadata, notes=notes)


def _aspect(stream: BinaryIO) -> Pair | None:
    stream.seek(_SHAPE)
    shape = stream.read(1)[0]  # 64 times the width of a pixel over its height, less 15
    return density.told((64, shape + 15), None)[1] if shape else None


def _metadata(stream: BinaryIO) -> Metadata:
    """Return the comments, wherever they stand, the XMP packet and the profile: Pillow stops at the picture."""
    metadata, comments, room = Metadata(), list[bytes](), _MOST_BYTES
    for kind, parts in _extensions(stream):
        room -= sum(map(len, parts))
        if room < 0:
            break
        if kind == _COMMENT:
            comments.append(b"".join(parts))
        elif parts[:1] == [_XMP]:  # the packet stands there as it is: the lengths of its parts are characters of it
            packet = b"".join(bytes([len(part)]) + part for part in parts[1:])
            metadata = replace(metadata, xmp=packet[:-_MAGIC] or None)
        elif parts[:1] == [_PROFILE]:
            metadata = replace(metadata, icc=b"".join(parts[1:]) or None)
    return replace(metadata, comment=b"\n".join(filter(None, comments)) or None)


def _extensions(stream: BinaryIO) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield kind and parts of each comment and application block, up to the end or where the file breaks off."""
    stream.seek(10)
    _skip_colors(stream, stream.read(1), 2)
    while (mark := stream.read(1)) in (_EXTENSION, _IMAGE) and mark:
        if mark == _IMAGE:
            _skip_colors(stream, stream.read(9)[8:], 1)
            list(_parts(stream))
        else:
            kind = stream.read(1)
            parts = list(_parts(stream))
            if kind in (_COMMENT, _APPLICATION):
                yield kind, parts


def _skip_colors(stream: BinaryIO, flags: bytes, further: int) -> None:
    """Skip a colour table, if the flags announce one, and some bytes around it."""
    bits = flags[0] if flags else 0
    stream.seek(further + (3 * 2 ** ((bits & 7) + 1) if bits & 0x80 else 0), 1)


def _parts(stream: BinaryIO) -> Iterator[bytes]:
    while size := stream.read(1)[:1].strip(b"\0"):
        yield stream.read(size[0])
