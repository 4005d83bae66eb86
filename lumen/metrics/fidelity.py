"""Metrics against a reference: MSE, MAE, PSNR, SSIM, and the "GT-mean" scaling.

All sums are float64, whatever the input's dtype: subtracting uint8 arrays wraps around, and then any two pictures score
about 27.9 dB. Pictures are processed in pieces, so that memory does not grow with their size.

The arrays of a pair are `[H, W]` or `[H, W, C]`, of the same shape and dtype. `data_range` is the distance between the
smallest and largest possible value (255 for uint8, 65535 for uint16, 1.0 for floats in [0, 1]); it is never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lumen.errors import DataError
from lumen.imaging.strips import strips

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03
LUMA = (0.299, 0.587, 0.114)

# Side in output pixels of one step of SSIM: its matrix products fit into the cache, and are too small for the BLAS to
# start threads, which would compete with the threads that score other pictures.
_BLOCK = 48
_CHUNK = 1 << 18  # samples per step of the sums

_Integer = TypeVar("_Integer", np.uint8, np.uint16)
_Picture = npt.NDArray[Any]


def mse(prediction: _Picture, reference: _Picture) -> float:
    """Return the mean squared error over all samples, in squared units of the input.

    >>> import numpy as np
    >>> mse(np.full((4, 4, 3), 12, np.uint8), np.full((4, 4, 3), 10, np.uint8))
    4.0

    Raises:
        DataError: Shapes or dtypes differ, or there is nothing to compare.
    """
    return math.fsum(float(np.einsum("i,i->", d, d)) for d in _differences(prediction, reference)) / prediction.size


def mae(prediction: _Picture, reference: _Picture) -> float:
    """Return the mean absolute error over all samples, in units of the input.

    >>> import numpy as np
    >>> mae(np.full((4, 4, 3), 12, np.uint8), np.full((4, 4, 3), 10, np.uint8))
    2.0

    Raises:
        DataError: Shapes or dtypes differ, or there is nothing to compare.
    """
    return math.fsum(float(np.abs(d).sum()) for d in _differences(prediction, reference)) / prediction.size


def psnr(prediction: _Picture, reference: _Picture, *, data_range: float) -> float:
    """Return the peak signal-to-noise ratio in dB, with one error over all channels; equal pictures give `inf`.

    >>> import numpy as np
    >>> dark, good = np.full((4, 4, 3), 12, np.uint8), np.full((4, 4, 3), 10, np.uint8)
    >>> round(psnr(dark, good, data_range=255), 2)
    42.11
    >>> round(psnr(dark / 255, good / 255, data_range=1.0), 2)
    42.11

    Raises:
        DataError: Shapes or dtypes differ, there is nothing to compare, or `data_range` is not above 0.
    """
    return psnr_of(mse(prediction, reference), data_range=data_range)


def psnr_of(error: float, *, data_range: float) -> float:
    """Return the peak signal-to-noise ratio in dB for a mean squared error; `inf` for 0.

    Raises:
        DataError: `data_range` is not above 0.
    """
    _check_range(data_range)
    return math.inf if error == 0.0 else 10.0 * math.log10(data_range * data_range / error)


def luma(picture: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return 0.299 R + 0.587 G + 0.114 B of `[H, W, 3]` as float64 `[H, W]`, in units of the input, unrounded."""
    height, width = picture.shape[:2]
    result = np.empty((height, width))
    for rows in strips(height, width, _CHUNK):
        np.einsum("hwc,c->hw", picture[rows], LUMA, out=result[rows], dtype=np.float64)
    return result


def ssim(prediction: _Picture, reference: _Picture, *, data_range: float) -> float:
    """Return the mean structural similarity, at most 1.

    >>> import numpy as np
    >>> picture = np.arange(16 * 16 * 3, dtype=np.uint16).reshape(16, 16, 3)
    >>> ssim(picture, picture, data_range=65535)
    1.0

    It uses an 11x11 Gaussian window of sigma 1.5 with weights that sum to 1, population (not sample) moments, only
    windows that are wholly inside the picture, and the mean over all windows and channels. Written by hand on purpose:
    it equals scikit-image to 1e-6 and does not need SciPy.

    Raises:
        DataError: Shapes or dtypes differ, a side is shorter than 11 pixels, or `data_range` is not above 0.

    Reference:
        Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural similarity.
        IEEE Transactions on Image Processing 13 (4), 2004.
    """
    _check_range(data_range)
    _check_pair(prediction, reference)
    height, width = prediction.shape[:2]
    if min(height, width) < WINDOW:
        raise DataError(f"expected pictures of at least {WINDOW}x{WINDOW} pixels for SSIM, got {width}x{height}")
    rows, cols = height - WINDOW + 1, width - WINDOW + 1
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    first, second = _planes(prediction), _planes(reference)
    sums = []
    for y in range(0, rows, _BLOCK):
        for x in range(0, cols, _BLOCK):
            block = np.s_[:, y : min(y + _BLOCK, rows) + WINDOW - 1, x : min(x + _BLOCK, cols) + WINDOW - 1]
            sums.append(_similarity_sum(first[block], second[block], c1, c2))
    windows: int = rows * cols * len(first)
    return math.fsum(sums) / windows


