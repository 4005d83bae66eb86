"""The halo, measured."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lumen.errors import ModelError
from lumen.models import Network, build_network
from lumen.models.tone_mirnet import ToneMIRNet
from lumen_export.halo import calibrate_halo, halo_pictures, restored_core
from lumen_export.halo_search import TOLERANCE
from tests.support.networks import pooled


def halo_error(network: Network, picture: Tensor, halo_px: int) -> float:
    difference = restored_core(network, picture, halo_px) - restored_core(network, picture)
    return float(difference.abs().max())


def test_halo_is_enough_and_a_global_pool_has_none(network: Network) -> None:
    halo = calibrate_halo(network)
    picture = halo_pictures(512)["noise"]
    assert halo_error(network, picture, halo) <= TOLERANCE
    assert halo_error(network, picture, 0) > TOLERANCE
    with pytest.raises(ModelError, match="looks too far"):
        calibrate_halo(pooled(network))


def test_local_light_reaches_no_further_than_the_network() -> None:
    torch.manual_seed(0)
    toned = build_network("tone-mirnet", widths=(8, 16), blocks=1, code=8, thumbnail_px=32).eval()
    assert isinstance(toned, ToneMIRNet)
    torch.nn.init.normal_(toned.local.out.weight, std=2)
    picture = halo_pictures(320)["waves"]
    inside = restored_core(toned, picture, 64) - restored_core(toned, picture)
    assert float(inside.abs().max()) <= TOLERANCE
