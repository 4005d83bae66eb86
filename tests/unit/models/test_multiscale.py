"""The forms of MIRNet: their streams, and what is refused."""

from __future__ import annotations

import pytest
import torch

from lumen.errors import UsageError
from lumen.models import build_network
from tests.support.networks import NARROW, POOLED, dark_picture, narrow


@pytest.mark.parametrize("architecture", POOLED)
@pytest.mark.parametrize("streams", [2, 3, 4])
def test_two_to_four_streams_give_pictures_of_the_same_size(architecture: str, streams: int) -> None:
    network = narrow(architecture, streams=streams)
    assert network.align == max(4, 2 ** (streams - 1))
    pictures = dark_picture(2 * network.align, 3 * network.align)
    assert network.whole(pictures).shape == pictures.shape


@pytest.mark.parametrize("architecture", NARROW)
def test_every_weight_is_trained(architecture: str) -> None:
    network = narrow(architecture, groups=2).train()
    torch.autograd.backward(network(dark_picture(16, 16), torch.empty(0), torch.empty(0)).square().mean())
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize(
    ("architecture", "wrong", "message"),
    [
        ("mirnet", {"width": 12}, "multiples of 8"),
        ("mirnet", {"streams": 5}, "2 to 4 streams"),
        ("mirnet", {"groups": 0}, "groups and blocks of at least 1"),
        ("mirnet-keras", {"wiring": "half"}, "wiring full, or published"),
        ("mirnet-keras", {"wiring": "published", "streams": 2}, "published with 3 streams"),
        ("mirnet-cbam", {"thumbnail_px": 100}, "multiple of 8"),
        ("residual", {"blocks": 0}, "at least 1"),
        ("residual", {"streams": 2}, "streams"),
    ],
)
def test_wrong_hyperparameters_are_named(architecture: str, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_network(architecture, **wrong)
