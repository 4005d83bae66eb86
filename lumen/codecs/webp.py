"""WebP: chunks for the header and the metadata, imagecodecs for reading, Pillow for writing.

Pillow applies its own size limit first, and does not tell lossless from lossy files. So chunks are read by hand on
purpose: metadata byte for byte, and limits before decoding.

Reference:
    RFC 9649, "WebP Image Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import WebPImagePlugin

from lumen.codecs.exif import without_prefix
from lumen.codecs.interface import Decoding, Encoding
from lumen.codecs.pillow_codecs import save
from lumen.imaging.picture import Metadata, Picture, Samples, check_size, first_of

_PICTURES = (b"VP8 ", b"VP8L", b"ANMF")
_MAX_CHUNK = 1 << 26
_METHOD = 4  # of 6; higher ones take much longer and save little
_LOSSLESS_EFFORT = 60  # of 100


@dataclass(frozen=True, kw_only=True)
class _Header:
    """Facts from the chunks: size in pixels, number of frames, whether it is lossless, metadata."""

    width: int
    height: int
    frames: int
    lossless: bool
    metadata: Metadata


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode a file completely."""
    header = _read_header(stream)
    check_size(header.width, header.height, decoding.max_pixels)
    notes = first_of(header.frames, "an animation of {} frames", first=decoding.first_frame)
    stream.seek(0)
    samples = _first_frame(stream) if header.frames > 1 else imagecodecs.webp_decode(stream.read())
    if samples.shape[:2] != (header.height, header.width):
        raise ValueError(f"its header claims {header.width}x{header.height} pixels, but its picture has another size")
    return Picture.from_channels(samples, kind="webp", metadata=header.metadata, lossless=header.lossless, notes=notes)


def encode(picture: Picture, encoding: Encoding) -> bytes:
    """Return an 8-bit picture as a WebP file; one that came from a lossless WebP stays lossless."""
    lossless = picture.lossless and picture.format == "webp"
    quality = _LOSSLESS_EFFORT if lossless else encoding.quality
    return save(picture, "WEBP", quality=quality, method=_METHOD, lossless=lossless, exact=True)


def _first_frame(stream: BinaryIO) -> Samples:
    with WebPImagePlugin.WebPImageFile(stream) as image:
        image.load()
        return np.asarray(image)


def _read_header(stream: BinaryIO) -> _Header:
    size, found, frames, lossless = None, dict[bytes, bytes](), 0, True
    for kind, length in _chunks(stream):
        if kind == b"VP8X":
            size = _canvas(stream.read(10))
        elif kind in _PICTURES:
            frames += 1
            head = stream.read(32)
            lossless &= b"VP8L" in (kind, head[16:20])
            size = size or (_size_lossless(head) if kind == b"VP8L" else _size_lossy(head))
        elif kind in (b"ICCP", b"EXIF", b"XMP ") and 0 < length <= _MAX_CHUNK:
            found.setdefault(kind, stream.read(length))
    if size is None or not frames:
        raise ValueError("no picture in it")
    metadata = Metadata(exif=without_prefix(found.get(b"EXIF")), icc=found.get(b"ICCP"), xmp=found.get(b"XMP "))
    return _Header(width=size[0], height=size[1], frames=frames, lossless=lossless, metadata=metadata)


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield (type, length) with the stream at each chunk's data."""
    stream.seek(4)
    (size,) = struct.unpack("<I", stream.read(4))
    end = 8 + size
    if stream.seek(0, 2) < end:
        raise ValueError("the file ends before its picture does")
    at = 12
    while at + 8 <= end:
        stream.seek(at)
        kind, length = struct.unpack("<4sI", stream.read(8))
        if at + 8 + length > end:
            raise ValueError("a chunk goes beyond the end")
        yield kind, length
        at += 8 + length + length % 2


def _canvas(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1


def _size_lossy(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width & 0x3FFF, height & 0x3FFF


def _size_lossless(data: bytes) -> tuple[int, int]:
    (bits,) = struct.unpack_from("<I", data, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
