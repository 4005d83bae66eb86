"""IPTC moves between JPEG and TIFF."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, IptcImagePlugin

from lumen.codecs import iptc
from lumen.codecs.codec import encode_picture
from tests.support.codecs import read
from tests.support.corpus import IPTC_FIELDS, RESOURCES
from tests.support.crafted import jpeg_segment
from tests.support.files import RGB, ramp, saved, tiff


def test_iptc_moves_between_jpeg_and_tiff() -> None:
    jpeg = read(saved(RGB, "JPEG", extra=jpeg_segment(0xED, b"Photoshop 3.0\0" + RESOURCES)))
    tiff_data, warnings = encode_picture(jpeg, "tiff")
    assert warnings == ()
    with Image.open(BytesIO(tiff_data)) as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"A dark street", (2, 25): b"night"}
    back, _ = encode_picture(read(tiff_data), "jpeg")
    assert read(back).metadata.iptc == jpeg.metadata.iptc


@pytest.mark.parametrize("kind", [1, 7, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_iptc_of_a_tiff_is_found_however_it_is_stored(kind: int, order: str) -> None:
    fields = IPTC_FIELDS + bytes(-len(IPTC_FIELDS) % 4)
    value: Any = struct.unpack(f"{order}{len(fields) // 4}I", fields) if kind == 4 else fields
    data = tiff(ramp(), byteorder=order, extratags=[(33723, kind, len(value), value, True)])
    found = read(data).metadata.iptc
    assert found is not None
    assert iptc.fields_of(found) == fields


def test_numbers_in_the_wrong_order_are_put_right() -> None:
    swapped = b"".join(IPTC_FIELDS[at : at + 4][::-1] for at in range(0, 24, 4))
    assert iptc.fields_of(iptc.wrapped(swapped) or b"") == IPTC_FIELDS[:24]
    assert iptc.wrapped(b"rubbish!") is None
