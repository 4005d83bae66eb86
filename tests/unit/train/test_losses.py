"""Loss terms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lumen.metrics.fidelity import ssim
from lumen.train.losses import charbonnier, chroma_loss, clipping_loss, restoration_loss, rmse, ssim_loss
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


def test_the_chroma_term_sees_colours_and_not_levels() -> None:
    target = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(chroma_loss(target + 0.1, target)) == pytest.approx(0, abs=1e-6)
    tinted = target + torch.tensor([0.1, 0.0, -0.1]).view(1, 3, 1, 1)
    assert float(chroma_loss(tinted, target)) > 0.2 / 3
    noisy = target + torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 0.1
    assert float(chroma_loss(noisy, target)) < float(chroma_loss(tinted, target)), "noise is gone at coarse scales"


def test_the_chroma_term_counts_what_colours_lose() -> None:
    """The same distance costs more where it makes colours weaker than where it turns their hue."""
    colour = torch.tensor([0.3, -0.15, -0.15]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    grey, turned = torch.full((1, 3, 16, 16), 0.5), colour.roll(1, dims=1) + 0.5
    distance = [float((each - colour - 0.5).abs().mean()) for each in (grey, turned)]
    lost, kept = (float(chroma_loss(each, colour + 0.5)) for each in (grey, turned))
    assert kept == pytest.approx(distance[1], abs=1e-3)
    assert lost == pytest.approx(distance[0] + float(colour.square().sum(dim=1).sqrt().mean()), abs=2e-3)


def test_the_clipping_term_sees_what_is_burnt_and_was_not() -> None:
    target = torch.tensor([0.5, 0.99, 0.5]).view(1, 3, 1, 1)
    assert float(clipping_loss(target, target)) == 0
    burnt = torch.tensor([1.0, 0.99, 0.9]).view(1, 3, 1, 1)
    assert float(clipping_loss(burnt, target)) == pytest.approx(0.03 / 3, abs=1e-6)
