from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.codecs.codec import decode_picture, encode_picture, with_quality
from lumen.codecs.own_quality import QUALITIES, estimate
from lumen.config import DEFAULT_QUALITY
from lumen.imaging.formats import Format
from lumen.imaging.picture import Metadata, Picture
from tests.support.files import HEIF, saved


def scene(height: int = 300, width: int = 400, seed: int = 0) -> Picture:
    """Return smooth shapes with some grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / (20 + 9 * c)) * 60 + np.cos(y / (17 + 5 * c)) * 50 + 120 for c in range(3)]
    noisy = np.dstack(planes) + rng.normal(0, 3, (height, width, 1))
    return Picture(pixels=np.clip(noisy, 0, 255).astype(np.uint8), format="png")


def stored(kind: Format, quality: int, picture: Picture | None = None, **facts: Any) -> tuple[Picture, int]:
    data, _ = encode_picture(picture or scene(**facts), kind, quality=quality)
    return decode_picture(BytesIO(data)), len(data)


@pytest.mark.parametrize("kind", ["webp", "avif", *HEIF])
@pytest.mark.parametrize("quality", [50, 75])
def test_the_quality_is_found_and_its_result_is_about_as_large(kind: Format, quality: int) -> None:
    picture, size = stored(kind, quality)
    found = estimate(picture, size)
    assert found is not None
    assert abs(found - quality) <= 10
    again = len(encode_picture(with_quality(picture, size), kind, quality="keep")[0])
    assert 0.7 < again / size < 1.3
    assert len(encode_picture(picture, kind, quality="keep")[0]) > 1.3 * size, "without an estimate it is the default"


def test_a_large_picture_is_judged_by_squares_of_it() -> None:
    picture, size = stored("webp", 60, height=900, width=1200)
    assert abs((estimate(picture, size) or 0) - 60) <= 10


def test_metadata_do_not_count() -> None:
    picture, size = stored("webp", 50)
    heavy = Picture(pixels=picture.pixels, format="webp", metadata=Metadata(xmp=bytes(100_000)))
    assert estimate(heavy, size + 100_000) == estimate(picture, size)


def test_it_has_bounds() -> None:
    picture, _ = stored("webp", 50)
    assert [estimate(picture, size) for size in (0, 1 << 30)] == [QUALITIES[0], DEFAULT_QUALITY]


def test_files_without_a_quality_have_none() -> None:
    lossless = saved(Image.fromarray(np.asarray(scene().pixels, np.uint8)), "WEBP", lossless=True)
    assert estimate(decode_picture(BytesIO(lossless)), len(lossless)) is None
    assert estimate(scene(), 1000) is None
