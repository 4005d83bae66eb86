"""Scores against scikit-image, which was written independently."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage.metrics

from lumen.errors import DataError
from lumen.metrics.fidelity import gt_mean, mae, mse, psnr, ssim

Array = npt.NDArray[Any]

SKIMAGE: Any = skimage.metrics  # partly typed

SHAPES = [(11, 11), (12, 40, 3), (74, 75, 3), (64, 138), (97, 211, 3), (200, 11, 1), (40, 50, 4)]


def pair(shape: tuple[int, ...], dtype: type[np.integer[Any]], seed: int) -> tuple[Array, Array]:
    """Return a smooth picture and a disturbed one, so that the scores are those of pictures and not of pure noise."""
    rng, top = np.random.default_rng(seed), int(np.iinfo(dtype).max)
    y, x = np.mgrid[: shape[0], : shape[1]]
    wave = 0.5 + 0.4 * np.sin(x / 7 + seed) * np.cos(y / 5)
    clean = wave if len(shape) == 2 else wave[..., None] * rng.uniform(0.3, 1, shape[2])
    noisy = clean * rng.uniform(0.6, 1.2) + rng.normal(0, rng.uniform(0.01, 0.2), shape)
    first, second = (np.rint(np.clip(a, 0, 1) * top).astype(dtype) for a in (clean, noisy))
    return first, second


def check_against_scikit_image(prediction: Array, reference: Array, top: float) -> None:
    """Compare SSIM and PSNR of two pictures [H, W] or [H, W, C] with scikit-image's, to 1e-6."""
    expected = SKIMAGE.structural_similarity(
        reference,
        prediction,
        data_range=top,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2 if reference.ndim == 3 else None,
    )
    assert ssim(prediction, reference, data_range=top) == pytest.approx(expected, abs=1e-6)
    expected = SKIMAGE.peak_signal_noise_ratio(reference, prediction, data_range=top)
    assert psnr(prediction, reference, data_range=top) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("seed", "shape"), list(enumerate(SHAPES)))
def test_scores_equal_scikit_image(seed: int, shape: tuple[int, ...], dtype: type[np.integer[Any]]) -> None:
    reference, prediction = pair(shape, dtype, seed)
    top = float(np.iinfo(dtype).max)
    check_against_scikit_image(prediction, reference, top)
    assert mse(prediction, reference) == pytest.approx(SKIMAGE.mean_squared_error(reference, prediction), rel=1e-12)
    assert 0 < mae(prediction, reference) <= math.sqrt(mse(prediction, reference))


@pytest.mark.parametrize("seed", range(50))
def test_random_pairs_score_as_in_scikit_image(seed: int) -> None:
    """Any size, 8 or 16 bit, grey or RGB, alike or not."""
    rng = np.random.default_rng(1000 + seed)
    dtype: type[np.integer[Any]] = np.uint16 if seed % 2 else np.uint8
    top = int(np.iinfo(dtype).max)
    size = tuple(int(side) for side in rng.integers(11, 120, 2))
    shape = size if seed % 4 < 2 else (*size, 3)
    reference = rng.integers(0, top + 1, shape).astype(dtype)
    change = rng.normal(0, top * float(rng.choice([0.002, 0.05, 0.5])), shape)
    prediction = np.clip(np.rint(reference + change), 0, top).astype(dtype)
    check_against_scikit_image(prediction, reference, top)
    assert mse(prediction, reference) == pytest.approx(SKIMAGE.mean_squared_error(reference, prediction), rel=1e-9)
    expected = np.abs(prediction.astype(np.float64) - reference.astype(np.float64)).mean()
    assert mae(prediction, reference) == pytest.approx(expected, rel=1e-9)


def test_floats_score_as_the_integers_they_stand_for() -> None:
    a, b = pair((60, 80, 3), np.uint8, 5)
    c, d = a / 255.0, b / 255.0
    assert psnr(c, d, data_range=1.0) == pytest.approx(psnr(a, b, data_range=255), abs=1e-9)
    assert ssim(c, d, data_range=1.0) == pytest.approx(ssim(a, b, data_range=255), abs=1e-9)


