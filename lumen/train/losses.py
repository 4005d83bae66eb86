"""Loss terms on float [N, 3, H, W] pictures with levels in [0, 1]."""

from __future__ import annotations

from functools import cache, reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from lumen.train.recipe.sections import LossConfig

ROOT_FLOOR = 1e-12
CHROMA_SCALES = (1, 4, 16)
NEARLY_WHITE = 0.97
STRENGTH_FLOOR = 1e-6  # keeps the gradient of the strength of grey finite


def charbonnier(prediction: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Return the scalar `mean(sqrt(d^2 + epsilon^2))`, an L1 that is smooth at 0.

    Reference:
        Charbonnier et al., Two Deterministic Half-Quadratic Regularization Algorithms, ICIP 1994.
    """
    return torch.sqrt((prediction - target).square() + epsilon * epsilon).mean()


def rmse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the scalar mean over the pictures of the root of their mean squared error.

    The root is taken per picture, so that a batch split into parts or over processes gives the same gradient. Its
    gradient at 0 would be infinite; a millionth of a level keeps it finite.
    """
    squared = (prediction - target).square().mean(dim=(1, 2, 3))
    return torch.sqrt(squared + ROOT_FLOOR).mean()


@cache
def gaussian_band(length: int) -> Tensor:
    """Return float [length - 10, length]: the 11-tap window as a matrix, far faster than as a convolution."""
    window = torch.exp(-torch.arange(-5, 6).square() / (2 * 1.5**2))
    band = torch.zeros(length - 10, length)
    for row in range(length - 10):
        band[row, row : row + 11] = window / window.sum()
    return band


def ssim_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the scalar `1 - SSIM`, with an 11x11 Gaussian window (sigma 1.5) over the valid region.

    Reference:
        Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, IEEE TIP 2004.
    """
    rows = gaussian_band(prediction.shape[2]).to(prediction)
    columns = gaussian_band(prediction.shape[3]).to(prediction)

    def blur(x: Tensor) -> Tensor:
        return rows @ x @ columns.T

    mean_p, mean_t = blur(prediction), blur(target)
    variance_p = blur(prediction.square()) - mean_p.square()
    variance_t = blur(target.square()) - mean_t.square()
    covariance = blur(prediction * target) - mean_p * mean_t
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_p * mean_t + c1) / (mean_p.square() + mean_t.square() + c1)
    structure = (2 * covariance + c2) / (variance_p + variance_t + c2)
    return 1 - (luminance * structure).mean()


def chroma_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the scalar error of the colours and of their strength, over the scales that H and W are multiples of.

    Coarse scales show casts and faded colours, which noise and edges hide at fine ones. Where the hue is uncertain the
    mean of all possible colours is grey; the strength alone is not.
    """
    scales = [scale for scale in CHROMA_SCALES if not (target.shape[2] % scale or target.shape[3] % scale)]
    errors = []
    for scale in scales:
        seen, wanted = (
            F.avg_pool2d(picture - picture.mean(dim=1, keepdim=True), scale) for picture in (prediction, target)
        )
        strength = [(colour.square().sum(dim=1) + STRENGTH_FLOOR).sqrt() for colour in (seen, wanted)]
        errors.append((seen - wanted).abs().mean() + (strength[0] - strength[1]).abs().mean())
    return torch.stack(errors).mean()


def clipping_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the scalar mean of what lies above `NEARLY_WHITE` and above the target."""
    return F.relu(prediction - target.clamp(min=NEARLY_WHITE)).mean()


def restoration_loss(prediction: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    """Return the weighted sum of the terms, a scalar: the mean over the pictures."""
    terms: list[Tensor] = []
    if config.charbonnier:
        terms.append(config.charbonnier * charbonnier(prediction, target, config.epsilon))
    if config.l1:
        terms.append(config.l1 * F.l1_loss(prediction, target))
    if config.mse:
        terms.append(config.mse * F.mse_loss(prediction, target))
    if config.rmse:
        terms.append(config.rmse * rmse(prediction, target))
    if config.ssim:
        terms.append(config.ssim * ssim_loss(prediction, target))
    if config.chroma:
        terms.append(config.chroma * chroma_loss(prediction, target))
    if config.clipping:
        terms.append(config.clipping * clipping_loss(prediction, target))
    return reduce(torch.add, terms)
