"""The items of AVIF files: what was taken apart is put together again."""

from __future__ import annotations

from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from lumen.codecs.avif_items import CODED, items_of, joined
from lumen.codecs.codec import encode_picture
from lumen.color.icc import p3_profile
from tests.support.codecs import read
from tests.support.files import XMP, picture, ramp
from tests.support.files import exif as exif_block


def with_everything() -> bytes:
    return encode_picture(picture(4, exif=exif_block(6), icc=p3_profile(), xmp=XMP), "avif")[0]


def test_a_file_is_the_same_after_it_was_taken_apart() -> None:
    data = with_everything()
    again = joined(items_of(data), data)
    assert items_of(again) == items_of(data)
    before, after = read(data), read(again)
    np.testing.assert_array_equal(after.to_channels(), before.to_channels())
    assert after.metadata == before.metadata
    with Image.open(BytesIO(again)) as image, Image.open(BytesIO(data)) as first:
        assert image.info.keys() == first.info.keys()
        assert image.getexif().get(0x0112) == 6


def test_items_know_their_kind_and_what_they_lead_to() -> None:
    items = items_of(with_everything())
    assert [item.kind for item in items.values()] == [CODED, CODED, b"Exif", b"mime"]
    to_first = [((kind, (1,)),) for kind in (b"auxl", b"cdsc", b"cdsc")]
    assert [item.references for item in items.values()] == [(), *to_first]
    assert items[4].data == XMP
    assert items[1].property(b"irot")[8:] == b"\3"
    with pytest.raises(ValueError, match="has no box b'auxC'"):
        items[1].property(b"auxC")


def test_an_opaque_picture_without_metadata_is_one_item() -> None:
    data = bytes(imagecodecs.avif_encode(ramp(64, 64), level=90))
    assert list(items_of(data)) == [1]
    np.testing.assert_array_equal(read(joined(items_of(data), data)).pixels, read(data).pixels)


@pytest.mark.parametrize("box", [b"iloc", b"ipma", b"infe"])
def test_other_layouts_are_noticed(box: bytes) -> None:
    data = bytearray(with_everything())
    data[data.index(box) + 4] = 1  # the version
    with pytest.raises(ValueError, match="is of another kind"):
        items_of(bytes(data))


def test_a_file_that_ends_early_is_noticed() -> None:
    data = with_everything()
    with pytest.raises(ValueError, match="is of another kind"):
        items_of(data[:-1])
