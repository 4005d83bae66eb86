"""PNG: chunks for the header and the metadata, imagecodecs for the samples.

Pillow opens a 16-bit RGB file as 8-bit without a word, and keeps the metadata only of what it decodes itself. So the
chunks are read and written here, for all depths alike.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import imagecodecs

from lumen.imaging.exif import without_prefix
from lumen.imaging.picture import Metadata, Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_XMP_KEY = b"XML:com.adobe.xmp"
_INCH = 0.0254  # metres
_MAX_TEXT = 1 << 26  # bytes after decompression, against chunks made to burst
_MAX_CHUNK = 1 << 26
_READ = {b"IHDR", b"iCCP", b"eXIf", b"pHYs", b"iTXt", b"acTL"}
_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_AFTER_HEADER = len(SIGNATURE) + 25  # signature and IHDR
# Half the time of the usual level 6 for files a few percent larger.
_LEVEL = 4


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the chunks say: size in pixels, bits per sample, number of frames, metadata."""

    width: int
    height: int
    depth: int
    frames: int
    metadata: Metadata


def read_header(stream: BinaryIO) -> Header:
    """Read all chunks but the samples, up to and including the end mark.

    Raises:
        ValueError: A chunk is malformed, or the file ends before its end mark.
    """
    size, frames, exif, icc, xmp, dpi = None, 1, None, None, None, None
    for kind, data in _chunks(stream):
        if kind == b"IHDR":
            size = struct.unpack_from(">IIB", data)
        elif kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data)
        elif kind == b"eXIf":
            exif = without_prefix(data)
        elif kind == b"iCCP":
            icc = _profile(data)
        elif kind == b"pHYs":
            dpi = _resolution(data)
        elif kind == b"iTXt":
            xmp = _packet(data) or xmp
    if size is None:
        raise ValueError("no IHDR chunk")
    width, height, depth = size
    metadata = Metadata(exif=exif, icc=icc, xmp=xmp, dpi=dpi)
    return Header(width=width, height=height, depth=depth, frames=frames, metadata=metadata)


def decode_deep(stream: BinaryIO, header: Header) -> Picture:
    """Decode a 16-bit file at full depth.

    Raises:
        RuntimeError: The samples are damaged (imagecodecs' own error derives from it).
    """
    stream.seek(0)
    return Picture.from_channels(imagecodecs.png_decode(stream.read()), kind="png", metadata=header.metadata)


def only_pixels(stream: BinaryIO) -> BinaryIO:
    """Return the file without the chunks that do not decide its pixels."""
    stream.seek(len(SIGNATURE))
    parts = [SIGNATURE]
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in _PIXELS:
            parts += [head, stream.read(length + 4)]
        else:
            stream.seek(length + 4, 1)
    return BytesIO(b"".join(parts))


def encode(picture: Picture) -> bytes:
    """Return the picture as a PNG file, 8 or 16 bit, with all its metadata."""
    plain = bytes(imagecodecs.png_encode(picture.to_channels(), level=_LEVEL))
    return b"".join([plain[:_AFTER_HEADER], _metadata_chunks(picture.metadata), memoryview(plain)[_AFTER_HEADER:]])


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, data) of the chunks worth reading; jump over the others."""
    stream.seek(len(SIGNATURE))
    while True:
        head = stream.read(8)
        if len(head) < 8:
            raise ValueError("the file ends before its end mark")
        length, kind = struct.unpack(">I4s", head)
        if kind in _READ and length <= _MAX_CHUNK:
            data = stream.read(length + 4)
            if len(data) == length + 4:
                yield kind, data[:-4]
        else:
            stream.seek(length + 4, 1)
            if kind == b"IEND":
                # Seeking goes beyond the end without complaint: the last checksum must really be there.
                stream.seek(-4, 1)
                if len(stream.read(4)) < 4:
                    raise ValueError("the file ends within its end mark")
                return


def _profile(data: bytes) -> bytes | None:
    _, _, packed = data.partition(b"\0")
    return _inflate(packed[1:])


def _packet(data: bytes) -> bytes | None:
    key, _, rest = data.partition(b"\0")
    if key != _XMP_KEY or len(rest) < 4:
        return None
    # compressed?, method, language, 0, translated key, 0, text
    text = rest[2:].split(b"\0", 2)[-1]
    return _inflate(text) if rest[0] else text


def _inflate(packed: bytes) -> bytes | None:
    """Unpack a text; None when damaged, as metadata never costs a picture."""
    try:
        return zlib.decompressobj().decompress(packed, _MAX_TEXT) or None
    except zlib.error:
        return None


def _resolution(data: bytes) -> tuple[float, float] | None:
    x, y, unit = struct.unpack_from(">IIB", data)
    return (x * _INCH, y * _INCH) if unit == 1 and x and y else None


def _metadata_chunks(metadata: Metadata) -> bytes:
    chunks = []
    if metadata.icc:
        chunks.append(_chunk(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        x, y = (min(max(math.floor(d / _INCH + 0.5), 1), 2**31 - 1) for d in metadata.dpi)
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    if metadata.exif:
        chunks.append(_chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(_chunk(b"iTXt", _XMP_KEY + b"\0\0\0\0\0" + metadata.xmp))
    return b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
