"""A wider network that begins where a narrower one ended."""

from __future__ import annotations

import pytest
import torch

from lumen.models import build_network
from lumen.models.widen import widened
from tests.support.networks import narrow as paper

NARROW = {"widths": [8, 16, 16], "blocks": 2, "code": 8, "thumbnail_px": 32}


def test_it_computes_the_same_and_its_copies_part() -> None:
    torch.manual_seed(0)
    narrow = build_network("context-mirnet", **NARROW)
    for parameter in narrow.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    wide = build_network("context-mirnet", **NARROW | {"widths": [24, 32, 64]})
    wide.load_state_dict(widened(narrow.state_dict(), wide))
    tiles, thumbnails, brightness = torch.rand(2, 3, 32, 48), torch.rand(2, 3, 32, 32), torch.tensor([0.3, 0.6])
    expected, result = (network(tiles, thumbnails, brightness) for network in (narrow, wide))
    assert torch.allclose(expected, result, atol=1e-4)
    assert float((expected - tiles).detach().abs().mean()) > 0.05  # it is a network that does something

    result.square().mean().backward()
    gradient = wide.get_parameter("body.blocks.0.daus.0.conv1.weight").grad
    assert gradient is not None
    copies = gradient.view(3, 8, -1)
    assert float((copies[0] - copies[1]).abs().max()) > 0.05 * float(copies.abs().max())


@pytest.mark.parametrize(
    ("change", "message"),
    [({"blocks": 3}, "same blocks"), ({"widths": [16, 24, 32]}, "multiples")],
)
def test_other_networks_are_refused(change: dict[str, object], message: str) -> None:
    narrow, other = build_network("context-mirnet", **NARROW), build_network("context-mirnet", **NARROW | change)
    with pytest.raises(ValueError, match=message):
        widened(narrow.state_dict(), other)


def test_networks_that_pool_or_transpose_begin_from_the_same_sizes_alone() -> None:
    weights = paper("mirnet").state_dict()
    same = widened(weights, paper("mirnet"))
    assert all(torch.equal(value, weights[name]) for name, value in same.items())
    with pytest.raises(ValueError, match="only context-mirnet can be widened"):
        widened(weights, paper("mirnet", width=16))
