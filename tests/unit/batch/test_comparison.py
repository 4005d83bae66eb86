"""Before and after in one picture."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.batch.comparison import comparison, preview
from lumen.imaging.picture import Metadata, Picture
from tests.support.crafted import gray_profile
from tests.support.files import exif, ramp


def picture(pixels: Any, **facts: Any) -> Picture:
    return Picture(pixels=pixels, format="png", **facts)


def test_small_pictures_stay_as_they_are() -> None:
    np.testing.assert_array_equal(preview(picture(ramp())), ramp())
    deep = ramp(dtype=np.uint16)
    np.testing.assert_array_equal(preview(picture(deep)), np.rint(deep / 257))


@pytest.mark.parametrize("size", [(100, 70), (7, 101), (1, 250), (64, 64)])
def test_large_ones_are_means_over_squares(size: tuple[int, int]) -> None:
    pixels = ramp(*size)
    found = preview(picture(pixels), side_px=30)
    factor = -(-max(size) // 30)
    assert max(found.shape[:2]) <= 30
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            area = pixels[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor].astype(float)
            assert np.abs(found[y, x] - area.mean(axis=(0, 1))).max() <= 0.5


def test_previews_are_upright_and_on_grey() -> None:
    turned = preview(picture(ramp(), metadata=Metadata(exif=exif(6))))
    np.testing.assert_array_equal(turned, ramp().swapaxes(0, 1)[:, ::-1])
    alpha = np.zeros((37, 53), np.uint8)
    alpha[0] = 255
    found = preview(picture(ramp(), alpha=alpha))
    np.testing.assert_array_equal(found[0], ramp()[0])
    assert (found[1:] == 128).all()


def test_grey_pictures_are_stored_grey_with_their_profile() -> None:
    pixels = np.repeat(ramp(channels=1)[..., np.newaxis], 3, axis=2)
    made = picture(pixels, gray=True, metadata=Metadata(icc=gray_profile()))
    with Image.open(BytesIO(comparison(preview(made), made))) as image:
        assert (image.mode, image.size) == ("L", (53 + 8 + 53, 37))
        assert image.info["icc_profile"] == gray_profile()


def test_the_result_stands_on_the_right() -> None:
    before, after = np.full((20, 30, 3), 20, np.uint8), np.full((20, 30, 3), 200, np.uint8)
    with Image.open(BytesIO(comparison(before, picture(after)))) as image:
        levels = np.asarray(image).astype(int)
    assert levels[:, :28].mean() == pytest.approx(20, abs=3)
    assert levels[:, 40:].mean() == pytest.approx(200, abs=3)