def gt_mean(prediction: npt.NDArray[_Integer], reference: npt.NDArray[_Integer]) -> npt.NDArray[_Integer]:
    """Scale a result to the mean brightness of its reference, as papers do for their "GT-mean" columns.

    The factor is the ratio of the two mean grey levels (luma 0.299 R + 0.587 G + 0.114 B, unrounded; plain mean for
    grey pictures). The product is clipped and rounded to the input's integer type. This uses the reference, so its
    scores belong in a column of their own. A black prediction is returned unchanged.

    >>> import numpy as np
    >>> gt_mean(np.array([[10, 30]], np.uint8), np.array([[20, 40]], np.uint8))
    array([[15, 45]], dtype=uint8)

    Args:
        prediction: uint8 or uint16, `[H, W]` or `[H, W, 3]`.
        reference: Same shape and dtype.

    Returns:
        The scaled picture, same shape and dtype.

    Raises:
        DataError: Shapes or dtypes differ, or are not supported.
    """
    _check_pair(prediction, reference)
    if prediction.dtype not in (np.uint8, np.uint16):
        raise DataError(f"expected uint8 or uint16 pictures for GT-mean, got {prediction.dtype}")
    level = mean_luma(prediction)
    if level == 0.0:
        return prediction.copy()
    top = np.iinfo(prediction.dtype).max
    # Each level maps to one level, so a table avoids a float copy of the picture.
    scaled = np.rint(np.arange(top + 1) * (mean_luma(reference) / level))
    table = np.minimum(scaled, top).astype(prediction.dtype)
    result: npt.NDArray[_Integer] = table.take(prediction)
    return result


def _check_pair(prediction: _Picture, reference: _Picture) -> None:
    if prediction.shape != reference.shape:
        raise DataError(f"expected two pictures of one shape, got {prediction.shape} and {reference.shape}")
    if prediction.dtype != reference.dtype:
        raise DataError(f"expected two pictures of one dtype, got {prediction.dtype} and {reference.dtype}")
    if prediction.ndim not in (2, 3) or not prediction.size:
        raise DataError(f"expected pictures [H, W] or [H, W, C] with pixels in them, got shape {prediction.shape}")


def _check_range(data_range: float) -> None:
    if not (math.isfinite(data_range) and data_range > 0):
        raise DataError(f"expected a data_range above 0 (255 for 8 bit), got {data_range}")


def _differences(a: _Picture, b: _Picture) -> Iterator[npt.NDArray[np.float64]]:
    """Yield `a - b` as flat float64 pieces of whole rows, for a sound pair."""
    _check_pair(a, b)
    for rows in strips(len(a), a.size // len(a), _CHUNK):
        yield np.subtract(a[rows], b[rows], dtype=np.float64).ravel()


def mean_luma(picture: _Picture) -> float:
    """Return the mean grey level of `[H, W, 3]` or `[H, W]`, in units of the input.

    Raises:
        DataError: There are neither one nor three channels.
    """
    if picture.ndim == 2:
        return float(picture.mean(dtype=np.float64))
    if picture.shape[2] != len(LUMA):
        raise DataError(f"expected grey or RGB pictures, got {picture.shape[2]} channels")
    return math.fsum(weight * float(picture[..., c].mean(dtype=np.float64)) for c, weight in enumerate(LUMA))


def _planes(picture: _Picture) -> _Picture:
    """Return a picture as contiguous `[C, H, W]`, in its own dtype."""
    return np.ascontiguousarray(picture[np.newaxis] if picture.ndim == 2 else picture.transpose(2, 0, 1))


def gaussian(size: int, sigma: float) -> npt.NDArray[np.float64]:
    """Return the weights of a Gaussian window of `size` pixels, float64 [size], which sum to 1."""
    offset = np.arange(size) - size // 2
    weights = np.exp(-0.5 * (offset / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float64)


def _gaussian_bands() -> npt.NDArray[np.float64]:
    """Return `[_BLOCK, _BLOCK + 10]`: row i holds the window's weights from column i on."""
    weights = gaussian(WINDOW, SIGMA)
    bands = np.zeros((_BLOCK, _BLOCK + WINDOW - 1))
    for i in range(_BLOCK):
        bands[i, i : i + WINDOW] = weights
    return bands


_DOWN = _gaussian_bands()
_ACROSS = np.ascontiguousarray(_DOWN.T)


def _similarity_sum(p: _Picture, r: _Picture, c1: float, c2: float) -> float:
    """Return the sum of the SSIM map over the windows inside two blocks `[C, H, W]`."""
    height, width = p.shape[1:]
    stack = np.empty((4, *p.shape))
    stack[0], stack[1] = p, r
    np.multiply(stack[0], stack[1], out=stack[2])
    np.multiply(stack[0], stack[0], out=stack[3])
    stack[3] += stack[1] * stack[1]  # only the sum of the two variances is needed
    means = _DOWN[: height - WINDOW + 1, :height] @ stack @ _ACROSS[:width, : width - WINDOW + 1]
    mean_p, mean_r, mean_pr, mean_squares = means
    product, squares = mean_p * mean_r, mean_p * mean_p + mean_r * mean_r
    numerator = (2 * product + c1) * (2 * (mean_pr - product) + c2)
    denominator = (squares + c1) * (mean_squares - squares + c2)
    return float((numerator / denominator).sum())
