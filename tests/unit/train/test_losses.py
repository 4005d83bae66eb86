"""Loss terms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lumen.metrics.fidelity import ssim
from lumen.train.losses import charbonnier, restoration_loss, rmse, ssim_loss
from lumen.train.recipe.sections import LossConfig


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


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("l1", lambda d: d.abs().mean()),
        ("mse", lambda d: d.square().mean()),
        ("rmse", lambda d: d.square().mean(dim=(1, 2, 3)).sqrt().mean()),
        ("charbonnier", lambda d: (d.square() + 0.01).sqrt().mean()),
    ],
)
def test_each_term_is_its_formula(term: str, expected: Callable[[torch.Tensor], torch.Tensor]) -> None:
    a, b = (x.repeat(2, 1, 1, 1) for x in pictures())
    b[1] = a[1]
    config = LossConfig(**{"charbonnier": 0.0, "epsilon": 0.1, term: 1.0})
    assert float(restoration_loss(a, b, config)) == pytest.approx(float(expected(a - b)), rel=1e-4)


def test_the_root_has_a_gradient_where_pictures_are_equal() -> None:
    a, _ = pictures()
    prediction = a.clone().requires_grad_()
    rmse(prediction, a).backward()  # type: ignore[no-untyped-call]
    assert prediction.grad is not None and bool(torch.isfinite(prediction.grad).all())
