"""JPEG, WebP, BMP and 8-bit PNG, by Pillow.

The formats' own classes are opened instead of `Image.open`: the kind of file is known by then, and Pillow's size limit
(a process-wide variable that refuses 200-megapixel phone pictures) gives way to the caller's.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from lumen.errors import UnsupportedError
from lumen.imaging.exif import with_prefix, without_prefix
from lumen.imaging.picture import Format, Metadata, Picture, check_size


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's reader without its look into the EXIF block for a resolution.

    It warns on broken blocks and makes up 72 dpi where there is none. The block is carried as it is anyway.
    """

    def _read_dpi_from_exif(self) -> None:
        pass


_OPENERS: dict[Format, type[ImageFile.ImageFile]] = {
    "jpeg": _Jpeg,  # the base picture also of phones' multi-picture files
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
}
_STRIP_PIXELS = 1 << 19
_FULL_CHROMA_QUALITY = 90


def decode(stream: BinaryIO, kind: Format, max_pixels: int, metadata: Metadata | None = None) -> Picture:
    """Decode an 8-bit file completely.

    Args:
        stream: The file, seekable.
        kind: One of the formats above, as found by the file's first bytes.
        max_pixels: Largest number of pixels accepted.
        metadata: What is known of the file already; None takes it from Pillow.

    Raises:
        UnsupportedError: A sound file of a kind not handled: CMYK, animated, too large.
        OSError, SyntaxError, ValueError: The file is damaged or ends early, as Pillow puts it.
    """
    stream.seek(0)
    with _OPENERS[kind](stream) as image:
        check_size(*image.size, max_pixels)
        if getattr(image, "is_animated", False):
            raise UnsupportedError(
                f"expected one picture, got an animation of {getattr(image, 'n_frames', '?')} frames"
            )
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            raise UnsupportedError(f"expected a grey, RGB or palette picture, got {image.mode}; convert it to RGB")
        image.load()
        samples = _samples(_plain(image))
        return Picture.from_channels(samples, kind=kind, metadata=metadata or _metadata(image))


def encode(picture: Picture, kind: Format, quality: int) -> bytes:
    """Return an 8-bit picture as a JPEG, WebP or BMP file.

    Raises:
        OSError, ValueError: Pillow refuses the size or the metadata.
    """
    metadata, file = picture.metadata, BytesIO()
    image = Image.fromarray(picture.to_channels())
    if kind == "bmp":
        image.save(file, "BMP", **_given(dpi=metadata.dpi))
        return file.getvalue()
    kept = _given(
        exif=with_prefix(metadata.exif) if metadata.exif else None, icc_profile=metadata.icc, xmp=metadata.xmp
    )
    if kind == "webp":
        image.save(file, "WEBP", quality=quality, method=4, exact=True, **kept)
    else:
        chroma = "4:4:4" if quality >= _FULL_CHROMA_QUALITY else "4:2:0"
        image.save(file, "JPEG", quality=quality, subsampling=chroma, **kept, **_given(dpi=metadata.dpi))
    return file.getvalue()


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _plain(image: Image.Image) -> Image.Image:
    """Resolve palettes, single bits and transparent colours; return L, LA, RGB or RGBA."""
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
    exif, icc, xmp = (_bytes(info.get(key)) for key in ("exif", "icc_profile", "xmp"))
    return Metadata(exif=without_prefix(exif), icc=icc, xmp=xmp, dpi=_resolution(info.get("dpi")))


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) and value else None


def _resolution(value: object) -> tuple[float, float] | None:
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    x, y = (float(v) for v in value)
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
