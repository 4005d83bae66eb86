"""Read pictures from files, and write them to files.

A picture keeps its depth, channels, EXIF with orientation, ICC profile, XMP and resolution. Pixels and orientation tag
are never both changed. A file that cannot be read or written raises an error with the reason; metadata that a format
cannot hold is reported as a warning.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.codecs import exif, limits, own_quality
from lumen.codecs.animation import ANIMATED, encode_animation, with_all_frames
from lumen.codecs.foreign import foreign_kind
from lumen.codecs.interface import CameraRawError, Decoding, Encoding, decoder, encoder
from lumen.color import icc
from lumen.config import DEFAULT_QUALITY, EnhanceOptions, Quality, Subsampling
from lumen.errors import DecodeError, EncodeError, UnsupportedError
from lumen.files.atomic import write_atomically
from lumen.files.inputs import open_named
from lumen.files.store_path import path_of
from lumen.imaging.formats import CODECS, Format, format_of, stored_as
from lumen.imaging.picture import Metadata, Picture, to_8bit

# What decoders raise on damaged files. MemoryError and lumen's own errors are not among them.
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
    Image.DecompressionBombError,  # a GIF frame larger than its picture; picture sizes are checked here
)

_MEANINGS: dict[type[BaseException], str] = {
    struct.error: "a part of it is too short",
    IndexError: "a part of it is missing",
    Image.DecompressionBombError: "a frame in it is larger than its picture",
}
_ENDS_EARLY = ("image file is truncated", "truncated file read")  # what Pillow says


def read_picture(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = EnhanceOptions.max_pixels,
    first_frame: bool = False,
    all_frames: bool = False,
) -> Picture:
    """Decode a picture file completely. The content decides the format, not the name.

    Errors give the reason only; a caller that handles many files adds the name. Grey, palette, CMYK, 1-bit and
    transparent files are accepted; PNG, TIFF, AVIF, HEIF and camera raw data are read at full depth.

    Args:
        path: The file.
        max_pixels: Larger pictures are refused before memory is allocated for them.
        first_frame: Use the first picture of animations and multi-page files, which are refused otherwise.
        all_frames: Use all frames of animations, see `Picture.animation`.

    Raises:
        DecodeError: The file cannot be read, is empty, truncated, damaged, or not a picture.
        UnsupportedError: Float samples, an animation, several pages, another format, a missing extra, or more than
            `max_pixels` pixels.
    """
    path = path_of(path)
    try:
        with open_named(path).stream as stream:
            return decode_picture(
                stream, max_pixels=max_pixels, first_frame=first_frame, all_frames=all_frames, named=format_of(path)
            )
    except OSError as error:
        raise DecodeError(f"cannot read the file: {error.strerror or error}") from error


def decode_picture(
    stream: BinaryIO,
    *,
    max_pixels: int = EnhanceOptions.max_pixels,
    first_frame: bool = False,
    all_frames: bool = False,
    named: Format | None = None,
) -> Picture:
    """Decode the picture in a seekable stream, from its start, as `read_picture` does with a file.

    `named` is the format of the file's name. It matters for camera raw data only: many such files are TIFF files whose
    first page is a preview. The errors and the other arguments are those of `read_picture`.
    """
    stream.seek(0)
    kind = _recognise(stream.read(64))
    if kind == "tiff" and named == "raw":
        kind = "raw"
    try:
        is_whole = all_frames and kind in ANIMATED
        picture = _decode(stream, kind, Decoding(max_pixels=max_pixels, first_frame=first_frame or is_whole))
        if is_whole:
            picture = with_all_frames(picture, stream, max_pixels)
    except _DAMAGE as error:
        said = _line(error)
        if said.lower().startswith(_ENDS_EARLY):
            raise DecodeError(f"the {kind} file ends too early (copied incompletely?)") from error
        raise DecodeError(f"the {kind} file is damaged or truncated: {said}") from error
    return replace(picture, notes=(*picture.notes, *_faults(picture.metadata)))


def with_quality(picture: Picture, file_bytes: int) -> Picture:
    """Return a picture of a lossy file that can estimate its quality, if its format does not tell it.

    Args:
        picture: As it was decoded.
        file_bytes: Length of its file.
    """
    return replace(picture, quality=own_quality.estimator(picture, file_bytes))


def write_picture(
    picture: Picture,
    path: str | os.PathLike[str],
    *,
    quality: Quality = EnhanceOptions.quality,
    subsampling: Subsampling = EnhanceOptions.subsampling,
    allow_8bit: bool = False,
    kind: Format | None = None,
) -> tuple[str, ...]:
    """Encode a picture and write the file in one step (see `write_atomically`). The folder must exist.

    Args:
        picture: What to store.
        path: The target; an existing file is replaced.
        quality: 1 to 100, for JPEG, WebP, AVIF, HEIC and JPEG XL; or `keep`, that of the file of the picture if the
            format is the same and the quality is known, else 95.
        subsampling: Chroma subsampling of JPEG, AVIF and HEIC.
        allow_8bit: Allow 16-bit pictures in 8-bit formats.
        kind: Format; by default the one of the path's suffix, or the picture's own if the suffix is unknown.

    Returns:
        A warning for each kind of metadata that could not be kept.

    Raises:
        EncodeError: The format cannot hold the picture: its depth, transparency or size.
        PictureError: The file system cannot hold the name.
        DiskFullError: No space is left.
        OutputError: The file cannot be written.
    """
    path = Path(path)
    kind = kind or format_of(path) or stored_as(picture.format)
    data, warnings = encode_picture(picture, kind, quality=quality, subsampling=subsampling, allow_8bit=allow_8bit)
    write_atomically(path, data)
    return warnings


def encode_picture(
    picture: Picture,
    kind: Format,
    *,
    quality: Quality = EnhanceOptions.quality,
    subsampling: Subsampling = EnhanceOptions.subsampling,
    allow_8bit: bool = False,
) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a file, and a warning for each kind of metadata that could not be kept.

    The arguments are the same as for `write_picture`.

    Raises:
        EncodeError: The format cannot hold the picture: its depth, transparency or size.
    """
    limits.check_storable(picture, kind, allow_8bit=allow_8bit)
    fitted, warnings = limits.fitted(_in_depth(picture, kind), kind)
    encoding = _encoding(picture, kind, quality, subsampling)
    encode = encoder(kind).encode if picture.animation is None else partial(encode_animation, kind)
    try:
        data = encode(fitted, encoding)
    except _DAMAGE as error:
        # Metadata must never lose a picture: try again without it, but keep the orientation.
        bare = Metadata(exif=exif.orientation_only(exif.orientation(fitted.metadata.exif)))
        try:
            data = encode(replace(fitted, metadata=bare), encoding)
        except _DAMAGE as final:
            raise EncodeError(
                f"cannot store {picture.width}x{picture.height} pixels as {kind}: {_line(final)}"
            ) from final
        warnings.append(
            f"the metadata could not be stored ({_line(error)}) and was left out; date and colours may be off"
        )
    return data, tuple(warnings)


