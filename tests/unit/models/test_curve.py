"""The brightness curve."""

from __future__ import annotations

import pytest
import torch

from lumen.models.curve import U_MAX, U_MIN, apply_curve, solve_curve


def test_ends_stay_and_order_is_kept() -> None:
    levels = torch.linspace(0, 1, 64, dtype=torch.float64).view(1, 1, 8, 8)
    for u in (U_MIN, -1.0, 0.0, 2.0, U_MAX):
        mapped = apply_curve(levels, torch.tensor([u], dtype=torch.float64)).flatten()
        assert mapped[0] == 0
        assert mapped[-1] == pytest.approx(1)
        assert torch.all(mapped.diff() > 0)


def test_zero_is_the_identity() -> None:
    levels = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(apply_curve(levels, torch.zeros(1)), levels, atol=2.5e-4)


@pytest.mark.parametrize("wanted", [0.1, 0.3, 0.5, 0.6])
def test_reaches_the_wanted_mean(wanted: float) -> None:
    generator = torch.Generator().manual_seed(1)
    thumbnails = torch.stack([torch.rand(3, 64, 64, generator=generator) * scale for scale in (0.04, 0.3, 1.0)])
    brightness = torch.full((3,), wanted)
    u = solve_curve(thumbnails, brightness)
    means = apply_curve(thumbnails[:, :, 2::4, 2::4], u).mean(dim=(1, 2, 3))
    assert torch.allclose(means, brightness, atol=5e-4)


def test_black_stays_black() -> None:
    u = solve_curve(torch.zeros(1, 3, 32, 32), torch.tensor([0.4]))
    assert torch.isfinite(u).all()
    assert apply_curve(torch.zeros(1, 3, 4, 4), u).abs().max() == 0
