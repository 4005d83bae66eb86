from __future__ import annotations

import weakref
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.codecs.codec import decode_picture, encode_picture, with_quality
from lumen.codecs.interface import Encoder, encoder
from lumen.codecs.own_quality import QUALITIES, SIDE, SQUARE_PX, estimator
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


def estimate(picture: Picture, file_bytes: int) -> int | None:
    found = estimator(picture, file_bytes)
    return None if found is None else found()


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


@pytest.mark.parametrize("size", [(3000, 2000), (3000, 90), (90, 3000)])
def test_an_estimate_keeps_no_large_picture(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    found = estimator(Picture(pixels=pixels, format="webp"), 1000)
    gone = weakref.ref(pixels)
    del pixels
    assert gone() is None
    assert isinstance(found, partial) and found.args[0].pixels.size <= 3 * (SIDE * SQUARE_PX) ** 2


def test_nothing_is_encoded_until_the_quality_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, size = stored("webp", 60)
    asked: list[Format] = []

    def watched(kind: Format) -> Encoder:
        asked.append(kind)
        return encoder(kind)

    monkeypatch.setattr("lumen.codecs.own_quality.encoder", watched)
    known = with_quality(picture, size)
    encode_picture(known, "png", quality="keep")
    encode_picture(known, "webp", quality=80)
    assert not asked
    encode_picture(known, "webp", quality="keep")
    assert asked == ["webp"]


def test_an_encoder_that_fails_says_so_when_the_result_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, size = stored("webp", 60)

    def broken(_: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("lumen.codecs.own_quality.encoder", broken)
    assert encode_picture(with_quality(picture, size), "webp", quality="keep")[0]
