"""Pictures and files made for tests, by other means than the code under test."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image, ImageCms

from lumen.imaging.formats import Format
from lumen.imaging.picture import Metadata, Picture
from lumen.spec import SampleType

Array = npt.NDArray[Any]

XMP = b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="w"?>'
MAKER_NOTE = bytes(range(200))


def ramp(height: int = 37, width: int = 53, channels: int = 3, dtype: Any = np.uint8) -> Array:
    """Return a smooth picture that no symmetry maps onto itself; `[H, W]` for one channel."""
    y, x = np.mgrid[:height, :width]
    planes = [(x * (3 + c) + y * (5 - c) + 40 * c) % 1000 / 1000 for c in range(channels)]
    top = np.iinfo(dtype).max
    # The lowest bits of deep pictures are in use, so that a detour over 8 bits cannot go unseen.
    stacked: Array = np.rint(np.dstack(planes) * top).astype(dtype)
    return stacked[..., 0] if channels == 1 else stacked


@cache  # the profile holds the time it was made
def icc() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int = 6, *, padding: int = 0) -> bytes:
    """Return an EXIF block with a description, a maker note, a GPS directory and the given orientation."""
    block = Image.Exif()
    block[0x010E] = "a dark street" + "." * padding
    block[0x010F] = "Maker"
    block[0x0112] = orientation
    block[0x8769] = {0x829A: 0.04, 0x8827: 3200, 0x927C: MAKER_NOTE, 0x9003: "2024:01:02 03:04:05"}
    block[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}
    return block.tobytes().removeprefix(b"Exif\0\0")


def with_thumbnail(block: bytes, thumbnail: bytes, *, behind: bytes = b"") -> bytes:
    """Return an EXIF block with a second directory, a JPEG thumbnail, and what stands behind it."""
    order = ">" if block.startswith(b"MM") else "<"
    (first,) = struct.unpack_from(order + "I", block, 4)
    link = first + 2 + 12 * struct.unpack_from(order + "H", block, first)[0]
    block += b"\0" * (len(block) % 2)
    start = len(block) + 2 + 3 * 12 + 4
    entries = [(0x0103, 3, 1, 6 << 16 if order == ">" else 6), (0x0201, 4, 1, start), (0x0202, 4, 1, len(thumbnail))]
    second = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    second = struct.pack(order + "H", 3) + second + b"\0\0\0\0"
    return block[:link] + struct.pack(order + "I", len(block)) + block[link + 4 :] + second + thumbnail + behind


def tags(block: bytes | None) -> dict[str, Any]:
    """Return what Pillow reads in an EXIF block, flat and comparable."""
    read = Image.Exif()
    read.load(block or b"")
    found = {"description": read.get(0x010E), "maker": read.get(0x010F), "orientation": read.get(0x0112)}
    photo, gps = read.get_ifd(0x8769), read.get_ifd(0x8825)
    found |= {"iso": photo.get(0x8827), "note": photo.get(0x927C), "date": photo.get(0x9003)}
    found |= {"exposure": float(photo.get(0x829A, 0)), "gps": [float(v) for v in gps.get(2, ())]}
    return found


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(samples: Array, **options: Any) -> bytes:
    file = BytesIO()
    known = {"photometric": "rgb" if samples.ndim == 3 and samples.shape[-1] >= 3 else "minisblack", "metadata": None}
    tifffile.imwrite(file, samples, **(known | options))
    return file.getvalue()


def deep_png(samples: Array) -> bytes:
    """Return a 16-bit PNG written chunk by chunk."""
    height, width = samples.shape[:2]
    color = {1: 0, 2: 4, 3: 2, 4: 6}[1 if samples.ndim == 2 else samples.shape[2]]
    rows = samples.astype(">u2").reshape(height, -1).tobytes()
    step = len(rows) // height
    raw = b"".join(b"\0" + rows[y * step : (y + 1) * step] for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def needs_attributes(folder: Path) -> None:
    """Skip a test where files have no extended attributes."""
    probe = folder / ".probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.probe", b"1")
    except (AttributeError, OSError):
        pytest.skip("this system, or this disk, has no extended attributes")
    finally:
        probe.unlink()


HEIF: tuple[Format, ...] = ("heif",) if find_spec("pillow_heif") else ()
KINDS: tuple[Format, ...] = ("jpeg", "png", "webp", "tiff", "bmp", "avif", *HEIF)
RGB = Image.fromarray(ramp())
SOUND: dict[str, Callable[[], bytes]] = {
    "baseline.jpg": lambda: saved(RGB, "JPEG", quality=95),
    "progressive.jpg": lambda: saved(RGB, "JPEG", quality=95, progressive=True),
    "gray.jpg": lambda: saved(RGB.convert("L"), "JPEG", quality=95),
    "rgb.png": lambda: saved(RGB, "PNG"),
    "deep.png": lambda: deep_png(ramp(dtype=np.uint16)),
    "lossy.webp": lambda: saved(RGB, "WEBP", quality=95),
    "lossless.webp": lambda: saved(RGB, "WEBP", lossless=True),
    "rgb.bmp": lambda: saved(RGB.crop((0, 0, 52, 37)), "BMP"),
    "raw.tif": lambda: tiff(ramp()),
    "deep.tif": lambda: tiff(ramp(dtype=np.uint16)),
    "lzw.tif": lambda: tiff(ramp(dtype=np.uint16), compression="lzw", predictor=True),
    "jpeg.tif": lambda: tiff(ramp(64, 64), compression="jpeg"),
    "rgb.gif": lambda: saved(RGB.quantize(200), "GIF"),
    "rgb.avif": lambda: saved(RGB, "AVIF", quality=95),
    "pillow.tif": lambda: saved(RGB, "TIFF", compression="tiff_adobe_deflate"),
}


def picture(channels: int = 3, dtype: Any = np.uint8, **facts: Any) -> Picture:
    kind = facts.pop("format", "png")
    return Picture.from_channels(ramp(channels=channels, dtype=dtype), kind=kind, metadata=Metadata(**facts))


def noise(height: int, width: int, sample: SampleType = "uint8") -> Picture:
    """Return a dark picture of noise."""
    pixels = np.random.default_rng(0).integers(0, np.iinfo(sample).max // 3, (height, width, 3)).astype(sample)
    return Picture(pixels=pixels, metadata=Metadata(dpi=(72.0, 72.0)), format="png")
