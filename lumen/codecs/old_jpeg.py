"""TIFF files packed by old-style JPEG, by libtiff through Pillow.

Such files keep their tables and samples in different places. Only libtiff puts them together.

Reference:
    TIFF 6.0, section 22, and TIFF Technical Note 2, which replaced it.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import TiffImagePlugin
from tifffile import COMPRESSION

from lumen.codecs.exif import ORIENTATION
from lumen.codecs.jpeg import check_scans, claimed_size
from lumen.codecs.pillow_codecs import quiet
from lumen.errors import UnsupportedError
from lumen.imaging.picture import too_short

_STREAM, _STREAM_BYTES = 513, 514  # JPEGInterchangeFormat, JPEGInterchangeFormatLength
_PIXELS_PER_BYTE = 1024  # 64 pixels take at least two bits
_START = b"\xff\xd8"


def is_scattered(page: tifffile.TiffPage) -> bool:
    """Return whether a page is packed by old-style JPEG, and its parts are not JPEG streams by themselves."""
    if page.compression != COMPRESSION.OJPEG or not page.dataoffsets:
        return False
    file = page.parent.filehandle
    file.seek(page.dataoffsets[0])
    return bool(file.read(2) != _START)


def check(page: tifffile.TiffPage) -> None:
    """Refuse a file that is far too short for its size, or whose JPEG stream has another size or very many scans.

    Raises:
        ValueError: It is damaged.
    """
    file = page.parent.filehandle
    if page.imagewidth * page.imagelength > _PIXELS_PER_BYTE * file.size:
        raise ValueError(too_short(page.imagewidth, page.imagelength))
    (start, *_), (count, *_) = (page.tags.valueof(tag, default=(0,)) for tag in (_STREAM, _STREAM_BYTES))
    if start:
        file.seek(start)
        data = file.read(min(count or file.size, file.size))  # some writers leave out the length
        check_scans(data)
        if claimed_size(data) != (page.imagewidth, page.imagelength):
            raise ValueError("the JPEG stream in it has another size than the picture")


def decode(stream: BinaryIO, page: tifffile.TiffPage) -> npt.NDArray[Any]:
    """Return the samples `[H, W]` or `[H, W, 3]`, as stored.

    Raises:
        UnsupportedError: libtiff does not read the file, which may be damaged: for old-style JPEG nobody can tell.
    """
    stream.seek(0)
    data = bytearray(stream.read())  # a copy, because libtiff would move the file behind Python's back
    if (orientation := page.tags.get(ORIENTATION)) is not None:  # Pillow would turn the pixels
        at = orientation.valueoffset
        data[at : at + 4] = struct.pack(page.parent.byteorder + "HH", 1, 0)
    try:
        with quiet(), TiffImagePlugin.TiffImageFile(BytesIO(data)) as image:
            image.load()
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, RuntimeError) as error:
        raise UnsupportedError(
            f"expected an old-style JPEG that libtiff reads, got another or a damaged one ({error}); save it as PNG"
        ) from error
