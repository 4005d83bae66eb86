"""When a picture was taken, by its EXIF data: read from the head of the file, without decoding it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import BinaryIO

from PIL import Image

from lumen.codecs.pillow_codecs import quiet

_EXIF_IFD, _TAKEN, _FRACTION = 0x8769, 0x9003, 0x9291  # DateTimeOriginal, SubSecTimeOriginal
_DAMAGE = (OSError, ValueError, SyntaxError, LookupError, TypeError, ArithmeticError, MemoryError)


def time_taken(stream: BinaryIO) -> float | None:
    """Return when a picture was taken, in seconds, None if its file does not tell.

    Cameras tell the time where they are, so it compares with that of other pictures only.

    Args:
        stream: The file, seekable.
    """
    with suppress(*_DAMAGE, Image.DecompressionBombError), quiet(), Image.open(stream) as picture:
        found = picture.getexif().get_ifd(_EXIF_IFD)
        text, fraction = (str(found.get(tag, "")).strip("\0 ") for tag in (_TAKEN, _FRACTION))
        seconds = datetime.strptime(text, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        return seconds + (float(f"0.{fraction}") if fraction.isdecimal() else 0.0)
    return None
