"""The light family: a tile with a halo gives what the whole picture gives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lumen.errors import UsageError
from lumen.models import Network, build_network
from tests.support.networks import SMALL_CONTEXT, random_context_mirnet


def picture(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height)) * 0.2


def thumbnail_of(x: torch.Tensor, network: Network) -> torch.Tensor:
    return F.interpolate(x, (network.thumbnail_px,) * 2, mode="area")


@torch.no_grad()
def test_a_tile_with_a_halo_equals_the_whole_picture() -> None:
    network = random_context_mirnet()
    whole = picture(192, 160)
    thumbnail, brightness = thumbnail_of(whole, network), torch.tensor([0.4])
    result = network(whole, thumbnail, brightness)
    halo, core = 32, slice(64, 128)

    def cut(halo: int, shift: int = 0, context: torch.Tensor = thumbnail) -> float:
        window = slice(64 - halo + shift, 128 + halo + shift)
        part = network(whole[:, :, window, 32:128], context, brightness)
        inner = part[:, :, halo - shift : halo - shift + 64, 32:64]
        return float((inner - result[:, :, core, 64:96]).abs().max()) * 255

    assert cut(halo) < 0.01
    assert cut(0) > 1, "control: without a halo the border shows"
    assert cut(halo, shift=2) > 0.05, "control: an unaligned origin shows"
    own_context = thumbnail_of(whole[:, :, 32:160, 32:128] ** 2, network)
    assert cut(halo, context=own_context) > 1, "control: a context of its own shows"


@torch.no_grad()
def test_thumbnails_are_one_for_all_tiles_or_one_each() -> None:
    network = random_context_mirnet()
    tiles = torch.cat([picture(16, 24), picture(16, 24) / 2])
    thumbnail = thumbnail_of(picture(64, 64), network)
    brightness = torch.tensor([0.5])
    one = network(tiles, thumbnail, brightness)
    each = network(tiles, thumbnail.expand(2, -1, -1, -1), brightness.expand(2))
    assert torch.allclose(one, each, atol=1e-6)


@torch.no_grad()
def test_the_automatic_brightness_never_darkens() -> None:
    torch.manual_seed(3)
    network = build_network("context-mirnet", **SMALL_CONTEXT).eval()
    torch.nn.init.normal_(network.get_parameter("exposure.out.weight"))
    thumbnails = torch.rand(8, 3, 32, 32) * torch.linspace(0, 1, 8).view(-1, 1, 1, 1)
    assert torch.all(network.brightness(thumbnails) >= thumbnails.mean(dim=(1, 2, 3)))
    assert torch.all(network.brightness(thumbnails) <= 0.98)


@torch.no_grad()
def test_an_untrained_network_is_the_brightness_curve() -> None:
    network = build_network("context-mirnet", **SMALL_CONTEXT).eval()
    x = F.interpolate(picture(4, 4), (64, 64), mode="bilinear")
    result = network(x, thumbnail_of(x, network), torch.tensor([0.5]))
    assert float(result.mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"widths": (8, 12)}, "multiples of 8"),
        ({"widths": (8,)}, "2 to 4 widths"),
        ({"blocks": 0}, "at least 1"),
        ({"thumbnail_px": 100}, "multiple of 16"),
        ({"depth": 3}, "depth"),
    ],
)
def test_wrong_hyperparameters_are_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_network("context-mirnet", **wrong)


def test_unknown_architectures_are_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match="context-mirnet"):
        build_network("resnet")


@torch.no_grad()
def test_a_halved_network_computes_nearly_the_same_in_and_out_of_fp32() -> None:
    network = random_context_mirnet()
    whole = picture(64, 96)
    thumbnail, brightness = thumbnail_of(whole, network), torch.tensor([0.4])
    full = network(whole, thumbnail, brightness)
    network.halve()
    half = network(whole, thumbnail, brightness)
    kinds = {name.partition(".")[0]: value.dtype for name, value in network.named_parameters()}
    assert {name for name, kind in kinds.items() if kind is torch.float16} == {"stem", "body", "head"}
    assert half.dtype is torch.float32
    assert 0 < float((half - full).abs().max()) * 255 < 1
