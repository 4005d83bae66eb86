"""Videos of motion photos in HEIC and AVIF files; `test_jpeg.py` has those of JPEG files."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO

import pytest

from lumen.codecs.codec import encode_picture
from lumen.codecs.limits import stripped
from lumen.codecs.motion import film_in_box
from lumen.imaging.formats import Format
from tests.support.codecs import needs_heif, read
from tests.support.crafted import heic
from tests.support.files import RGB, XMP, ramp, saved

FILM = b"\0\0\0\x18ftypmp42" + bytes(500)
BOX = struct.pack(">I4s", len(FILM) + 8, b"mpvd") + FILM
SAID = XMP.replace(b"<x:xmpmeta ", b'<x:xmpmeta a:MotionPhoto="1" ')


@pytest.mark.parametrize(
    ("kind", "still"),
    [
        pytest.param("heif", lambda: heic(ramp(64, 96), xmp=SAID), marks=needs_heif),
        ("avif", lambda: saved(RGB, "AVIF", xmp=SAID)),
    ],
)
def test_the_video_stays_in_its_box_behind_the_still(kind: Format, still: Callable[[], bytes]) -> None:
    found = read(still() + BOX)
    assert (found.format, found.notes, found.damage) == (kind, (), None)
    data, told = encode_picture(found, kind)
    assert told == ("the video of the motion photo was kept as it is, as dark as before; only the picture is brighter",)
    assert data.endswith(BOX)
    assert read(data).metadata.extras == found.metadata.extras
    assert encode_picture(found, "png")[1] == (
        "the video of the motion photo was left out: png cannot hold it; the picture looks the same",
    )
    assert BOX not in encode_picture(stripped(found), kind)[0]
    for lost in (still(), still() + BOX[:-1]):
        assert read(lost).notes == ("the video of the motion photo was left out: the picture itself is whole",)


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        (struct.pack(">I4sQ", 1, b"mpvd", len(FILM) + 16), b""),  # its length in 64 bits
        (struct.pack(">I4s", 0, b"mpvd"), b""),  # up to the end
        (BOX[:8], struct.pack(">I4s4x", 12, b"free")),  # another box behind it
    ],
)
def test_a_box_is_found_however_its_length_is_told(head: bytes, tail: bytes) -> None:
    before = struct.pack(">I4s8x", 16, b"ftyp")
    (film,) = film_in_box(BytesIO(before + head + FILM + tail), "heif")
    assert film.data == head + FILM
    assert film_in_box(BytesIO(before + tail), "heif") == ()
