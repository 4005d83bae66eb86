"""BMP: alpha and profiles, which Pillow leaves out."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.codecs.codec import encode_picture, read_picture, write_picture
from lumen.color import icc
from tests.support.codecs import read
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
    assert encode_picture(found, "bmp")[1] == ("the ICC profile was left out: bmp cannot hold it",)
    for other in (bmp_with_profile(b"", b"BGRs"), bmp_with_profile(b"c:\\x.icc\0", b"KNIL"), saved(RGB, "BMP")):
        assert read(other).metadata.icc is None