def displayed_8bit(picture: Picture) -> NDArray[np.uint8]:
    """Return the pixels uint8 [H, W, 3] as displayed: turned by the EXIF orientation, rounded to 8 bits."""
    pixels = picture.first.turned(exif.orientation(picture.metadata.exif)).pixels
    return np.asarray(to_8bit(pixels), np.uint8)


def _recognise(head: bytes) -> Format:
    if not head:
        raise DecodeError("the file is empty")
    found = [(at, codec.name) for codec in CODECS.values() for at, mark in codec.marks if head[at:].startswith(mark)]
    if found:
        return max(found)[1]  # the mark furthest into the file: many camera raw files begin like TIFF files
    if head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in (8, *range(16, min(64, int.from_bytes(head[:4], "big")), 4))}
        for codec in CODECS.values():
            if brands & codec.brands:
                return codec.name
    kind = foreign_kind(head)
    if kind == "text":
        raise UnsupportedError("it is not a picture, but text")
    *others, last = (codec.label for codec in CODECS.values())
    expected = f"expected {', '.join(others)} or {last}"
    if kind is not None:
        raise UnsupportedError(f"{expected}, got {kind}")
    raise DecodeError(f"{expected}, got an unknown or damaged file")


def _decode(stream: BinaryIO, kind: Format, decoding: Decoding) -> Picture:
    codec = CODECS[kind]
    if codec.package and not codec.package.is_installed():
        raise UnsupportedError(codec.package.hint(codec.label, codec.otherwise))
    try:
        return decoder(kind).decode(stream, decoding)
    except CameraRawError:  # a TIFF file by its first bytes
        return _decode(stream, "raw", decoding)


def _faults(metadata: Metadata) -> list[str]:
    """Return a note for each kind of metadata that is kept although it is malformed."""
    faults = []
    if metadata.icc and not icc.is_sound(metadata.icc):
        faults.append(
            "the colour profile is malformed; it is kept as it is, and programs that cannot read it show sRGB"
        )
    if metadata.exif and not exif.is_sound(metadata.exif):
        faults.append(
            "the EXIF block is malformed; it is kept as it is where the format allows, and few programs read it"
        )
    return faults


def _encoding(picture: Picture, kind: Format, quality: Quality, subsampling: Subsampling) -> Encoding:
    """Return how to encode a picture; its file tells the quality to keep only for its own format."""
    if quality != "keep":
        return Encoding(quality=quality, subsampling=subsampling, is_own=False)
    number = None
    if kind == picture.format and picture.quality is not None:
        with suppress(*_DAMAGE):  # of the encoder, which will be told when the result is stored
            number = picture.quality()
    own = kind == picture.format and bool(picture.tables or number)
    return Encoding(quality=number or DEFAULT_QUALITY, subsampling=subsampling, is_own=own)


def _in_depth(picture: Picture, kind: Format) -> Picture:
    """Return the picture in the depth in which the format stores it."""
    if picture.sample == "uint8" or limits.keeps_depth(picture, kind):
        return picture
    return replace(picture.mapped(to_8bit), bits=None)


def _line(error: BaseException) -> str:
    """Return what an error says, or means where it speaks of the innards of a decoder."""
    said = " ".join(str(error).split()) or type(error).__name__
    return next((meant for kind, meant in _MEANINGS.items() if isinstance(error, kind)), said)
