"""PNG: chunks for header and metadata, imagecodecs for the samples, and Pillow for reading 8 bits.

Pillow silently opens a 16-bit RGB file as 8-bit, and keeps metadata only of files that it decodes itself. So chunks are
read and written here for all depths, by hand on purpose: kept byte for byte, with limits checked before decoding.
"""

from __future__ import annotations

import logging
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import PngImagePlugin

from lumen.codecs import density
from lumen.codecs.exif import without_prefix
from lumen.codecs.interface import Decoding, Encoding
from lumen.codecs.pillow_codecs import load
from lumen.color.icc import refuse_hdr
from lumen.errors import UnsupportedError
from lumen.imaging.formats import CODECS
from lumen.imaging.picture import Extra, Metadata, Pair, Picture, check_size, first_of, too_short

# What it logs is raised here as an error or does not matter; without a handler Python would print it.
logging.getLogger("imagecodecs").addHandler(logging.NullHandler())

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_XMP_KEY = b"XML:com.adobe.xmp"
_INCH = 0.0254  # metres
_MOST_DENSITY = 2**31 - 1
_MAX_TEXT = 1 << 26  # bytes after decompression, against decompression bombs
_MAX_CHUNK = 1 << 26
_READ = {b"IHDR", b"iCCP", b"eXIf", b"pHYs", b"acTL"}
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_COLORS = {b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"}  # must precede the samples
_LABELS = dict.fromkeys(_TEXTS, "text") | dict.fromkeys(_COLORS, "colour description")
_MAX_EXTRAS = 1 << 27  # bytes of all chunks that are kept; each counts as at least _CHUNK_BYTES
_CHUNK_BYTES = 256
_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}  # what the pixels depend on
_AFTER_HEADER = len(_SIGNATURE) + 25  # signature and IHDR
# Half the time of the usual level 6 for files a few percent larger.
_LEVEL = 4
_MAX_RATIO = 1100  # deflate packs at most 1032 bytes into one
_PIXELS_PER_BYTE = 8 * _MAX_RATIO
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of each colour type
_MOST_SIDE = CODECS["png"].side_px or math.inf


@dataclass(frozen=True, kw_only=True)
class _Header:
    """Facts from the chunks: width, height, bits per sample and colour type; bytes of packed samples; and the rest."""

    size: tuple[int, int, int, int]
    packed: int
    frames: int
    metadata: Metadata
    notes: tuple[str, ...]


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode a file completely, at full depth."""
    header = _read_header(stream)
    width, height, depth, color = header.size
    check_size(width, height, decoding.max_pixels)
    if height * ((width * _CHANNELS.get(color, 4) * depth + 7) // 8 + 1) > header.packed * _MAX_RATIO:
        raise ValueError(too_short(width, height))
    notes = (*first_of(header.frames, "an animation of {} frames", first=decoding.first_frame), *header.notes)
    if depth == 16:
        if max(width, height) > _MOST_SIDE:  # libpng would call the file damaged
            raise UnsupportedError(
                f"expected a 16-bit PNG of at most {_MOST_SIDE} pixels a side, got {width}x{height}; save it as TIFF"
            )
        stream.seek(0)
        samples = imagecodecs.png_decode(stream.read())
    else:
        samples = _shallow(stream, decoding)
    return Picture.from_channels(samples, kind="png", metadata=header.metadata, notes=notes)


def encode(picture: Picture, _encoding: Encoding) -> bytes:
    """Return the picture as a PNG file, 8 or 16 bit, with all its metadata."""
    plain = bytes(imagecodecs.png_encode(picture.to_channels(), level=_LEVEL))
    return b"".join([plain[:_AFTER_HEADER], _metadata_chunks(picture.metadata), memoryview(plain)[_AFTER_HEADER:]])


def _read_header(stream: BinaryIO) -> _Header:
    """Read all chunks except the samples, up to and including the end mark."""
    size, frames, packed, found, extras, notes = None, 1, 0, dict[bytes, bytes](), list[Extra](), list[str]()
    room = _MAX_EXTRAS
    for kind, data in _chunks(stream):
        if kind == b"IHDR":
            size = struct.unpack_from(">IIBB", data)
        elif kind == b"IDAT":
            packed += int.from_bytes(data, "big")
        elif kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data)
        elif kind == b"iTXt" and (packet := _packet(data)):
            found[kind] = packet
        elif kind in _READ:
            found[kind] = data
        elif (room := room - len(data) - _CHUNK_BYTES) >= 0:
            extras.append(Extra(format="png", kind=kind, data=data, label=_LABELS.get(kind, "private data")))
    if size is None:
        raise ValueError("no IHDR chunk")
    profile = _inflate(found[b"iCCP"].partition(b"\0")[2][1:]) if b"iCCP" in found else None
    if b"iCCP" in found and not profile:
        notes.append("the colour profile was left out: it is damaged; other programs show the input as sRGB, too")
    for code in (extra.data for extra in extras if extra.kind == b"cICP"):
        refuse_hdr(code[1] if len(code) == 4 else 2)
    if room < 0:
        notes.append("some texts were left out: together they are too long; the picture looks the same")
    dpi, aspect = _resolution(found.get(b"pHYs", b""))
    metadata = Metadata(
        exif=without_prefix(found.get(b"eXIf")),
        icc=profile,
        xmp=found.get(b"iTXt"),
        dpi=dpi,
        aspect=aspect,
        extras=tuple(extras),
    )
    return _Header(size=size, packed=packed, frames=frames, metadata=metadata, notes=tuple(notes))


def _shallow(stream: BinaryIO, decoding: Decoding) -> npt.NDArray[np.uint8]:
    """Return the samples of a file of at most 8 bits, or of its first frame."""
    try:
        return _by_pillow(stream, decoding)
    except (ValueError, SyntaxError):
        # Pillow refuses profiles and texts above 1 MB, and damaged ones. Metadata must never lose a picture.
        parts = [_SIGNATURE]
        for kind, length in _walk(stream):
            if kind in _PIXELS:
                parts += [struct.pack(">I4s", length, kind), stream.read(length + 4)]
        return _by_pillow(BytesIO(b"".join(parts)), decoding)


def _by_pillow(stream: BinaryIO, decoding: Decoding) -> npt.NDArray[np.uint8]:
    stream.seek(0)
    with PngImagePlugin.PngImageFile(stream) as image:
        return load(image, stream, replace(decoding, first_frame=True), pixels_per_byte=_PIXELS_PER_BYTE)[0]


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, data) of the chunks worth reading, and (type, length as 4 bytes) of the samples."""
    for kind, length in _walk(stream):
        if kind == b"IDAT":
            yield kind, length.to_bytes(4, "big")
        elif kind == b"IEND":
            stream.seek(length, 1)  # seeking goes past the end silently, so read the last checksum
            if len(stream.read(4)) < 4:
                raise ValueError("the file ends within its end mark")
            return
        elif length <= _MAX_CHUNK and (kind in _READ or _is_kept(kind)):
            data = stream.read(length + 4)
            if len(data) == length + 4:
                yield kind, data[:-4]
    raise ValueError("the file ends before its end mark")


