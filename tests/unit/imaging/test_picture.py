"""The picture's own rules."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.imaging.picture import Metadata, Picture, gray_of
from tests.support.files import ramp


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_go_in_and_out_unchanged(channels: int, dtype: type[np.uint8]) -> None:
    samples = ramp(channels=channels, dtype=dtype)
    made = Picture.from_channels(samples, kind="png", metadata=Metadata())
    np.testing.assert_array_equal(made.to_channels(), samples)
    assert made.pixels.shape == (made.height, made.width, 3) == (37, 53, 3)
    assert made.pixels.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_is_exact_on_gray_and_rounds_luma_elsewhere(dtype: type[np.uint8]) -> None:
    top = np.iinfo(dtype).max
    levels = np.arange(top + 1, dtype=dtype).reshape(-1, 16)
    np.testing.assert_array_equal(gray_of(np.repeat(levels[..., None], 3, axis=2)), levels)
    color = ramp(300, 2000, dtype=dtype)  # more than one strip
    expected = color @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray_of(color) - expected).max() <= 0.5 + 1e-6


def test_malformed_pictures_are_refused() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    for wrong in (pixels[..., 0], pixels[..., :2], pixels.astype(np.int16), pixels[:0]):
        with pytest.raises(ValueError, match="expected uint8 or uint16 pixels"):
            Picture(pixels=wrong, format="png")
    for alpha in (np.zeros((5, 4), np.uint8), np.zeros((4, 5), np.uint16)):
        with pytest.raises(ValueError, match="expected uint8 alpha"):
            Picture(pixels=pixels, alpha=alpha, format="png")
