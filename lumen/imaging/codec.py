"""Pictures from files and into files.

A picture comes back as it went in: depth, channels, EXIF with its orientation, ICC profile, XMP and resolution. Pixels
and orientation tag are never both changed. What cannot be read or stored is refused with a reason; what is merely lost
on the way (metadata a format cannot hold) is told as a warning.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.errors import DecodeError, EncodeError, UnsupportedError
from lumen.imaging import exif, png, raster, tiff
from lumen.imaging.atomic import TEMP_SUFFIX, write_atomically
from lumen.imaging.picture import Format, Metadata, Picture, check_size

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "TEMP_SUFFIX",
    "Format",
    "Metadata",
    "Picture",
    "displayed_8bit",
    "encode_picture",
    "read_picture",
    "write_picture",
]

MAX_PIXELS = 512_000_000

SUFFIXES: Final[Mapping[str, Format]] = MappingProxyType(
    {
        ".jpg": "jpeg",
        ".jpeg": "jpeg",
        ".jpe": "jpeg",
        ".jfif": "jpeg",
        ".png": "png",
        ".webp": "webp",
        ".tif": "tiff",
        ".tiff": "tiff",
        ".bmp": "bmp",
    }
)
"""Lower-case suffixes of the files that folders are searched for, and the format written under each."""

# What decoders raise at damaged files. MemoryError and errors of our own are not among them.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AssertionError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
)

# Kinds people may well have, told apart from rubbish so that the message can help: (offset, first bytes, what it is).
_FOREIGN = (
    (0, b"GIF8", "GIF; save it as PNG"),
    (0, b"8BPS", "Photoshop; save it as a 16-bit TIFF"),
    (4, b"ftypheic", "HEIF; save it as JPEG"),
    (4, b"ftypheix", "HEIF; save it as JPEG"),
    (4, b"ftypmif1", "HEIF; save it as JPEG"),
    (4, b"ftypavif", "AVIF; save it as PNG"),
    (4, b"ftypcrx", "camera raw data; export it as a 16-bit TIFF"),
    (0, b"IIU\0", "camera raw data; export it as a 16-bit TIFF"),
    (0, b"IIRO", "camera raw data; export it as a 16-bit TIFF"),
    (0, b"FUJIFILM", "camera raw data; export it as a 16-bit TIFF"),
    (4, b"jP  \r\n", "JPEG 2000; save it as PNG"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000; save it as PNG"),
    (0, b"\xff\x0a", "JPEG XL; save it as PNG"),
    (4, b"JXL \r\n", "JPEG XL; save it as PNG"),
    (0, b"v/1\x01", "OpenEXR; save it as a 16-bit TIFF"),
)

_JPEG_EXIF_BYTES, _JPEG_XMP_BYTES, _JPEG_ICC_BYTES = 65_527, 65_502, 255 * 65_519
_LABELS = {"exif": "EXIF", "icc": "ICC profile", "xmp": "XMP", "dpi": "resolution"}


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a JPEG, PNG, WebP, TIFF or BMP file completely; the name's suffix does not matter.

    Errors give the reason alone; whoever handles many files names the file. Grey, palette, 1-bit and transparent files
    are accepted, PNG and TIFF with 16 bits a sample at full depth.

    Raises:
        DecodeError: The file cannot be read, is empty, truncated, damaged, or no picture.
        UnsupportedError: CMYK, floats, animations, several pages, other formats, more than `max_pixels` pixels.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DecodeError("expected a file, got a folder, pipe or device")
        with path.open("rb") as stream:
            kind = _recognise(stream.read(32))
            return _decode(stream, kind, max_pixels)
    except OSError as error:
        raise DecodeError(f"cannot read the file: {error.strerror or error}") from error


def write_picture(picture: Picture, path: Path, *, quality: int = 95, kind: Format | None = None) -> tuple[str, ...]:
    """Encode a picture and put it in its place in one step (see `write_atomically`). The folder must exist.

    Args:
        picture: What to store.
        path: Where; an existing file is replaced.
        quality: 1 to 100, for JPEG and WebP.
        kind: Format; by default that of the path's suffix, or the picture's own where the suffix is unknown.

    Returns:
        A warning for each kind of metadata that could not be kept.

    Raises:
        EncodeError: The format cannot hold the picture: its depth, transparency or size.
        PictureError: The file system cannot hold the name.
        DiskFullError: No space is left.
        OutputError: The file cannot be written.
    """
    kind = kind or SUFFIXES.get(path.suffix.lower(), picture.format)
    data, warnings = encode_picture(picture, kind, quality=quality)
    write_atomically(path, data)
    return warnings


def encode_picture(picture: Picture, kind: Format, *, quality: int = 95) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a file, and a warning for each kind of metadata that could not be kept.

    Raises:
        EncodeError: The format cannot hold the picture: its depth, transparency or size.
    """
    if picture.sample == "uint16" and kind not in ("png", "tiff"):
        raise EncodeError(f"expected 8-bit pixels for {kind}, got 16-bit ones; write .png or .tif instead")
    if picture.alpha is not None and kind in ("jpeg", "bmp"):
        raise EncodeError(f"{kind} cannot hold transparency; write .png, .webp or .tif instead")
    fitted, warnings = _fitted(picture, kind)
    try:
        data, more = _encode(fitted, kind, quality)
    except _DAMAGE as error:
        # Metadata never costs a picture: once more without it, but displayed the same way.
        bare = Metadata(exif=exif.orientation_only(exif.orientation(fitted.metadata.exif)))
        try:
            data, more = _encode(replace(fitted, metadata=bare), kind, quality)
        except _DAMAGE as final:
            raise EncodeError(
                f"cannot store {picture.width}x{picture.height} pixels as {kind}: {_line(final)}"
            ) from final
        more = [f"the metadata could not be stored ({_line(error)}) and was left out"]
    return data, (*warnings, *more)


