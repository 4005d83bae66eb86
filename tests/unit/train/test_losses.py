"""Loss terms."""

from __future__ import annotations

import pytest
import torch

from lumen.imaging.metrics import ssim
from lumen.train.losses import charbonnier, restoration_loss, ssim_loss
from lumen.train.recipe import LossConfig


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(1, 3, 40, 52, generator=generator)
    return a, (a + 0.1 * torch.randn(1, 3, 40, 52, generator=generator)).clamp(0, 1)


def test_ssim_loss_agrees_with_the_metric() -> None:
    a, b = (x.double() for x in pictures())
    metric = ssim(*(x[0].permute(1, 2, 0).numpy() for x in (a, b)), data_range=1.0)
    assert float(ssim_loss(a, b)) == pytest.approx(1 - metric, abs=1e-6)


def test_charbonnier_is_a_smooth_l1() -> None:
    a, b = pictures()
    assert float(charbonnier(a, a)) == pytest.approx(1e-3, rel=1e-4)
    assert float(charbonnier(a, b)) == pytest.approx(float((a - b).abs().mean()), rel=0.02)


def test_weights_are_applied() -> None:
    a, b = pictures()
    loss = restoration_loss(a, b, LossConfig(charbonnier=2.0, ssim=0.5))
    assert float(loss) == pytest.approx(2 * float(charbonnier(a, b)) + 0.5 * float(ssim_loss(a, b)), rel=1e-6)
