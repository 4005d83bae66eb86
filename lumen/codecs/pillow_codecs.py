"""JPEG, BMP, GIF and 8-bit PNG, by Pillow.

The formats' own classes are opened instead of `Image.open`: the kind of file is known by then, and Pillow's size limit
(a process-wide variable that refuses 200-megapixel phone pictures) gives way to the caller's.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, PngImagePlugin

from lumen.codecs import jpeg
from lumen.codecs.bmp import embedded_profile, encode_with_alpha
from lumen.codecs.exif import with_prefix, without_prefix
from lumen.color import icc
from lumen.errors import UnsupportedError
from lumen.imaging.formats import Format
from lumen.imaging.picture import Chroma, Metadata, Picture, Samples, check_size, first_of

_OPENERS: dict[Format, type[ImageFile.ImageFile]] = {
    "jpeg": jpeg.JpegFile,  # the base picture also of phones' multi-picture files
    "png": PngImagePlugin.PngImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
}
_STRIP_PIXELS = 1 << 19
_SEARCHED = 1 << 28  # bytes of a JPEG; what is larger has a video behind it
# A JPEG takes two bits for 64 pixels at least; a GIF packs as LZW does, and may have a frame smaller than itself.
_MOST_PIXELS_PER_BYTE = {"jpeg": 1024, "gif": 8192, "bmp": 8, "rle": 4096, "png": 8800}


def decode(
    stream: BinaryIO, kind: Format, max_pixels: int, metadata: Metadata | None = None, *, first: bool = False
) -> Picture:
    """Decode an 8-bit file completely.

    Args:
        stream: The file, seekable.
        kind: One of the formats above, as found by the file's first bytes.
        max_pixels: Largest number of pixels accepted.
        metadata: What is known of the file already; None takes it from Pillow.
        first: Take the first picture of an animation.

    Raises:
        UnsupportedError: A sound file of a kind not handled: animated, too large, an odd colour space.
        OSError, SyntaxError, ValueError: The file is damaged or ends early, as Pillow puts it.
    """
    stream.seek(0)
    with _OPENERS[kind](stream) as image:
        check_size(*image.size, max_pixels)
        _check_plausible(image, kind, stream)
        notes = first_of(_frames(image), "an animation of {} frames", first=first)
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"):
            raise UnsupportedError(f"expected a grey, RGB or palette picture, got {image.mode}; convert it to RGB")
        image.load()
        samples: Samples = _samples(_plain(image))
        known, chroma = metadata or _metadata(image), None
        if kind == "bmp":
            known = replace(known, icc=embedded_profile(stream))
        if isinstance(image, jpeg.JpegFile):
            further, more = jpeg.further_metadata(image)
            known = replace(known, iptc=further.iptc, comment=further.comment, extras=further.extras)
            chroma, notes = jpeg.chroma_of(image), (*notes, *more)
        if image.mode == "CMYK":
            samples, note = icc.rgb_of_cmyk(samples, known.icc)
            known, notes = replace(known, icc=icc.srgb_profile()), (*notes, note)
        return Picture.from_channels(samples, kind=kind, metadata=known, chroma=chroma, notes=notes)


def encode(picture: Picture, kind: Format, quality: int, chroma: Chroma) -> bytes:
    """Return an 8-bit picture as a JPEG or BMP file.

    Raises:
        OSError, ValueError: Pillow refuses the size or the metadata.
    """
    if kind == "bmp" and picture.alpha is not None:
        return encode_with_alpha(picture)
    metadata, file = picture.metadata, BytesIO()
    image = Image.fromarray(picture.to_channels())
    if kind == "bmp":
        image.save(file, "BMP", **_given(dpi=metadata.dpi))
        return file.getvalue()
    image.save(
        file,
        "JPEG",
        quality=quality,
        subsampling=chroma,
        extra=jpeg.segments_of(metadata),
        **_given(
            exif=with_prefix(metadata.exif) if metadata.exif else None,
            icc_profile=metadata.icc,
            xmp=metadata.xmp,
            dpi=metadata.dpi,
            comment=metadata.comment,
        ),
    )
    return file.getvalue()


def _check_plausible(image: Image.Image, kind: Format, stream: BinaryIO) -> None:
    """Refuse what would take memory or time out of all proportion to the file.

    Raises:
        ValueError: No file of that length holds so many pixels, or it goes over them too often.
    """
    most = _MOST_PIXELS_PER_BYTE["rle" if kind == "bmp" and image.info.get("compression") in (1, 2) else kind]
    at = stream.tell()
    size = stream.seek(0, 2)
    if kind == "jpeg":
        stream.seek(0)
        jpeg.check_scans(stream.read(min(size, _SEARCHED)))  # the whole number would be reserved
    stream.seek(at)
    if image.width * image.height > most * size:
        raise ValueError(f"its header says {image.width}x{image.height}, which it is too short for")


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _frames(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1)) if getattr(image, "is_animated", False) else 1


def _plain(image: Image.Image) -> Image.Image:
    """Resolve palettes, single bits and transparent colours; return L, LA, RGB, RGBA or CMYK."""
    transparent = "transparency" in image.info
    if image.mode == "P":
        return image.convert("RGBA" if transparent else "RGB")
    if image.mode in ("1", "L") and transparent:
        return image.convert("LA")
    if image.mode == "RGB" and transparent:
        return image.convert("RGBA")
    return image.convert("L") if image.mode == "1" else image


def _samples(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return `[H, W]` or `[H, W, C]`, copied in strips: numpy's own way holds the picture twice more meanwhile."""
    width, height = image.size
    bands = len(image.getbands())
    samples = np.empty((height, width, bands) if bands > 1 else (height, width), np.uint8)
    step = max(1, _STRIP_PIXELS // width)
    for y in range(0, height, step):
        end = min(y + step, height)
        samples[y:end] = np.asarray(image.crop((0, y, width, end)))
    return samples


def _metadata(image: Image.Image) -> Metadata:
    info = image.info
    exif, profile, xmp, comment = (_bytes(info.get(key)) for key in ("exif", "icc_profile", "xmp", "comment"))
    return Metadata(exif=without_prefix(exif), icc=profile, xmp=xmp, dpi=_resolution(info.get("dpi")), comment=comment)


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) and value else None


def _resolution(value: object) -> tuple[float, float] | None:
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    x, y = (float(v) for v in value)
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
