"""Reading sources and encoding results, according to the options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from lumen.codecs.codec import decode_picture, encode_picture, read_picture, with_quality
from lumen.codecs.limits import check_storable, stripped
from lumen.codecs.pillow_codecs import size_of
from lumen.config import EnhanceOptions
from lumen.errors import EncodeError, PictureError
from lumen.imaging.formats import Format, format_of, stored_as
from lumen.imaging.picture import Picture

LOSSLESS: Final[frozenset[Format]] = frozenset({"png", "tiff", "bmp"})
_LOSSY: Final[frozenset[Format]] = frozenset({"jpeg", "webp", "avif", "heif"})


def read_source(
    source: Path, options: EnhanceOptions, target: Path | None = None, *, stream: BinaryIO | None = None
) -> Picture:
    """Decode one input according to the options.

    Args:
        source: The file.
        options: Options of the run.
        target: The file of the result. A picture that its format cannot hold is refused here, before any work is done.
        stream: The opened file, seekable; `source` is then only its name. By default the file is opened here, and
            links are followed.

    Raises:
        PictureError: The source cannot be decoded, is not allowed by the options, or cannot be stored as the target.
    """
    taken = {"first_frame": options.frames == "first", "all_frames": options.frames == "all"}
    if stream is None:
        picture = read_picture(source, max_pixels=options.max_pixels, **taken)
    else:
        named = format_of(source)
        picture = decode_picture(stream, max_pixels=options.max_pixels, named=named, **taken)
    if target is not None:
        kind, _ = result_kind(picture, source, target, options)
    refuse_warnings(picture.warnings, options)
    if target is not None and kind == picture.format and options.quality == "keep":
        return with_quality(picture, source.stat().st_size if stream is None else size_of(stream))
    return picture


def encode_result(
    picture: Picture, source: Path, target: Path, options: EnhanceOptions
) -> tuple[bytes, tuple[str, ...]]:
    """Return the file for the result of `source`, in the format of the target's suffix.

    If the source's suffix is wrong (a transparent PNG called .jpg) and the suffix's format cannot hold the picture, the
    result has the source's real format, under the same suffix.

    Returns:
        The bytes of the file; and warnings for that, for damage of the source, for what could not be read from it, and
        for each kind of metadata that could not be kept.

    Raises:
        EncodeError: The format cannot hold the picture.
        PictureError: There are warnings, and the options are strict.
    """
    kind, why = result_kind(picture, source, target, options)
    if options.metadata == "strip":
        picture = stripped(picture)
    data, warnings = encode_picture(
        picture, kind, quality=options.quality, subsampling=options.subsampling, allow_8bit=options.allow_8bit
    )
    warnings = (*why, *picture.warnings, *warnings)
    refuse_warnings(warnings, options)
    return data, warnings


def refuse_warnings(warnings: Sequence[str], options: EnhanceOptions) -> None:
    """Refuse a picture with any warning if the options are strict.

    Raises:
        PictureError: There is a warning.
    """
    if options.strict and warnings:
        raise PictureError(f"{'; '.join(warnings)} (a warning, which --strict refuses)")


def result_kind(
    picture: Picture, source: Path, target: Path, options: EnhanceOptions
) -> tuple[Format, tuple[str, ...]]:
    """Return the format of a result, and a warning if it differs from the target's suffix.

    Raises:
        EncodeError: The format cannot hold the picture.
    """
    named, own = format_of(target), picture.format if picture.animation else stored_as(picture.format)
    if named is None:
        named = own
    try:
        check_storable(picture, named, allow_8bit=options.allow_8bit)
    except EncodeError as error:
        if target.suffix.lower() != source.suffix.lower() or own == named or own != picture.format:
            raise
        check_storable(picture, own, allow_8bit=options.allow_8bit)
        return own, (
            f"the result is a {own} file like the input, despite its name, and most programs open it: {error}",
        )
    is_lossless = own in LOSSLESS or picture.lossless
    if is_lossless and named != own and named in _LOSSY and target.suffix.lower() == source.suffix.lower():
        what = f"the input is a {picture.format} file despite its name"
        return named, (f"{what}; the result is a lossy {named}, as the name says: rename it, or use --format png",)
    return named, ()
