"""The exported module in torch."""

from __future__ import annotations

import pytest
import torch

from lumen.models import Network
from lumen_export.wrapper import TileModel, planes, shift_exposure
from tests.support.networks import copy_of


@torch.no_grad()
def test_what_half_precision_cannot_hold_is_told(network: Network) -> None:
    """Large values between the layers: sound in fp32, infinite in half precision."""
    large = copy_of(network)
    large.get_parameter("stem.weight").mul_(5e5)
    large.get_parameter("head.weight").div_(5e5)
    assert float(large.get_parameter("stem.weight").abs().max()) < 65504
    tiles = torch.full((2, 16, 16, 3), 200, dtype=torch.uint8)
    feeds = (tiles, torch.full((1, 32, 32, 3), 0.8), torch.zeros(1))
    assert TileModel(large, torch.uint8)(*feeds)[2].tolist() == [True, True]
    large.halve()
    assert TileModel(large, torch.uint8)(*feeds)[2].tolist() == [False, False]


def test_shift_exposure_is_stops_of_linear_light() -> None:
    level = torch.tensor([0.5])
    up_down = shift_exposure(shift_exposure(level, torch.tensor([1.0])), torch.tensor([-1.0]))
    assert float(up_down) == pytest.approx(0.5, abs=1e-5)
    assert float(shift_exposure(level, torch.tensor([0.0]))) == 0.5
    assert float(shift_exposure(level, torch.tensor([1.0]))) == pytest.approx(0.6858, abs=1e-3)
    assert float(shift_exposure(level, torch.tensor([4.0]))) == pytest.approx(0.98)


def test_planes_hold_the_channels() -> None:
    pictures = torch.rand(2, 5, 7, 3)
    assert torch.equal(planes(pictures), pictures.permute(0, 3, 1, 2))
