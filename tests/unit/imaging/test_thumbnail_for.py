"""The thumbnail by which a network sees a whole picture: a square, or in the picture's aspect."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.imaging.thumbnail import area_thumbnail, thumbnail_for
from tests.support.fakes import fake_spec

RNG = np.random.default_rng(0)


def test_a_square_is_an_area_mean_whatever_the_aspect() -> None:
    pixels = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(thumbnail_for(pixels, fake_spec()), area_thumbnail(pixels, 32))


@pytest.mark.parametrize("sample", [np.uint8, np.uint16])
def test_a_picture_that_fits_is_its_own_thumbnail_with_its_reflection(sample: type[np.integer]) -> None:
    top = np.iinfo(sample).max
    pixels = RNG.integers(0, top, (29, 61, 3), endpoint=True).astype(sample)
    seen = thumbnail_for(pixels, fake_spec(thumbnail="fit", thumbnail_px=64, align=4, edge_px=0))
    assert seen.shape == (32, 64, 3) and seen.dtype == np.float32
    assert np.array_equal(seen[:29, :61], pixels.astype(np.float32) / np.float32(top))
    assert np.array_equal(seen[29:31], seen[27:25:-1]), "rows beyond the last are reflected"


def test_a_larger_picture_keeps_its_aspect_in_multiples_of_align() -> None:
    spec = fake_spec(thumbnail="fit", thumbnail_px=64, align=8, edge_px=0)
    pixels = RNG.integers(0, 256, (100, 300, 3), dtype=np.uint8)
    seen = thumbnail_for(pixels, spec)
    assert seen.shape == (24, 64, 3)
    assert float(seen.mean()) == pytest.approx(float(pixels.mean()) / 255, abs=1e-3)
    assert thumbnail_for(RNG.integers(0, 256, (2, 900, 3), dtype=np.uint8), spec).shape == (8, 64, 3)


def test_the_reflection_counts_for_what_fits() -> None:
    spec = fake_spec(thumbnail="fit", thumbnail_px=64, align=8, edge_px=8)
    pixels = RNG.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    assert thumbnail_for(pixels, spec).shape == (64, 64, 3)
    assert np.array_equal(thumbnail_for(pixels, spec)[8:56, 8:56], pixels.astype(np.float32) / np.float32(255))


def test_pixels_are_seen_as_the_network_sees_them() -> None:
    pixels = RNG.integers(0, 100, (30, 30, 3), dtype=np.uint8)
    spec = fake_spec(thumbnail="fit", thumbnail_px=64, align=8, edge_px=0)
    seen = thumbnail_for(pixels, spec, lambda part: np.asarray(part * np.uint8(2)))
    assert np.array_equal(seen, thumbnail_for(pixels * np.uint8(2), spec))
