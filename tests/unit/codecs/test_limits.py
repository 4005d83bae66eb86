"""What a format cannot hold is refused or told."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.codecs.codec import encode_picture, write_picture
from lumen.codecs.exif import orientation, resolution
from lumen.codecs.limits import stripped
from lumen.errors import EncodeError
from lumen.imaging.formats import Format
from lumen.imaging.picture import Extra, Picture
from tests.support.codecs import read
from tests.support.corpus import RESOURCES
from tests.support.crafted import CHUNKS, jpeg_segment, with_chunks
from tests.support.files import RGB, XMP, exif, icc, picture, saved


def test_grey_profiles_do_not_go_into_webp(tmp_path: Path) -> None:
    profile = icc()[:16] + b"GRAY" + icc()[20:]
    warnings = write_picture(picture(1, icc=profile, dpi=(72, 72)), tmp_path / "a.webp")
    assert warnings == (
        "the ICC profile was left out: webp cannot store greyscale; the colours may look different",
        "the resolution was left out: webp cannot hold it; only the size in print changes",
    )


def test_16_bits_go_into_8_only_when_allowed() -> None:
    deep = picture(4, np.uint16)
    for kind in ("webp", "avif"):
        with pytest.raises(EncodeError, match="expected 8-bit pixels"):
            encode_picture(deep, "webp")
        data, _ = encode_picture(deep, "webp", allow_8bit=True)
        found = read(data)
        assert found.sample == "uint8", kind
        assert np.abs(found.pixels.astype(int) - (deep.pixels.astype(int) + 128) // 257).mean() < 3
    png, _ = encode_picture(deep, "png", allow_8bit=True)
    assert read(png).sample == "uint16"  # what holds 16 bits gets them


def test_a_side_that_is_too_long_is_told_before_any_work() -> None:
    for kind, side in (("jpeg", 65_536), ("webp", 16_384), ("avif", 32_769)):
        long = Picture(pixels=np.zeros((1, side, 3), np.uint8), format="png")
        with pytest.raises(
            EncodeError, match=rf"cannot store {side}x1 pixels as {kind}: it allows {side - 1} pixels a side"
        ):
            encode_picture(long, kind)  # type: ignore[arg-type]


def test_what_another_format_cannot_hold_is_told() -> None:
    _, warnings = encode_picture(read(with_chunks(*CHUNKS)), "jpeg")
    assert warnings == (
        "the colour description was left out: jpeg cannot hold it; the colours may look different",
        "the text was left out: jpeg cannot hold it; the picture looks the same",
    )
    plain = ((b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0"), CHUNKS[1])
    assert encode_picture(read(with_chunks(*plain)), "jpeg")[1] == ()
    jpeg = saved(RGB, "JPEG", comment="dark", extra=jpeg_segment(0xED, b"Photoshop 3.0\0" + RESOURCES))
    assert encode_picture(read(jpeg), "webp")[1] == (
        "the IPTC was left out: webp cannot hold it; only captions and keywords are missing",
        "the comment was left out: webp cannot hold it; the picture looks the same",
    )


def test_stripped_pictures_look_the_same() -> None:
    extras = tuple(Extra(format="png", kind=kind, data=data, label="x") for kind, data in CHUNKS)
    made = picture(exif=exif(6), icc=icc(), xmp=XMP, dpi=(300, 300), iptc=RESOURCES, comment=b"x", extras=extras)
    found = stripped(made).metadata
    assert orientation(found.exif) == 6
    assert b"street" not in (found.exif or b"")
    assert (found.icc, found.dpi) == (icc(), (300, 300))
    assert (found.xmp, found.iptc, found.comment) == (None, None, None)
    assert [extra.kind for extra in found.extras] == [b"gAMA", b"cHRM"]


def with_resolution(x: float, unit: int) -> bytes:
    """Return an EXIF block that says a resolution, as cameras write it."""
    block = Image.Exif()
    block[0x0112], block[0x011A], block[0x011B], block[0x0128] = 6, x, 2 * x, unit
    return block.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize(("x", "unit"), [(300.0, 2), (300 / 2.54, 3)])
def test_a_resolution_that_only_the_exif_says_is_kept(x: float, unit: int) -> None:
    found = read(saved(RGB, "JPEG", exif=b"Exif\0\0" + with_resolution(x, unit)))
    for kind in ("tiff", "bmp", "jpeg", "png"):
        bare, _ = encode_picture(stripped(found) if kind in ("jpeg", "png") else found, kind)
        dpi = (600, 300) if kind == "bmp" else (300, 600)  # it is turned
        assert read(bare).metadata.dpi == pytest.approx(dpi, rel=1e-2), kind
    for nothing in (None, b"rubbish", with_resolution(0.0, 2), exif(1)):
        assert resolution(nothing) == (None, None)
    assert resolution(with_resolution(300.0, 1)) == (None, (300, 600))


def test_a_resolution_that_the_exif_does_not_say_is_missed() -> None:
    for block, told in ((exif(1), 1), (with_resolution(300.0, 2), 0), (with_resolution(300.0, 3), 0), (None, 1)):
        made = picture(exif=block, dpi=(300.0, 600.0))
        for kind in ("webp", "avif"):
            assert (
                encode_picture(made, kind)[1]
                == (f"the resolution was left out: {kind} cannot hold it; only the size in print changes",) * told
            )


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "bmp"])
def test_a_resolution_that_stands_only_in_the_exif_block_is_where_programs_look(kind: Format) -> None:
    block = Image.Exif()
    block[0x011A], block[0x011B], block[0x0128] = 100.0, 50.0, 3  # per centimetre
    source = bytearray(saved(RGB, "JPEG", exif=block.tobytes()))
    assert source[13] == 0  # its JFIF header has none
    found = read(bytes(source))
    assert found.metadata.dpi is None
    data, _ = encode_picture(found, kind)
    assert read(data).metadata.dpi == pytest.approx((254, 127), rel=1e-3)
