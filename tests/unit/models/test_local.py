"""Local light: a grid that is read by position and brightness, and keeps the order of levels."""

from __future__ import annotations

import pytest
import torch

from lumen.models.local import LARGEST_STEP, LocalHead, local_gain

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


def grid(side: int = 4) -> torch.Tensor:
    return torch.rand(1, 3 * side * side, generator=torch.Generator().manual_seed(0)) * LARGEST_STEP


def test_without_steps_nothing_is_exposed() -> None:
    gain = local_gain(torch.rand(2, 1, 8, 8), torch.zeros(1, 48), WHOLE.expand(2, -1))
    assert gain.shape == (2, 1, 8, 8) and bool((gain == 1).all())


def test_the_dark_gets_more_and_white_nothing() -> None:
    levels = torch.linspace(0, 1, 1025).view(1, 1, 1, -1)
    gain = local_gain(levels, torch.full((1, 48), LARGEST_STEP), WHOLE)[0, 0, 0]
    assert float(gain[-1]) == pytest.approx(1) and float(gain[0]) == pytest.approx(
        float(torch.exp(torch.tensor(3 * LARGEST_STEP)))
    )
    assert bool((gain[1:] <= gain[:-1] + 1e-6).all())
    lit = levels[0, 0, 0] * gain
    assert bool((lit[1:] > lit[:-1]).all()), "the order of levels stays"


def test_a_tile_reads_its_own_part_of_the_grid() -> None:
    picture = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(1)) * 0.3
    whole = local_gain(picture, grid(), WHOLE)
    box = torch.tensor([[8 / 32, 16 / 48, 24 / 32, 40 / 48]])
    assert torch.allclose(local_gain(picture[..., 8:24, 16:40], grid(), box), whole[..., 8:24, 16:40], atol=1e-5)
    assert not torch.allclose(local_gain(picture[..., 8:24, 16:40], grid(), WHOLE), whole[..., 8:24, 16:40], atol=1e-2)


def test_the_reflection_is_mirrored() -> None:
    picture = torch.full((1, 1, 8, 8), 0.05)
    around = local_gain(picture, grid(), torch.tensor([[-0.25, 0.0, 0.25, 1.0]]))
    assert torch.allclose(around, around.flip(2), atol=1e-5)


def test_a_head_starts_nearly_without_local_light() -> None:
    steps = LocalHead(8)(torch.randn(2, 8, 4, 4)).detach()
    assert steps.shape == (2, 48) and float(steps.min()) > 0 and float(steps.max()) < 0.05
