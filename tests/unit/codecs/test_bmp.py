"""BMP: alpha and profiles, which Pillow leaves out."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.codecs.codec import encode_picture, read_picture, write_picture
from lumen.color import icc
from lumen.errors import DecodeError, EncodeError, UnsupportedError
from tests.support.codecs import read
from tests.support.crafted import bmp, bmp_array, bmp_fields, bmp_top_down, patched
from tests.support.files import RGB, picture, ramp, saved


@pytest.mark.parametrize("dpi", [None, (300.0, 150.0)])
def test_bmp_keeps_alpha(dpi: tuple[float, float] | None, tmp_path: Path) -> None:
    made = picture(4, dpi=dpi)
    assert write_picture(made, tmp_path / "a.bmp") == ()
    found = read_picture(tmp_path / "a.bmp")
    np.testing.assert_array_equal(found.to_channels(), ramp(channels=4))
    with Image.open(tmp_path / "a.bmp") as image:
        assert image.mode == "RGBA"
    assert found.metadata.dpi == (pytest.approx(dpi, rel=1e-2) if dpi else None)


def bmp_with_profile(profile: bytes, kind: bytes = b"DEBM") -> bytes:
    """Return a BMP whose header of version 5 says where its profile is."""
    rows = ramp(37, 52)[::-1, :, ::-1].tobytes()
    start = 14 + 124
    header = struct.pack("<2sIHHI", b"BM", start + len(rows) + len(profile), 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 124, 52, 37, 1, 24, 0, len(rows), 2835, 2835, 0, 0) + bytes(16)
    header += kind + bytes(48) + struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    return header + rows + profile


def test_the_profile_of_a_bmp_goes_where_it_can_and_its_loss_is_told() -> None:
    found = read(bmp_with_profile(icc.p3_profile()))
    np.testing.assert_array_equal(found.pixels, ramp(37, 52))
    assert found.metadata.icc == icc.p3_profile()
    png, told = encode_picture(found, "png")
    assert (read(png).metadata.icc, told) == (icc.p3_profile(), ())
    assert encode_picture(found, "bmp")[1] == (
        "the ICC profile was left out: bmp cannot hold it; the colours may look different",
    )
    for other in (bmp_with_profile(b"", b"BGRs"), bmp_with_profile(b"c:\\x.icc\0", b"KNIL"), saved(RGB, "BMP")):
        assert read(other).metadata.icc is None


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (32, (0xFF, 0xFF00, 0xFF0000, 0)),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
        (32, (0x3FF00000, 0xFFC00, 0x3FF, 0)),
        (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
        (32, (0xFFE00000, 0x1FFC00, 0x3FF, 0)),
        (32, (0xFE000000, 0x1FFFF80, 0x7F, 0)),  # 18 bits of green
        (16, (0xF00, 0xF0, 0xF, 0xF000)),
        (16, (0xF00, 0xF0, 0xF, 0)),
        (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
        (16, (0x300, 0xE0, 0x1F, 0)),
    ],
)
def test_bit_fields_of_every_layout_are_read_at_full_range(
    bits: int, masks: tuple[int, int, int, int], short: bool
) -> None:
    data, shares = bmp_fields(bits, masks, short=short)
    found = read(data)
    deep = max(mask.bit_count() for mask in masks) > 8
    assert found.sample == ("uint16" if deep else "uint8")
    assert (found.alpha is not None) is bool(masks[3])
    assert np.abs(found.to_channels() - shares * (65_535 if deep else 255)).max() <= (
        1 if masks[1] == 0x1FFFF80 else 0.51
    )
    assert found.metadata.dpi == pytest.approx((72, 72), rel=1e-3)
    for cut in (30, 60, 400, len(data) - 1):
        with pytest.raises(DecodeError, match=r"damaged or truncated|ends too early"):
            read(data[:cut])


def test_bit_fields_may_come_top_down_and_with_a_limit() -> None:
    data, _ = bmp_fields(16, (0xF00, 0xF0, 0xF, 0))
    np.testing.assert_array_equal(read(patched(data, 22, struct.pack("<i", -37))).pixels, read(data).pixels[::-1])
    with pytest.raises(UnsupportedError, match="got 53x37; raise the limit"):
        read(data, max_pixels=1000)
    with pytest.raises(DecodeError, match="ends before its picture does"):
        read(patched(data, 18, struct.pack("<ii", 20_000, 20_000)))
    with pytest.raises(DecodeError, match="a mask in it has gaps"):
        read(patched(data, 54, struct.pack("<I", 0xF05)))
    with pytest.raises(DecodeError, match="claims -5x37 pixels"):
        read(patched(data, 18, struct.pack("<i", -5)))


def test_deep_bit_fields_are_never_lowered_silently() -> None:
    data, _ = bmp_fields(32, (0x3FF00000, 0xFFC00, 0x3FF, 0))
    with pytest.raises(EncodeError, match="expected 8-bit pixels for bmp"):
        encode_picture(read(data), "bmp")
    assert read(encode_picture(read(data), "bmp", allow_8bit=True)[0]).sample == "uint8"
    assert read(data).bits == 10


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (bmp(53, 37, 0, 4, (0, 0, 0, 0), b"\xff\xd8\xff\xd9"), "JPEG inside"),
        (bmp(53, 37, 0, 5, (0, 0, 0, 0), b"\x89PNG"), "PNG inside"),
        (bmp(53, 37, 2, 0, (0, 0, 0, 0), bytes(16 * 37)), "2 bits a pixel"),
        (bmp(53, 37, 64, 0, (0, 0, 0, 0), bytes(8 * 53 * 37)), "64 bits a pixel"),
        (patched(saved(RGB, "BMP"), 14, struct.pack("<I12xI", 64, 4)), "an OS/2 packing"),
        (patched(saved(RGB, "BMP"), 14, struct.pack("<I", 16)), "a short OS/2 header"),
    ],
)
def test_kinds_of_bmp_that_are_not_read_are_named(data: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedError, match=f"run lengths or bit fields, got {kind}; save it as PNG"):
        read(data)


def test_the_first_bitmap_of_an_os2_array_is_read() -> None:
    plain, (by_fields, _) = saved(RGB, "BMP"), bmp_fields(16, (0xF00, 0xF0, 0xF, 0xF000))
    for bitmap in (plain, by_fields, bmp_top_down()):
        expected = read(bitmap).to_channels()
        found = read(bmp_array(bitmap))
        np.testing.assert_array_equal(found.to_channels(), expected)
        assert (found.format, found.notes) == ("bmp", ())
        several = bmp_array(bitmap, saved(RGB.resize((8, 8)), "BMP"), plain)
        with pytest.raises(
            UnsupportedError, match="got an OS/2 array of 3 bitmaps; take the first with --frames first"
        ):
            read(several)
        first = read(several, first_frame=True)
        np.testing.assert_array_equal(first.to_channels(), expected)
        assert first.notes == ("only the first picture of an OS/2 array of 3 bitmaps was used",)


def test_os2_arrays_of_other_things_are_named() -> None:
    icons = patched(bmp_array(saved(RGB, "BMP")), 14, b"IC")
    with pytest.raises(UnsupportedError, match="got one of icons or pointers; save it as PNG"):
        read(icons)


@pytest.mark.parametrize("length", [6, 15, 20, 30, 60, 2000])
def test_an_os2_array_that_ends_early_is_damaged(length: int) -> None:
    with pytest.raises(DecodeError):
        read(bmp_array(saved(RGB, "BMP"))[:length])
