"""The halo, measured."""

from __future__ import annotations

import pytest
from torch import Tensor

from lumen.errors import ModelError
from lumen.models import Network
from lumen_export.halo import TOLERANCE, calibrate_halo, halo_pictures, restored_core
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