def test_unsigned_subtraction_does_not_wrap() -> None:
    black, white = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 255, np.uint8)
    assert mse(black, white) == mse(white, black) == 255**2
    assert mae(black, white) == 255
    assert psnr(black, white, data_range=255) == 0


def test_sums_of_many_rows_meet_at_every_row() -> None:
    a = np.zeros((3000, 300), np.uint8)  # several pieces of rows
    b = a.copy()
    b[:, 0] = 2
    assert mse(a, b) == pytest.approx(4 / 300, rel=1e-15)
    assert mae(a, b) == pytest.approx(2 / 300, rel=1e-15)


def test_equal_pictures() -> None:
    a, _ = pair((30, 30, 3), np.uint8, 1)
    assert psnr(a, a, data_range=255) == math.inf
    assert ssim(a, a, data_range=255) == pytest.approx(1, abs=1e-12)


def test_order_does_not_matter_and_views_score_like_copies() -> None:
    a, b = pair((90, 70, 3), np.uint8, 2)
    assert ssim(a, b, data_range=255) == pytest.approx(ssim(b, a, data_range=255), abs=1e-14)
    flipped = ssim(a[::-1, ::-1], b[::-1, ::-1], data_range=255)
    assert flipped == pytest.approx(ssim(a, b, data_range=255), abs=1e-12)


@pytest.mark.parametrize("measure", [mse, mae])
def test_unlike_pairs_are_refused(measure: Any) -> None:
    a = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(DataError, match=r"one shape, got \(20, 30, 3\) and \(30, 20, 3\)"):
        measure(a, np.zeros((30, 20, 3), np.uint8))
    with pytest.raises(DataError, match="one dtype, got uint8 and uint16"):
        measure(a, a.astype(np.uint16))
    with pytest.raises(DataError, match="with pixels"):
        measure(a[:0], a[:0])
    with pytest.raises(DataError, match="with pixels"):
        measure(a.ravel(), a.ravel())


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_unlike_pairs_and_ranges_are_refused(measure: Any) -> None:
    a = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(DataError, match="one shape"):
        measure(a, a[1:], data_range=255)
    for wrong in (0, -1, math.nan, math.inf):
        with pytest.raises(DataError, match="data_range"):
            measure(a, a, data_range=wrong)


def test_ssim_needs_a_whole_window() -> None:
    a = np.zeros((10, 30), np.uint8)
    with pytest.raises(DataError, match="at least 11x11 pixels for SSIM, got 30x10"):
        ssim(a, a, data_range=255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(40, 50, 3), (40, 50)])
def test_gt_mean_is_the_scaling_of_the_papers(shape: tuple[int, ...], dtype: type[np.integer[Any]]) -> None:
    reference, prediction = pair(shape, dtype, 8)
    prediction = prediction // 2
    top = int(np.iinfo(dtype).max)
    weights = np.array([0.299, 0.587, 0.114]) if len(shape) == 3 else None
    means = [(a @ weights if weights is not None else a).mean(dtype=np.float64) for a in (reference, prediction)]
    expected = np.rint(np.clip(prediction * (means[0] / means[1]), 0, top)).astype(dtype)
    scaled = gt_mean(prediction, reference)
    assert scaled.dtype == dtype
    assert (scaled != expected).mean() < 1e-3  # the two means differ in the last bit, which may turn a .5 around
    assert np.abs(scaled.astype(int) - expected).max() <= 1
    assert psnr(scaled, reference, data_range=top) > psnr(prediction, reference, data_range=top) + 2


def test_gt_mean_clips_and_leaves_black_alone() -> None:
    dark, bright = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 200, np.uint8)
    assert not gt_mean(dark, bright).any()
    dark[0, 0] = 250
    assert gt_mean(dark, bright)[0, 0].tolist() == [255, 255, 255]


def test_gt_mean_refuses_floats_and_odd_channels() -> None:
    a = np.full((4, 4, 3), 0.5)
    with pytest.raises(DataError, match="uint8 or uint16"):
        gt_mean(a, a)
    b = np.ones((4, 4, 4), np.uint8)
    with pytest.raises(DataError, match="4 channels"):
        gt_mean(b, b)
