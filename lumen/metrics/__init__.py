"""Quality metrics, with and without a reference picture.

Arrays are `[H, W, 3]` in RGB or `[H, W]` in grey. `data_range` is the distance between the smallest and largest
possible value: 255 for uint8, 65535 for uint16, 1.0 for floats in [0, 1]. It is never guessed.
"""

from __future__ import annotations

from lumen.metrics.fidelity import gt_mean, luma, mae, mse, psnr, ssim
from lumen.metrics.lpips import Lpips
from lumen.metrics.natural import niqe
from lumen.metrics.tone import chroma_ratio, exposure_error, newly_clipped

__all__ = [
    "Lpips",
    "chroma_ratio",
    "exposure_error",
    "gt_mean",
    "luma",
    "mae",
    "mse",
    "newly_clipped",
    "niqe",
    "psnr",
    "ssim",
]
