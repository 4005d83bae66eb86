"""Loss terms."""

from __future__ import annotations

import pytest
import torch

from lumen.imaging.metrics import ssim
from lumen.train.losses import charbonnier, chroma, restoration_loss, ssim_loss
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


def test_chroma_ignores_the_grey_level_and_coarse_the_noise() -> None:
    a, _ = pictures()
    brighter = a + 0.2
    assert torch.allclose(chroma(a), chroma(brighter), atol=1e-6)
    only = LossConfig(charbonnier=0.0, chroma=1.0)
    assert float(restoration_loss(a, brighter, only)) == pytest.approx(1e-3, rel=1e-3)
    assert float(restoration_loss(a, a.flip(1), only)) > 0.1
    checks = 0.1 * (-1.0) ** (torch.arange(40)[:, None] + torch.arange(52)[None])
    coarse = LossConfig(charbonnier=0.0, coarse=1.0)
    assert float(restoration_loss(a, a + checks, coarse)) == pytest.approx(1e-3, rel=1e-3)
    assert float(restoration_loss(a, brighter, coarse)) == pytest.approx(0.2, rel=1e-2)
