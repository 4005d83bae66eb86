"""Pixels that are not square stay so, whatever a file tells it by, or a warning says that it is lost."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
import tifffile
from PIL import Image

from lumen.codecs import density
from lumen.codecs.codec import encode_picture
from lumen.codecs.limits import stripped
from lumen.imaging.formats import Format
from tests.support.codecs import needs_heif, read
from tests.support.crafted import heic, patched, png_chunk
from tests.support.files import RGB, exif, picture, ramp, saved, tiff


def jpeg(unit: int, x: int, y: int) -> bytes:
    data = saved(RGB, "JPEG")
    return patched(data, data.index(b"JFIF\0") + 7, struct.pack(">BHH", unit, x, y))


def png(unit: int, x: int, y: int) -> bytes:
    data = saved(RGB, "PNG")
    return data[:33] + png_chunk(b"pHYs", struct.pack(">IIB", x, y, unit)) + data[33:]


def told(data: bytes) -> tuple[str, Any]:
    """Return the unit, and how many times taller than wide a pixel's neighbours lie, from the fields of a file."""
    if data.startswith(b"\xff\xd8"):
        unit, x, y = struct.unpack_from(">BHH", data, data.index(b"JFIF\0") + 7)
        return ("none", "inch", "cm")[unit], y / x
    if data.startswith(b"\x89PNG"):
        x, y, unit = struct.unpack_from(">IIB", data, data.index(b"pHYs") + 4)
        return ("none", "m")[unit], y / x
    with tifffile.TiffFile(BytesIO(data)) as file:
        tags = file.pages.first.tags
        x, y = (tags.valueof(name)[0] / tags.valueof(name)[1] for name in ("XResolution", "YResolution"))
        return ("none", "inch", "cm")[tags.valueof("ResolutionUnit") - 1], y / x


def with_shape(data: bytes, width: int, height: int) -> bytes:
    """Return an AVIF or HEIC file with the shape of a pixel at its end, where decoders do not look for it."""
    return data + struct.pack(">I4s", 24, b"meta") + struct.pack(">I4sII", 16, b"pasp", width, height)


SOURCES = {
    "jpeg": (jpeg(0, 1, 2), 2),
    "wide jpeg": (jpeg(0, 59, 54), 54 / 59),
    "png": (png(0, 8, 32), 4),
    "tiff": (tiff(ramp(), resolution=(1, 2), resolutionunit="NONE"), 2),
    "fractions": (tiff(ramp(), resolution=(1, 1.0940), resolutionunit="NONE"), 1.0940),
}


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_shape_without_a_unit_is_kept_in_each_format_that_can_tell_it(source: str, kind: Format) -> None:
    data, ratio = SOURCES[source]
    found = read(data)
    assert found.metadata.dpi is None
    for made in (found, stripped(found)):
        written, warnings = encode_picture(made, kind)
        assert warnings == ()
        assert told(written) == ("none", pytest.approx(ratio, rel=1e-6))
    again = read(written).metadata.aspect
    assert again is not None
    assert again[1] / again[0] == pytest.approx(ratio, rel=1e-6)


@pytest.mark.parametrize("kind", ["webp", "avif", "bmp"])
def test_a_format_that_cannot_tell_it_gives_a_warning(kind: Format) -> None:
    assert encode_picture(read(jpeg(0, 1, 2)), kind)[1] == (
        f"the aspect of the pixels was left out: {kind} cannot hold it; the picture may look stretched",
    )
    assert encode_picture(read(jpeg(0, 1, 1)), kind)[1] == ()


@pytest.mark.parametrize(
    "data", [jpeg(0, 1, 1), jpeg(0, 0, 2), jpeg(7, 1, 2), png(0, 8, 8), png(0, 0, 2), tiff(ramp())]
)
def test_square_pixels_and_nonsense_tell_nothing(data: bytes) -> None:
    found = read(data).metadata
    assert (found.dpi, found.aspect) == (None, None)


def test_exif_may_be_the_only_place_that_tells_it() -> None:
    block = Image.Exif()
    block[0x011A], block[0x011B], block[0x0128] = 1.0, 2.0, 1
    found = read(saved(RGB, "JPEG", exif=block.tobytes()))
    assert told(encode_picture(found, "tiff")[0]) == ("none", 2)
    assert told(encode_picture(stripped(found), "png")[0]) == ("none", 2)
    assert told(encode_picture(found, "jpeg")[0]) == ("none", 2)
    assert encode_picture(found, "webp")[1] == ()  # the block tells it there
    assert encode_picture(found, "bmp")[1] == (
        "the EXIF was left out: bmp cannot hold it; only date, place and camera are missing",
        "the aspect of the pixels was left out: bmp cannot hold it; the picture may look stretched",
    )
    block[0x0128], block[0x0112] = 2, 6  # a resolution of another shape
    both = read(patched(saved(RGB, "JPEG", exif=block.tobytes()), 13, struct.pack(">BHH", 0, 3, 1)))
    for kind in ("jpeg", "png", "tiff"):
        assert told(encode_picture(both, kind)[0]) == ("none", pytest.approx(1 / 3))
    assert "aspect of the pixels" in str(encode_picture(both, "webp")[1])
    assert both.turned(6).metadata.aspect == (1, 3)


@pytest.mark.parametrize(
    ("source", "unit", "ratio"),
    [
        (tiff(ramp(), resolution=(1, 2), resolutionunit="CENTIMETER"), "cm", 2),
        (jpeg(2, 1, 2), "cm", 2),
        (png(1, 100, 200), "cm", 2),
        (png(1, 2835, 5669), "inch", 2),
        (png(1, 2, 3), "none", 1.5),  # too coarse for a JPEG
        (tiff(ramp(), resolution=(300, 150), resolutionunit="INCH"), "inch", 0.5),
    ],
)
def test_a_resolution_in_whole_numbers_keeps_the_shape(source: bytes, unit: str, ratio: float) -> None:
    assert told(encode_picture(read(source), "jpeg")[0]) == (unit, pytest.approx(ratio))


def test_gif_avif_and_heic_tell_it_by_the_width_of_a_pixel() -> None:
    gif = patched(saved(RGB.quantize(20), "GIF"), 12, bytes([113]))  # (113 + 15) / 64: twice as wide as tall
    assert told(encode_picture(read(gif), "png")[0]) == ("none", 2)
    assert read(patched(gif, 12, bytes([49]))).metadata.aspect is None
    assert read(with_shape(saved(RGB, "AVIF"), 2, 1)).metadata.aspect == (1, 2)
    assert read(with_shape(saved(RGB, "AVIF"), 1, 1)).metadata.aspect is None
    avif = encode_picture(read(with_shape(saved(RGB, "AVIF"), 2, 1)), "avif")
    assert avif[1] == ("the aspect of the pixels was left out: avif cannot hold it; the picture may look stretched",)


@needs_heif
def test_heic_tells_it_too_and_it_turns_with_the_picture() -> None:
    for turn, shape in ((1, (1, 2)), (6, (2, 1))):
        made, _ = encode_picture(picture(exif=exif(turn)), "heif")
        assert read(with_shape(made, 2, 1)).metadata.aspect == shape
    assert read(heic(ramp(64, 96))).metadata.aspect is None


def test_whole_numbers_have_the_same_ratio() -> None:
    assert density.whole((3, 1), 65_535) == (3, 1)
    assert density.whole((0.5, 1.5), 65_535) == (1, 3)
    assert density.whole((1e9, 1), 100) == (100, 1)  # the nearest
    assert density.same_shape((300, 300.4), (72, 72))
    assert not density.same_shape((1, 2), (72, 72))
