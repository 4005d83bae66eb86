"""BMP, by Pillow, except for transparency, which it cannot write, and colour profiles, which it ignores."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from PIL import BmpImagePlugin

from lumen.codecs.interface import Decoding, Encoding
from lumen.codecs.pillow_codecs import load, metadata_of, save
from lumen.imaging.picture import Picture

_PIXELS_PER_BYTE, _PIXELS_PER_BYTE_RLE = 8, 4096

_FILE_HEADER, _V4_HEADER = 14, 108
_V5_HEADER, _EMBEDDED = 124, b"DEBM"  # "MBED", little-endian
_BITFIELDS = 3
_MASKS = (0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000)  # red, green, blue, alpha
_INCHES_PER_METRE = 39.3701


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode a file completely."""
    stream.seek(0)
    with BmpImagePlugin.BmpImageFile(stream) as image:
        most = _PIXELS_PER_BYTE_RLE if image.info.get("compression") in (1, 2) else _PIXELS_PER_BYTE
        samples, notes = load(image, stream, decoding, pixels_per_byte=most)
        metadata = replace(metadata_of(image), icc=_embedded_profile(stream))
    return Picture.from_channels(samples, kind="bmp", metadata=metadata, notes=notes)


def encode(picture: Picture, _encoding: Encoding) -> bytes:
    """Return an 8-bit picture as a BMP file of 24 bits per pixel, or 32 with alpha."""
    if picture.alpha is not None:
        return _encode_with_alpha(picture)
    return save(picture, "BMP", dpi=picture.metadata.dpi)


def _encode_with_alpha(picture: Picture) -> bytes:
    """Return an 8-bit picture with alpha as a 32-bit file whose header (version 4) declares the alpha."""
    height, width = picture.height, picture.width
    rows = np.empty((height, width, 4), np.uint8)
    rows[..., :3] = picture.pixels[::-1, :, ::-1]  # bottom row first, blue first
    rows[..., 3] = 255 if picture.alpha is None else picture.alpha[::-1]
    start = _FILE_HEADER + _V4_HEADER
    per_metre = [round(value * _INCHES_PER_METRE) for value in picture.metadata.dpi or (0, 0)]
    header = struct.pack("<2sIHHI", b"BM", start + rows.nbytes, 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", _V4_HEADER, width, height, 1, 32, _BITFIELDS, rows.nbytes, *per_metre, 0, 0)
    header += struct.pack("<4I", *_MASKS) + b"BGRs"  # "sRGB", little-endian
    return header.ljust(start, b"\0") + rows.tobytes()


def _embedded_profile(stream: BinaryIO) -> bytes | None:
    """Return the colour profile embedded in a file with a version 5 header, or None."""
    stream.seek(0)
    header = stream.read(_FILE_HEADER + _V5_HEADER)
    if len(header) < _FILE_HEADER + _V5_HEADER or struct.unpack_from("<I", header, _FILE_HEADER)[0] < _V5_HEADER:
        return None
    start, size = struct.unpack_from("<II", header, _FILE_HEADER + 112)
    if header[_FILE_HEADER + 56 : _FILE_HEADER + 60] != _EMBEDDED:
        return None
    stream.seek(_FILE_HEADER + start)
    return stream.read(size) or None
