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

from lumen.codecs import avif, exif, heif, limits, pillow_codecs, png, raw, tiff, webp
from lumen.color import icc
from lumen.config import Subsampling
from lumen.errors import DecodeError, EncodeError, UnsupportedError
from lumen.files.atomic import write_atomically
from lumen.imaging.formats import Format, format_of, stored_as
from lumen.imaging.picture import Chroma, Metadata, Picture, check_size, first_of, to_8bit

MAX_PIXELS = 512_000_000

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

# First bytes of files: (offset, bytes, format). HEIF and AVIF are told apart by their brands.
_MAGIC: tuple[tuple[int, bytes, Format], ...] = (
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, png.SIGNATURE, "png"),
    (8, b"WEBP", "webp"),
    (8, b"CR\x02", "raw"),
    (6, b"HEAPCCDR", "raw"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"II+\0", "tiff"),
    (0, b"MM\0+", "tiff"),
    (0, b"BM", "bmp"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (4, b"ftypcrx ", "raw"),
    (0, b"IIU\0", "raw"),
    (0, b"IIRO", "raw"),
    (0, b"IIRS", "raw"),
    (0, b"MMOR", "raw"),
    (0, b"FUJIFILM", "raw"),
    (0, b"FOVb", "raw"),
    (0, b"\0MRM", "raw"),
)
_AVIF_BRANDS, _HEIF_BRANDS = (
    (b"avif", b"avis"),
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
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
_READ = "JPEG, PNG, WebP, TIFF, BMP, AVIF, HEIF, GIF or camera raw data"

_FULL_CHROMA_QUALITY = 90


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS, first_frame: bool = False) -> Picture:
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
    stream: BinaryIO, *, max_pixels: int = MAX_PIXELS, first_frame: bool = False, named: Format | None = None
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
        picture = _decode(stream, kind, max_pixels, first=first_frame)
    except _DAMAGE as error:
        raise DecodeError(f"the {kind} file is damaged or truncated: {_line(error)}") from error
    return replace(picture, notes=(*picture.notes, *_faults(picture.metadata)))


