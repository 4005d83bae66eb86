from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lumen.imaging import thumbnail as module
from lumen.imaging.thumbnail import area_bands, area_thumbnail, thumbnail_for
from lumen.spec import SampleType
from tests.support.fakes import fake_spec


def area_weights(length: int, size: int) -> NDArray[np.float64]:
    """Return [size, length]: row i averages the part of the axis that output pixel i covers."""
    edges = np.arange(size + 1) * (length / size)
    left = np.arange(length)
    overlap = np.clip(np.minimum(edges[1:, None], left + 1) - np.maximum(edges[:-1, None], left), 0, None)
    weights: NDArray[np.float64] = overlap / overlap.sum(axis=1, keepdims=True)
    return weights


def by_matrices(pixels: NDArray[Any], size: int) -> NDArray[np.float64]:
    """Return the same by the definition: two products of matrices in float64."""
    rows, columns = (area_weights(length, size) for length in pixels.shape[:2])
    total: NDArray[np.float64] = np.einsum("th,hwc,sw->tsc", rows, pixels.astype(np.float64), columns, optimize=True)
    return total / np.iinfo(pixels.dtype).max


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (500, 3), (128, 128), (331, 457), (31, 2000)])
def test_it_is_the_area_mean(height: int, width: int, sample: SampleType, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(sample).max, (height, width, 3), endpoint=True).astype(sample)
    expected = by_matrices(pixels, 32)
    for chunk in (1_000_000, 5_000):  # in one piece, and in many
        monkeypatch.setattr(module, "CHUNK_VALUES", chunk)
        found = area_thumbnail(pixels, 32)
        assert found.shape == (32, 32, 3) and found.dtype == np.float32
        assert np.abs(found - expected).max() < 2e-6


def test_a_curve_is_applied_before_the_mean() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[::2] = 255
    found = area_thumbnail(pixels, 8, lambda rows: rows.astype(np.uint16) * 256)
    assert np.allclose(found, 255 * 256 / 65535 / 2)


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 127, 1000, 65_537])
def test_the_bands_are_the_rows_of_the_matrix(length: int) -> None:
    expected = area_weights(length, 32)
    found = np.zeros_like(expected)
    for row, (first, weights) in enumerate(area_bands(length, 32)):
        found[row, first : first + len(weights)] = weights
        assert weights[0] > 0 and weights[-1] > 0
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_memory_does_not_grow_with_the_length_of_a_panorama() -> None:
    pixels = np.full((2, 1_000_000, 3), 51, np.uint8)
    tracemalloc.start()
    try:
        found = area_thumbnail(pixels, 32)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(found, 0.2, rtol=1e-3)
    assert most < 20 * pixels.nbytes


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
