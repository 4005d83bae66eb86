"""How a source is read, and how a result is encoded, as the options ask."""

from __future__ import annotations

from pathlib import Path

from lumen.codecs.codec import encode_picture, read_picture
from lumen.codecs.limits import check_storable, stripped
from lumen.config import EnhanceOptions
from lumen.errors import EncodeError
from lumen.imaging.formats import Format, format_of, stored_as
from lumen.imaging.picture import Picture


def read_source(source: Path, options: EnhanceOptions, target: Path | None = None) -> Picture:
    """Decode one input as the options ask for.

    Args:
        source: The file.
        options: What is read of it.
        target: Where the result will go; what its format cannot hold is refused here, before any work is done.

    Raises:
        PictureError: The source cannot be decoded, is of a kind that the options do not allow, or cannot be stored.
    """
    picture = read_picture(source, max_pixels=options.max_pixels, first_frame=options.frames == "first")
    if target is not None:
        _result_kind(picture, source, target, options)
    return picture


def encode_result(
    picture: Picture, source: Path, target: Path, options: EnhanceOptions
) -> tuple[bytes, tuple[str, ...]]:
    """Return the file that was made of `source`, in the format that the target is named after.

    Where the name never said what the file is (a transparent PNG called .jpg) and its format cannot hold the picture,
    the result is what the source is, under the same suffix.

    Returns:
        The bytes of the file; a warning for that, for what could not be taken from the source, and for each kind of
        metadata that could not be kept.

    Raises:
        EncodeError: The format cannot hold the picture.
    """
    kind, why = _result_kind(picture, source, target, options)
    if options.metadata == "strip":
        picture = stripped(picture)
    data, warnings = encode_picture(
        picture, kind, quality=options.quality, subsampling=options.subsampling, allow_8bit=options.allow_8bit
    )
    return data, (*why, *picture.notes, *warnings)


def _result_kind(
    picture: Picture, source: Path, target: Path, options: EnhanceOptions
) -> tuple[Format, tuple[str, ...]]:
    """Return the format that a result is stored in, and a line where that is not what the target's name says."""
    named, own = format_of(target), stored_as(picture.format)
    if named is None:
        named = own
    try:
        check_storable(picture, named, allow_8bit=options.allow_8bit)
    except EncodeError as error:
        if target.suffix.lower() != source.suffix.lower() or own == named or own != picture.format:
            raise
        check_storable(picture, own, allow_8bit=options.allow_8bit)
        return own, (f"the result is a {own} file like the input, despite its name: {error}",)
    return named, ()