def write_picture(
    picture: Picture,
    path: Path,
    *,
    quality: int = 95,
    subsampling: Subsampling = "auto",
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
    quality: int = 95,
    subsampling: Subsampling = "auto",
    allow_8bit: bool = False,
) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a file, and a warning for each kind of metadata that could not be kept.

    The arguments are those of `write_picture`.

    Raises:
        EncodeError: The format cannot hold the picture: its depth, transparency or size.
    """
    limits.check_storable(picture, kind, allow_8bit=allow_8bit)
    fitted, warnings = limits.fitted(_in_depth(picture, kind), kind)
    chroma = _chroma(picture, kind, quality, subsampling)
    try:
        data, more = _encode(fitted, kind, quality, chroma)
    except _DAMAGE as error:
        # Metadata never costs a picture: once more without it, but displayed the same way.
        bare = Metadata(exif=exif.orientation_only(exif.orientation(fitted.metadata.exif)))
        try:
            data, more = _encode(replace(fitted, metadata=bare), kind, quality, chroma)
        except _DAMAGE as final:
            raise EncodeError(
                f"cannot store {picture.width}x{picture.height} pixels as {kind}: {_line(final)}"
            ) from final
        more = [f"the metadata could not be stored ({_line(error)}) and was left out"]
    return data, (*warnings, *more)


def displayed_8bit(picture: Picture) -> NDArray[np.uint8]:
    """Return the pixels uint8 [H, W, 3] as they are displayed: turned by the EXIF orientation, rounded to 8 bits."""
    pixels = picture.turned(exif.orientation(picture.metadata.exif)).pixels
    return np.asarray(to_8bit(pixels), np.uint8)


def _recognise(head: bytes) -> Format:
    if not head:
        raise DecodeError("the file is empty")
    for offset, magic, kind in _MAGIC:
        if head[offset:].startswith(magic):
            return kind
    if head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in (8, *range(16, min(64, int.from_bytes(head[:4], "big")), 4))}
        if brands.intersection(_AVIF_BRANDS):
            return "avif"
        if brands.intersection(_HEIF_BRANDS):
            return "heif"
    for offset, magic, name in _FOREIGN:
        if head[offset:].startswith(magic):
            raise UnsupportedError(f"expected {_READ}, got {name}")
    raise DecodeError(f"expected {_READ}, got a file of another or damaged kind")


def _decode(stream: BinaryIO, kind: Format, max_pixels: int, *, first: bool) -> Picture:
    if kind == "raw":
        return raw.decode(stream, max_pixels)
    if kind == "tiff":
        try:
            return tiff.decode(stream, max_pixels, first=first)
        except tiff.CameraRawError:
            return raw.decode(stream, max_pixels)
    if kind == "png":
        return _decode_png(stream, max_pixels, first=first)
    for name, decoder in (("webp", webp.decode), ("avif", avif.decode), ("heif", heif.decode)):
        if kind == name:
            return decoder(stream, max_pixels, first=first)
    return pillow_codecs.decode(stream, kind, max_pixels, first=first)


def _decode_png(stream: BinaryIO, max_pixels: int, *, first: bool) -> Picture:
    header = png.read_header(stream)
    check_size(header.width, header.height, max_pixels)
    png.check_samples(header)
    notes = (*first_of(header.frames, "an animation of {} frames", first=first), *header.notes)
    if header.depth == 16:
        png.check_sides(header)
        return replace(png.decode_deep(stream, header), notes=notes)
    try:
        found = pillow_codecs.decode(stream, "png", max_pixels, header.metadata, first=True)
    except (ValueError, SyntaxError):
        # Pillow refuses profiles and texts above 1 MB, and damaged ones: metadata never costs a picture.
        found = pillow_codecs.decode(png.only_pixels(stream), "png", max_pixels, header.metadata, first=True)
    return replace(found, notes=notes)


def _faults(metadata: Metadata) -> list[str]:
    """Return a line for each kind of metadata that is carried although no program will understand it."""
    faults = []
    if metadata.icc and not icc.is_sound(metadata.icc):
        faults.append("the colour profile is malformed; it is carried as it is")
    if metadata.exif and not exif.is_sound(metadata.exif):
        faults.append("the EXIF block is malformed; it is carried as it is where the format lets it")
    return faults


def _encode(picture: Picture, kind: Format, quality: int, chroma: Chroma) -> tuple[bytes, list[str]]:
    if kind == "tiff":
        return tiff.encode(picture)
    if kind == "png":
        return png.encode(picture), []
    if kind == "webp":
        return webp.encode(picture, quality), []
    if kind == "avif":
        return avif.encode(picture, quality, chroma), []
    if kind == "heif":
        return heif.encode(picture, quality, chroma), []
    return pillow_codecs.encode(picture, kind, quality, chroma), []


def _in_depth(picture: Picture, kind: Format) -> Picture:
    """Return the picture in the depth that the format stores it in."""
    if picture.sample == "uint8" or limits.keeps_depth(picture, kind):
        return picture
    alpha = None if picture.alpha is None else to_8bit(picture.alpha)
    return replace(picture, pixels=to_8bit(picture.pixels), alpha=alpha, bits=None)


def _chroma(picture: Picture, kind: Format, quality: int, subsampling: Subsampling) -> Chroma:
    if subsampling == "444":
        return "4:4:4"
    if subsampling == "420":
        return "4:2:0"
    if subsampling == "keep" and picture.chroma is not None:
        return picture.chroma
    # Many devices show HEIC files of full colour resolution in software only, or not at all.
    return "4:4:4" if quality >= _FULL_CHROMA_QUALITY and kind != "heif" else "4:2:0"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
