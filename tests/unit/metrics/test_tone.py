"""Faults of tone, on pictures whose faults are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import rgb2lab

from lumen.metrics import tone
from lumen.metrics.tone import chroma, chroma_ratio, exposure_error, newly_clipped
from tests.support.scores import noise

RED = np.full((20, 20, 3), (200, 60, 40), np.uint8)


@pytest.mark.parametrize(("factor", "stops"), [(1, 0.0), (2, 1.0), (0.5, -1.0), (0, -math.inf)])
def test_brightness_is_off_by_stops_of_the_mean_luma(factor: float, stops: float) -> None:
    reference = np.full((8, 8, 3), (80, 40, 100), np.uint8)
    assert exposure_error((reference * factor).astype(np.uint8), reference) == pytest.approx(stops)


def test_luma_weighs_the_channels() -> None:
    green, blue = np.zeros((2, 4, 4, 3), np.uint16)
    green[..., 1], blue[..., 2] = 1000, 1000
    assert exposure_error(green, blue) == pytest.approx(math.log2(0.587 / 0.114))


def test_black_pictures_have_no_finite_error_unless_both_are() -> None:
    black = np.zeros_like(RED)
    assert (exposure_error(black, black), exposure_error(RED, black)) == (0, math.inf)


@pytest.mark.parametrize(
    ("color", "strength"),
    [((255, 0, 0), 104.55), ((0, 255, 0), 119.78), ((0, 0, 255), 133.81), ((255, 255, 255), 0), ((0, 0, 0), 0)],
)
def test_chroma_of_known_colours(color: tuple[int, int, int], strength: float) -> None:
    assert chroma(np.array(color, np.uint8)) == pytest.approx(strength, abs=0.02)


def test_chroma_equals_that_of_scikit_image() -> None:
    pixels = noise(1, size=(60, 70))
    pixels[:20] //= 32  # the linear part of the curve
    assert chroma(pixels) == pytest.approx(np.hypot(*np.moveaxis(rgb2lab(pixels)[..., 1:], -1, 0)), abs=0.05)


def test_the_ratio_is_that_of_the_mean_chroma_where_the_reference_has_colour() -> None:
    reference = np.full((40, 40, 3), 128, np.uint8)
    reference[:20] = RED[0, 0]
    pixels = np.full((40, 40, 3), (10, 250, 10), np.uint8)  # where the reference is grey this counts for nothing
    pixels[:20] = (150, 110, 100)
    wanted, found = (float(chroma(np.array(color, np.uint8))) for color in ((200, 60, 40), (150, 110, 100)))
    assert chroma_ratio(pixels, reference) == pytest.approx(found / wanted)
    assert chroma_ratio(reference, reference) == 1
    assert chroma_ratio(np.full_like(reference, 90), reference) == pytest.approx(0, abs=1e-3)


def test_few_coloured_pixels_have_no_ratio() -> None:
    """Of 20x20 pixels 10x10 are used; the first five rows of these are 50."""
    reference = np.full((20, 20, 3), 128, np.uint8)
    reference[:10] = RED[0, 0]
    assert chroma_ratio(RED, reference) == 1
    reference[0, 0] = 128
    assert chroma_ratio(RED, reference) is None


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = noise(1, size=(41, 37)), noise(2, size=(41, 37))
    whole = chroma_ratio(first, second)
    monkeypatch.setattr(tone, "_STRIP_PX", 50)
    assert chroma_ratio(first, second) == pytest.approx(whole, rel=1e-12)


def test_newly_clipped_are_channels_that_were_far_from_their_end() -> None:
    source = np.full((2, 4, 3), 150, np.uint8)
    pixels = source.copy()
    pixels[0, 0, 2] = 254  # one channel is enough
    pixels[0, 1, 0] = 253
    source[0, 2, 1], pixels[0, 2, 1] = 200, 255  # was nearly there
    source[0, 3], pixels[0, 3] = (250, 199, 10), (255, 255, 10)  # a channel of its own
    assert newly_clipped(pixels, source) == 2 / 8
    assert newly_clipped(source, source) == 0