def displayed_8bit(picture: Picture) -> NDArray[np.uint8]:
    """Return the pixels uint8 [H, W, 3] as they are displayed: turned by the EXIF orientation, rounded to 8 bits."""
    pixels = picture.turned(exif.orientation(picture.metadata.exif)).pixels
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    return np.asarray((pixels.astype(np.uint32) + 128) // 257, np.uint8)


def _recognise(head: bytes) -> Format:
    if not head:
        raise DecodeError("the file is empty")
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(png.SIGNATURE):
        return "png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head.startswith(b"BM"):
        return "bmp"
    for offset, magic, name in _FOREIGN:
        if head[offset:].startswith(magic):
            raise UnsupportedError(f"expected JPEG, PNG, WebP, TIFF or BMP, got {name}")
    raise DecodeError("expected JPEG, PNG, WebP, TIFF or BMP, got a file of another or damaged kind")


def _decode(stream: BinaryIO, kind: Format, max_pixels: int) -> Picture:
    try:
        if kind == "tiff":
            return tiff.decode(stream, max_pixels)
        if kind == "png":
            return _decode_png(stream, max_pixels)
        return raster.decode(stream, kind, max_pixels)
    except Image.DecompressionBombError as error:
        raise UnsupportedError(f"expected a WebP of less than 179 megapixels: {_line(error)}") from error
    except _DAMAGE as error:
        raise DecodeError(f"the {kind} file is damaged or truncated: {_line(error)}") from error


def _decode_png(stream: BinaryIO, max_pixels: int) -> Picture:
    header = png.read_header(stream)
    if header.frames > 1:
        raise UnsupportedError(f"expected one picture, got an animation of {header.frames} frames")
    if header.depth < 16:
        try:
            return raster.decode(stream, "png", max_pixels, header.metadata)
        except ValueError:
            # Pillow refuses profiles and texts above 1 MB, which are read by now: metadata never costs a picture.
            return raster.decode(png.only_pixels(stream), "png", max_pixels, header.metadata)
    check_size(header.width, header.height, max_pixels)
    return png.decode_deep(stream, header)


def _encode(picture: Picture, kind: Format, quality: int) -> tuple[bytes, list[str]]:
    if kind == "tiff":
        return tiff.encode(picture)
    if kind == "png":
        return png.encode(picture), []
    return raster.encode(picture, kind, quality), []


def _fitted(picture: Picture, kind: Format) -> tuple[Picture, list[str]]:
    """Return the picture with the metadata the format can hold, turned upright if it cannot hold the orientation."""
    metadata, lost = picture.metadata, dict.fromkeys(_LABELS, "")
    if kind == "bmp":
        lost = {"exif": "bmp cannot hold it", "icc": "bmp cannot hold it", "xmp": "bmp cannot hold it", "dpi": ""}
    elif kind == "jpeg":
        lost["exif"] = "it is too long for jpeg" if len(metadata.exif or b"") > _JPEG_EXIF_BYTES else ""
        lost["icc"] = "it is too long for jpeg" if len(metadata.icc or b"") > _JPEG_ICC_BYTES else ""
        lost["xmp"] = "it is too long for jpeg" if len(metadata.xmp or b"") > _JPEG_XMP_BYTES else ""
    elif kind == "webp":
        lost["icc"] = "webp has no grey" if picture.gray and (metadata.icc or b"")[16:20] == b"GRAY" else ""
        lost["dpi"] = "" if metadata.exif else "webp cannot hold it"
    gone = [name for name, reason in lost.items() if reason and getattr(metadata, name) is not None]
    warnings = [f"the {_LABELS[name]} was left out: {lost[name]}" for name in gone]
    kept = replace(metadata, **dict.fromkeys(gone))
    turn = exif.orientation(metadata.exif)
    if "exif" in gone and kind == "bmp":
        return replace(picture, metadata=kept).turned(turn), warnings
    if "exif" in gone:
        kept = replace(kept, exif=exif.orientation_only(turn))
    return replace(picture, metadata=kept), warnings


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