def _walk(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield (type, length) of each chunk, with the stream at its data."""
    at = len(_SIGNATURE)
    stream.seek(at)
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        yield kind, length
        at += length + 12
        stream.seek(at)


def _is_kept(kind: bytes) -> bool:
    """Return whether a chunk is kept: texts, colours, and chunks whose name declares them safe to copy."""
    return kind in _LABELS or (kind.isalpha() and kind[:1].islower() and kind[3:].islower())


def _packet(data: bytes) -> bytes | None:
    key, _, rest = data.partition(b"\0")
    if key != _XMP_KEY or len(rest) < 4:
        return None
    # compression flag, method, language, 0, translated key, 0, text
    text = rest[2:].split(b"\0", 2)[-1]
    return _inflate(text) if rest[0] else text


def _inflate(packed: bytes) -> bytes | None:
    """Return the unpacked text, or None if damaged, because metadata must never lose a picture."""
    try:
        return zlib.decompressobj().decompress(packed, _MAX_TEXT) or None
    except zlib.error:
        return None


def _resolution(data: bytes) -> tuple[Pair | None, Pair | None]:
    """Return `dpi` and `aspect` as in `Metadata`."""
    if len(data) < 9:
        return None, None
    x, y, unit = struct.unpack_from(">IIB", data)
    return density.told((x, y), _INCH if unit == 1 else None)


def _metadata_chunks(metadata: Metadata) -> bytes:
    chunks = [_chunk(extra.kind, extra.data) for extra in metadata.extras if extra.format == "png"]
    if metadata.icc:
        # The sRGB chunk must not occur beside a profile.
        chunks = [chunk for chunk in chunks if chunk[4:8] != b"sRGB"]
        chunks.append(_chunk(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        x, y = (min(max(math.floor(d / _INCH + 0.5), 1), _MOST_DENSITY) for d in metadata.dpi)
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    elif metadata.aspect:
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", *density.whole(metadata.aspect, _MOST_DENSITY), 0)))
    if metadata.exif:
        chunks.append(_chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(_chunk(b"iTXt", _XMP_KEY + b"\0\0\0\0\0" + metadata.xmp))
    if metadata.comment:
        text = metadata.comment.replace(b"\0", b"")
        try:
            metadata.comment.decode()
            chunks.append(_chunk(b"iTXt", b"Comment\0\0\0\0\0" + text))
        except UnicodeDecodeError:  # the comment of a JPEG or GIF may be in any encoding
            chunks.append(_chunk(b"tEXt", b"Comment\0" + text))
    return b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
