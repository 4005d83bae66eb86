"""Pictures from files and into files.

A picture comes back as it went in: depth, channels, EXIF with its orientation, ICC profile, XMP and resolution. Pixels
and orientation tag are never both changed. What cannot be read or stored is refused with a reason; what is merely lost
on the way (metadata a format cannot hold) is told as a warning.
"""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.codecs import exif, limits
from lumen.codecs.interface import Decoding, Encoding, decoder, encoder
from lumen.codecs.tiff import CameraRawError
from lumen.color import icc
from lumen.config import EnhanceOptions, Subsampling
from lumen.errors import DecodeError, EncodeError, UnsupportedError
from lumen.files.atomic import write_atomically
from lumen.imaging.formats import CODECS, Format, format_of, stored_as
from lumen.imaging.picture import Metadata, Picture, to_8bit

for _kind in CODECS:  # all at once, so that the first file of a kind does not wait for a library
    decoder(_kind)

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
    Image.DecompressionBombError,  # a frame of a GIF beyond the picture; the size of pictures is checked here
)

# Kinds people may well have, told apart from rubbish so that the message can help: (offset, first bytes, what it is).
_FOREIGN = (
    (0, b"8BPS", "Photoshop; save it as a 16-bit TIFF"),
    (4, b"jP  \r\n", "JPEG 2000; save it as PNG"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000; save it as PNG"),
    (0, b"\xff\x0a", "JPEG XL; save it as PNG"),
    (4, b"JXL \r\n", "JPEG XL; save it as PNG"),
    (0, b"v/1\x01", "OpenEXR; save it as a 16-bit TIFF"),
    (0, b"%PDF", "PDF; save its picture as PNG"),
    (4, b"ftypisom", "a video; save a frame as PNG"),
    (4, b"ftypmp4", "a video; save a frame as PNG"),
    (4, b"ftypqt  ", "a video; save a frame as PNG"),
)


def read_picture(path: Path, *, max_pixels: int = EnhanceOptions.max_pixels, first_frame: bool = False) -> Picture:
    """Decode a picture file completely; what it holds decides, not its name.

    Errors give the reason alone; whoever handles many files names the file. Grey, palette, CMYK, 1-bit and transparent
    files are accepted; PNG, TIFF, AVIF, HEIF and camera raw data at their full depth.

    Args:
        path: The file.
        max_pixels: Larger pictures are refused before memory is taken for them.
        first_frame: Take the first picture of animations and files of several pages, which are refused otherwise.

    Raises:
        DecodeError: The file cannot be read, is empty, truncated, damaged, or no picture.
        UnsupportedError: Floats, animations, several pages, other formats, a missing extra, more than `max_pixels`
            pixels.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DecodeError("expected a file, got a folder, pipe or device")
        with path.open("rb") as stream:
            return decode_picture(stream, max_pixels=max_pixels, first_frame=first_frame, named=format_of(path))
    except OSError as error:
        raise DecodeError(f"cannot read the file: {error.strerror or error}") from error


def decode_picture(
    stream: BinaryIO,
    *,
    max_pixels: int = EnhanceOptions.max_pixels,
    first_frame: bool = False,
    named: Format | None = None,
) -> Picture:
    """Decode the picture in a seekable stream, as `read_picture` does with a file.

    Args:
        stream: From its start on.
        max_pixels: Larger pictures are refused before memory is taken for them.
        first_frame: Take the first picture of several.
        named: What the file's name promises. Only for camera raw data it matters: many such files are TIFF files
            whose first page is a preview.

    Raises:
        DecodeError: As `read_picture`.
        UnsupportedError: As `read_picture`.
    """
    stream.seek(0)
    kind = _recognise(stream.read(64))
    if kind == "tiff" and named == "raw":
        kind = "raw"
    try:
        picture = _decode(stream, kind, Decoding(max_pixels=max_pixels, first_frame=first_frame))
    except _DAMAGE as error:
        raise DecodeError(f"the {kind} file is damaged or truncated: {_line(error)}") from error
    return replace(picture, notes=(*picture.notes, *_faults(picture.metadata)))


def write_picture(
    picture: Picture,
    path: Path,
    *,
    quality: int = EnhanceOptions.quality,
    subsampling: Subsampling = EnhanceOptions.subsampling,
    allow_8bit: bool = False,
    kind: Format | None = None,
) -> tuple[str, ...]:
    """Encode a picture and put it in its place in one step (see `write_atomically`). The folder must exist.

    Args:
        picture: What to store.
        path: Where; an existing file is replaced.
        quality: 1 to 100, for JPEG, WebP, AVIF and HEIC.
        subsampling: How finely JPEG, AVIF and HEIC store colours.
        allow_8bit: Store 16-bit pictures also in formats of 8 bits.
        kind: Format; by default that of the path's suffix, or the picture's own where the suffix is unknown.

    Returns:
        A warning for each kind of metadata that could not be kept.

    Raises:
        EncodeError: The format cannot hold the picture: its depth, transparency or size.
        PictureError: The file system cannot hold the name.
        DiskFullError: No space is left.
        OutputError: The file cannot be written.
    """
    kind = kind or format_of(path) or stored_as(picture.format)
    data, warnings = encode_picture(picture, kind, quality=quality, subsampling=subsampling, allow_8bit=allow_8bit)
    write_atomically(path, data)
    return warnings


def encode_picture(
    picture: Picture,
    kind: Format,
    *,
    quality: int = EnhanceOptions.quality,
    subsampling: Subsampling = EnhanceOptions.subsampling,
    allow_8bit: bool = False,
) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a file, and a warning for each kind of metadata that could not be kept.

    The arguments are those of `write_picture`.

    Raises:
        EncodeError: The format cannot hold the picture: its depth, transparency or size.
    """
    limits.check_storable(picture, kind, allow_8bit=allow_8bit)
    fitted, warnings = limits.fitted(_in_depth(picture, kind), kind)
    encode, encoding = encoder(kind).encode, Encoding(quality=quality, subsampling=subsampling)
    try:
        data = encode(fitted, encoding)
    except _DAMAGE as error:
        # Metadata never costs a picture: once more without it, but displayed the same way.
        bare = Metadata(exif=exif.orientation_only(exif.orientation(fitted.metadata.exif)))
        try:
            data = encode(replace(fitted, metadata=bare), encoding)
        except _DAMAGE as final:
            raise EncodeError(
                f"cannot store {picture.width}x{picture.height} pixels as {kind}: {_line(final)}"
            ) from final
        warnings.append(f"the metadata could not be stored ({_line(error)}) and was left out")
    return data, tuple(warnings)


def displayed_8bit(picture: Picture) -> NDArray[np.uint8]:
    """Return the pixels uint8 [H, W, 3] as they are displayed: turned by the EXIF orientation, rounded to 8 bits."""
    pixels = picture.turned(exif.orientation(picture.metadata.exif)).pixels
    return np.asarray(to_8bit(pixels), np.uint8)


def _recognise(head: bytes) -> Format:
    if not head:
        raise DecodeError("the file is empty")
    found = [(at, codec.name) for codec in CODECS.values() for at, mark in codec.marks if head[at:].startswith(mark)]
    if found:
        return max(found)[1]  # the mark that stands last: many camera raw files begin as TIFF files do
    if head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in (8, *range(16, min(64, int.from_bytes(head[:4], "big")), 4))}
        for codec in CODECS.values():
            if brands & codec.brands:
                return codec.name
    *others, last = (codec.label for codec in CODECS.values())
    expected = f"expected {', '.join(others)} or {last}"
    for offset, magic, name in _FOREIGN:
        if head[offset:].startswith(magic):
            raise UnsupportedError(f"{expected}, got {name}")
    raise DecodeError(f"{expected}, got an unknown or damaged file")


def _decode(stream: BinaryIO, kind: Format, decoding: Decoding) -> Picture:
    codec = CODECS[kind]
    if codec.package and not codec.package.is_installed():
        raise UnsupportedError(codec.package.hint(codec.label, codec.otherwise))
    try:
        return decoder(kind).decode(stream, decoding)
    except CameraRawError:  # it looked like a TIFF file
        return _decode(stream, "raw", decoding)


def _faults(metadata: Metadata) -> list[str]:
    """Return a line for each kind of metadata that is carried although no program will understand it."""
    faults = []
    if metadata.icc and not icc.is_sound(metadata.icc):
        faults.append("the colour profile is malformed; it is kept as it is")
    if metadata.exif and not exif.is_sound(metadata.exif):
        faults.append("the EXIF block is malformed; it is kept as it is where the format allows")
    return faults


def _in_depth(picture: Picture, kind: Format) -> Picture:
    """Return the picture in the depth that the format stores it in."""
    if picture.sample == "uint8" or limits.keeps_depth(picture, kind):
        return picture
    alpha = None if picture.alpha is None else to_8bit(picture.alpha)
    return replace(picture, pixels=to_8bit(picture.pixels), alpha=alpha, bits=None)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
