from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import UsageError
from lumen.imaging.picture import Picture
from lumen.spec import SampleType
from tests.support.fakes import FakeModels


def picture(height: int, width: int, sample: SampleType = "uint8") -> Picture:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(sample).max + 1, (height, width, 3))
    return Picture(pixels=pixels.astype(sample), format="png")


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
@pytest.mark.parametrize("strength", [0.1, 0.25, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("gain", [0.25, 2.0])
def test_the_result_lies_between_input_and_enhanced(sample: SampleType, strength: float, gain: float) -> None:
    source, models = picture(90, 130, sample), FakeModels(gain=gain, radius=2)
    enhanced = enhance_picture(source, models).pixels
    found = enhance_picture(source, models, EnhanceOptions(strength=strength))
    before, after = source.pixels.astype(np.float64), enhanced.astype(np.float64)
    assert found.pixels.dtype == sample
    # Half a level from the exact value: rounded to the nearest, whatever a tie becomes.
    assert np.abs(found.pixels - (before + strength * (after - before))).max() <= 0.5 + 0.01
    assert np.all(found.pixels >= np.minimum(source.pixels, enhanced))
    assert np.all(found.pixels <= np.maximum(source.pixels, enhanced))
    assert not np.array_equal(found.pixels, source.pixels)
    assert not np.array_equal(found.pixels, enhanced)


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_the_ends_of_the_scale_neither_wrap_nor_overshoot(sample: SampleType) -> None:
    top = np.iinfo(sample).max
    pixels = np.repeat(np.array([[0, 1, top // 2, top - 1, top]], sample)[..., None], 3, axis=2)
    source = Picture(pixels=pixels, format="png")
    for gain in (0.0, 1000.0):  # to black, to white
        found = enhance_picture(source, FakeModels(gain=gain), EnhanceOptions(strength=0.5)).pixels
        for level, result in zip(pixels.ravel(), found.ravel(), strict=True):
            after = min(int(level) * int(gain), top)
            assert int(result) == round(Fraction(int(level) + after, 2))


def test_full_strength_is_the_result_of_the_model_to_the_bit() -> None:
    source = picture(200, 150)
    plain, asked = FakeModels(gain=2.0, radius=8), FakeModels(gain=2.0, radius=8)
    expected = enhance_picture(source, plain, EnhanceOptions(tile_px=64))
    found = enhance_picture(source, asked, EnhanceOptions(tile_px=64, strength=1.0))
    assert np.array_equal(found.pixels, expected.pixels)
    assert asked.opened["uint8"].shapes == plain.opened["uint8"].shapes


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_no_strength_keeps_every_pixel_and_runs_no_model(sample: SampleType) -> None:
    source, models, seen = picture(40, 30, sample), FakeModels(gain=2.0), list[float]()
    found = enhance_picture(source, models, EnhanceOptions(strength=0.0), seen.append)
    assert np.array_equal(found.pixels, source.pixels)
    assert not np.shares_memory(found.pixels, source.pixels)
    assert models.opened[sample].shapes == []
    assert seen == [1.0]


def test_a_touch_of_strength_goes_through_the_model() -> None:
    models = FakeModels(gain=2.0)
    enhance_picture(picture(40, 30), models, EnhanceOptions(strength=1e-6))
    assert models.opened["uint8"].shapes != []


@pytest.mark.parametrize("strength", [0.3, 0.5])
def test_tiles_equal_the_whole_picture(strength: float) -> None:
    source, models = picture(333, 257), FakeModels(gain=0.5, radius=8)
    whole = enhance_picture(source, models, EnhanceOptions(strength=strength, tile_px=1024))
    tiled = enhance_picture(source, models, EnhanceOptions(strength=strength, tile_px=64))
    assert np.array_equal(whole.pixels, tiled.pixels)


@pytest.mark.parametrize("strength", [-0.01, 1.01, 2.0, math.inf, -math.inf, math.nan])
def test_other_strengths_are_usage_errors(strength: float) -> None:
    with pytest.raises(UsageError, match=f"expected --strength from 0 to 1, got {strength:g}"):
        EnhanceOptions(strength=strength)
