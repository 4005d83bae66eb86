"""BMP, by Pillow, but for what it lacks: writing transparency, colour profiles, and most bit fields."""

from __future__ import annotations

import struct
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import BmpImagePlugin

from lumen.codecs import bmp_fields, density
from lumen.codecs.interface import Decoding, Encoding
from lumen.codecs.pillow_codecs import load, metadata_of, save
from lumen.errors import UnsupportedError
from lumen.imaging.picture import Metadata, Picture, check_size, first_of

_PIXELS_PER_BYTE, _PIXELS_PER_BYTE_RLE = 8, 4096

_ARRAY, _ARRAY_HEADER = b"BA", 14
_FILE_HEADER, _V4_HEADER = 14, 108
_V5_HEADER, _EMBEDDED = 124, b"DEBM"  # "MBED", little-endian
_BITFIELDS = 3
_CORE_HEADER, _FULL_HEADER, _OS2_HEADER = 12, 40, 64
_PACKINGS = {4: "JPEG inside", 5: "PNG inside", 11: "CMYK", 12: "CMYK", 13: "CMYK"}
_OTHER_DEPTHS = (2, 48, 64)
_MASKS = (0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000)  # red, green, blue, alpha
_INCHES_PER_METRE = 39.3701


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode a file completely."""
    stream, left_out = _out_of_array(stream, decoding)
    fields = bmp_fields.layout_of(stream)
    if fields is not None:
        return _by_fields(stream, decoding, fields, left_out)
    stream.seek(0)
    with _opened(stream) as image:
        most = _PIXELS_PER_BYTE_RLE if image.info.get("compression") in (1, 2) else _PIXELS_PER_BYTE
        samples, notes = load(image, stream, decoding, pixels_per_byte=most)
        metadata = replace(metadata_of(image), icc=_embedded_profile(stream))
    return Picture.from_channels(samples, kind="bmp", metadata=metadata, notes=(*left_out, *notes))


def encode(picture: Picture, _encoding: Encoding) -> bytes:
    """Return an 8-bit picture as a BMP file of 24 bits per pixel, or 32 with alpha, which its header then declares."""
    if picture.alpha is None:
        return save(picture, "BMP", dpi=picture.metadata.dpi)
    height, width = picture.height, picture.width
    rows = np.dstack([picture.pixels[..., ::-1], picture.alpha])[::-1]  # bottom row first, blue first
    start = _FILE_HEADER + _V4_HEADER
    per_metre = [round(value * _INCHES_PER_METRE) for value in picture.metadata.dpi or (0, 0)]
    header = struct.pack("<2sIHHI", b"BM", start + rows.nbytes, 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", _V4_HEADER, width, height, 1, 32, _BITFIELDS, rows.nbytes, *per_metre, 0, 0)
    header += struct.pack("<4I", *_MASKS) + b"BGRs"  # "sRGB", little-endian
    return header.ljust(start, b"\0") + rows.tobytes()


def _out_of_array(stream: BinaryIO, decoding: Decoding) -> tuple[BinaryIO, tuple[str, ...]]:
    """Return the first bitmap of an OS/2 array as a file of its own, and notes; another file as it is."""
    kinds, at = list[bytes](), 0
    while True:
        stream.seek(at)
        head = stream.read(_ARRAY_HEADER + 2)
        if len(head) < _ARRAY_HEADER + 2 or not head.startswith(_ARRAY):
            break
        kinds.append(head[_ARRAY_HEADER:])
        (after,) = struct.unpack_from("<I", head, 6)
        if after < at + _ARRAY_HEADER:  # none
            break
        at = after
    if not kinds:
        return stream, ()
    if kinds[0] != b"BM":
        raise UnsupportedError("expected an OS/2 array of bitmaps, got one of icons or pointers; save it as PNG")
    notes = first_of(len(kinds), "an OS/2 array of {} bitmaps", first=decoding.first_frame)
    stream.seek(_ARRAY_HEADER)
    head = stream.read(_FILE_HEADER).ljust(_FILE_HEADER, b"\0")
    start = max(0, int.from_bytes(head[10:], "little") - _ARRAY_HEADER)  # of the pixels, counted from the file's start
    return BytesIO(head[:10] + struct.pack("<I", start) + stream.read()), notes


def _by_fields(stream: BinaryIO, decoding: Decoding, fields: bmp_fields.Fields, notes: tuple[str, ...]) -> Picture:
    stream.seek(_FILE_HEADER + 4)
    width, height, _, _, x, y = struct.unpack("<ii4sI4xii", stream.read(28))
    if width <= 0 or not height:
        raise ValueError(f"its header claims {width}x{height} pixels")
    check_size(width, abs(height), decoding.max_pixels)
    samples = bmp_fields.decode(stream, fields, width, height)
    dpi, _ = density.told((x, y), 1 / _INCHES_PER_METRE)
    metadata = Metadata(icc=_embedded_profile(stream), dpi=dpi)
    bits = fields.deepest if fields.deepest in (10, 12) else None
    return Picture.from_channels(samples, kind="bmp", metadata=metadata, bits=bits, notes=notes)


def _opened(stream: BinaryIO) -> BmpImagePlugin.BmpImageFile:
    """Open a file, or name the kind that Pillow does not read."""
    try:
        return BmpImagePlugin.BmpImageFile(stream)
    except OSError:
        stream.seek(_FILE_HEADER)
        size, bits, packing = struct.unpack("<I10xHI", stream.read(20).ljust(20, b"\0"))
        name = _PACKINGS.get(packing, "") if size > _CORE_HEADER else ""
        if size == _OS2_HEADER and packing in (3, 4):
            name = "an OS/2 packing"
        if _CORE_HEADER < size < _FULL_HEADER:
            name = "a short OS/2 header"
        if not name and packing == 0 and bits in _OTHER_DEPTHS:
            name = f"{bits} bits a pixel"
        if name:
            raise UnsupportedError(
                f"expected a BMP of 1, 4, 8, 16, 24 or 32 bits, plain, by run lengths or bit fields, got {name}; "
                "save it as PNG"
            ) from None
        raise


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
