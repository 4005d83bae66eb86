"""Pillow: decoding shared by JPEG, BMP, GIF and 8-bit PNG, encoding shared by JPEG, BMP, WebP and AVIF.

The classes of the formats are opened instead of `Image.open`: the format is known by then, and the caller's size limit
replaces Pillow's, a process-wide variable that refuses 200-megapixel phone pictures.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from lumen.codecs.exif import with_prefix, without_prefix
from lumen.codecs.interface import Decoding
from lumen.errors import UnsupportedError
from lumen.imaging.picture import Metadata, Picture, check_size, first_of, too_short
from lumen.imaging.strips import strips

_quiet = threading.Lock()  # warning filters are process-wide


def load(
    image: Image.Image, stream: BinaryIO, decoding: Decoding, *, pixels_per_byte: int
) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    """Decode an opened 8-bit file completely.

    Args:
        image: The file, opened by Pillow.
        stream: The same file.
        decoding: Options for reading.
        pixels_per_byte: Largest number of pixels that one byte of such a file can hold.

    Returns:
        Samples `[H, W]` or `[H, W, 2 to 4]`, where the last of four is opacity, or black ink in a CMYK picture; and a
        note if further frames were left out.

    Raises:
        UnsupportedError: The file is animated, too large, or in an unusual colour space.
        OSError, SyntaxError, ValueError: The file is damaged or truncated.
    """
    check_size(*image.size, decoding.max_pixels)
    if image.width * image.height > pixels_per_byte * size_of(stream):
        raise ValueError(too_short(*image.size))
    notes = first_of(getattr(image, "n_frames", 1), "an animation of {} frames", first=decoding.first_frame)
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"):
        raise UnsupportedError(f"expected a grey, RGB or palette picture, got {image.mode}; convert it to RGB")
    image.load()
    return _samples(_plain(image)), notes


def metadata_of(image: Image.Image) -> Metadata:
    """Return the metadata that Pillow found in a file."""
    info = image.info
    exif, profile, xmp, comment = (_bytes(info.get(key)) for key in ("exif", "icc_profile", "xmp", "comment"))
    return Metadata(exif=without_prefix(exif), icc=profile, xmp=xmp, dpi=_resolution(info.get("dpi")), comment=comment)


def save(picture: Picture, name: str, **options: Any) -> bytes:
    """Return the bytes of the file for an 8-bit picture, with its EXIF block, colour profile and XMP.

    `name` is Pillow's name of the format, and `options` are Pillow's, of which None values are left out.

    Raises:
        OSError, ValueError: Pillow refuses the size or the metadata.
    """
    file = BytesIO()
    given = {name: value for name, value in options.items() if value is not None}
    Image.fromarray(picture.to_channels()).save(file, name, **metadata_arguments(picture.metadata), **given)
    return file.getvalue()


def metadata_arguments(metadata: Metadata) -> dict[str, bytes]:
    """Return the EXIF block, colour profile and XMP that are present, by Pillow's option names."""
    exif = with_prefix(metadata.exif) if metadata.exif else None
    options = {"exif": exif, "icc_profile": metadata.icc, "xmp": metadata.xmp}
    return {name: value for name, value in options.items() if value}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings about malformed metadata back; lumen reports those itself."""
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def size_of(stream: BinaryIO) -> int:
    """Return the length of a file in bytes without moving the stream."""
    at = stream.tell()
    size = stream.seek(0, 2)
    stream.seek(at)
    return size


def _plain(image: Image.Image) -> Image.Image:
    """Return the image with palettes, single bits and transparent colours resolved: L, LA, RGB, RGBA or CMYK."""
    opaque = {"1": "L", "P": "RGB"}.get(image.mode, image.mode)
    mode = {"L": "LA", "RGB": "RGBA"}.get(opaque, opaque) if "transparency" in image.info else opaque
    return image if mode == image.mode else image.convert(mode)


def _samples(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return `[H, W]` or `[H, W, C]`, copied in strips: numpy's own conversion would hold the picture twice more."""
    width, height = image.size
    bands = len(image.getbands())
    samples = np.empty((height, width, bands) if bands > 1 else (height, width), np.uint8)
    for rows in strips(height, width):
        samples[rows] = np.asarray(image.crop((0, rows.start, width, rows.stop)))
    return samples


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) and value else None


def _resolution(value: object) -> tuple[float, float] | None:
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    x, y = (float(v) for v in value)
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
