"""Camera raw files, developed by the optional rawpy (LibRaw).

The result is an ordinary 16-bit sRGB picture, with the camera's white balance and without automatic brightness: that
is the network's job.
"""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

import numpy as np

from lumen.codecs import exif
from lumen.codecs.interface import Decoding
from lumen.color.icc import srgb_profile
from lumen.errors import UnsupportedError
from lumen.imaging.picture import Metadata, Picture, check_size

_SRGB_CURVE = (2.4, 12.92)
_MAKER_NOTE = 0x927C  # its offsets are valid in the raw file only
_JPEG_START = b"\xff\xd8\xff"


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Develop a file completely. Its pixels come upright."""
    import rawpy

    stream.seek(0)
    try:
        with rawpy.imread(stream) as file:
            check_size(file.sizes.raw_width, file.sizes.raw_height, decoding.max_pixels)
            pixels = file.postprocess(
                output_bps=16,
                output_color=rawpy.ColorSpace.sRGB,
                gamma=_SRGB_CURVE,
                use_camera_wb=True,
                no_auto_bright=True,
            )
            block, xmp = _described(stream)
            if not block or exif.EXIF_IFD not in exif.parse_block(block):  # exposure and lens may stand in the preview
                block = _exif_of_preview(file) or block
    except rawpy.LibRawFileUnsupportedError as error:
        raise UnsupportedError(
            "expected camera raw data that LibRaw supports, got another kind; export it as a 16-bit TIFF"
        ) from error
    except rawpy.LibRawError as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise ValueError(
            f"LibRaw reports {reason.decode('utf-8', 'replace') if isinstance(reason, bytes) else reason}"
        ) from error
    notes = () if block else ("no EXIF was found in the camera raw data: date and camera are missing",)
    metadata = Metadata(exif=block, icc=srgb_profile(), xmp=xmp)
    return Picture.from_channels(np.asarray(pixels, np.uint16), kind="raw", metadata=metadata, notes=notes)


def _described(stream: BinaryIO) -> tuple[bytes | None, bytes | None]:
    """Return the tags and the XMP of raw files with the structure of TIFF files, as most have."""
    try:
        stream.seek(0)
        order = exif.byte_order(stream.read(2))
        found = exif.read_directory(stream, exif.DESCRIPTIVE | {exif.XMP})
    except (ValueError, EOFError):
        return None, None
    tags, xmp = exif.picture_tags(found), found.get(exif.XMP)
    below = tags.get(exif.EXIF_IFD)
    if below is not None and isinstance(below.value, dict):
        below.value.pop(_MAKER_NOTE, None)
    tags.pop(exif.ORIENTATION, None)
    packet = xmp.value if xmp is not None and isinstance(xmp.value, bytes) else None
    return exif.build_block(tags, order) if tags else None, packet or None


def _exif_of_preview(file: object) -> bytes | None:
    """Return the tags of the JPEG preview, for raw files of other structures."""
    import rawpy
    from PIL import JpegImagePlugin

    try:
        preview = file.extract_thumb()  # type: ignore[attr-defined]
        if not isinstance(preview.data, bytes) or not preview.data.startswith(_JPEG_START):
            return None
        with JpegImagePlugin.JpegImageFile(BytesIO(preview.data)) as image:
            block = exif.without_prefix(image.info.get("exif"))
    except (rawpy.LibRawError, OSError, SyntaxError, ValueError):
        return None
    return exif.without_thumbnail(exif.upright(block))
