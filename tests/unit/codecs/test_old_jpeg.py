"""TIFF files packed by old-style JPEG."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from lumen.codecs import exif
from lumen.errors import DecodeError, UnsupportedError
from tests.support.codecs import read
from tests.support.crafted import old_jpeg, patched
from tests.support.files import ramp


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("turn", [1, 3, 6])
def test_old_style_jpeg_is_read_as_stored(turn: int, order: str) -> None:
    found = read(old_jpeg(turn, order=order))
    assert np.abs(found.pixels.astype(int) - ramp()).mean() < 1
    assert exif.orientation(found.metadata.exif) == turn
    assert found.notes == ()


def test_what_libtiff_does_not_read_is_named() -> None:
    with pytest.raises(
        UnsupportedError, match=r"old-style JPEG that libtiff reads, got another or a damaged one.*as PNG"
    ):
        read(old_jpeg(gray=True))


def test_a_stream_of_another_size_is_refused_before_memory_is_taken() -> None:
    data = old_jpeg()
    frame = data.index(b"\xff\xc0") + 5
    with pytest.raises(DecodeError, match="has another size than the picture"):
        read(patched(data, frame, struct.pack(">HH", 60_000, 60_000)))
    for tag in (256, 257, 278):
        at = data.index(struct.pack("<HHI", tag, 4, 1))
        data = patched(data, at + 8, struct.pack("<I", 20_000))
    with pytest.raises(DecodeError, match="the file is too short for them"):
        read(data)
    with pytest.raises(DecodeError):
        read(old_jpeg()[:-400])
