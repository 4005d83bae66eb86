"""The network with a tone stage: one vector per picture, and tiles that equal the whole."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lumen.models import build_network
from lumen.models.local import LARGEST_STEP
from lumen.models.tone import CRUSHED_TOE, CRUSHED_U, CURVE, U_MAX
from lumen.models.tone_mirnet import ToneMIRNet, shuffled, whole_boxes

SMALL = {"widths": (8, 16), "blocks": 1, "code": 8, "thumbnail_px": 32}


def random_network() -> ToneMIRNet:
    torch.manual_seed(0)
    network = build_network("tone-mirnet", **SMALL).eval()
    assert isinstance(network, ToneMIRNet)
    for name, parameter in network.named_parameters():
        if name.startswith(("head.", "shape.")):
            torch.nn.init.normal_(parameter, std=0.05)
    return network


def picture(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height)) * 0.2


def thumbnail_of(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, (32, 32), mode="area")


def test_shuffling_in_two_steps_is_pixel_shuffle() -> None:
    x = torch.rand(2, 24, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shuffled(x), F.pixel_shuffle(x, 2))


@torch.no_grad()
def test_tiles_that_are_given_one_tone_equal_the_whole() -> None:
    network, whole = random_network(), picture(192, 160)
    tone = network.tone(thumbnail_of(whole), torch.tensor([0.4]))
    assert tone.shape == (1, CURVE + 3 * 2 * 2 + 8)
    assert torch.equal(
        network.restore_toned(whole, whole_boxes(whole), tone), network(whole, thumbnail_of(whole), torch.tensor([0.4]))
    )
    tone[:, CURVE : CURVE + 12] = torch.rand(12, generator=torch.Generator().manual_seed(9)) * LARGEST_STEP
    result = network.restore_toned(whole, whole_boxes(whole), tone)

    def difference(halo: int) -> float:
        top, bottom = 64 - halo, 128 + halo
        box = torch.tensor([[top / 192, 32 / 160, bottom / 192, 128 / 160]])
        part = network.restore_toned(whole[:, :, top:bottom, 32:128], box, tone)
        return float((part[:, :, halo : halo + 64, 32:64] - result[:, :, 64:128, 64:96]).abs().max()) * 255

    assert difference(32) < 0.01
    assert difference(0) > 1, "control: without a halo the border shows"
    elsewhere = network.restore_toned(whole[:, :, :64, :64], torch.tensor([[0.5, 0.5, 0.8, 0.9]]), tone)
    assert float((elsewhere - result[:, :, :64, :64])[..., :32, :32].abs().max()) * 255 > 0.1, "the place matters"


@torch.no_grad()
def test_a_tone_serves_all_tiles_or_one_each() -> None:
    network, tiles = random_network(), torch.cat([picture(16, 24), picture(16, 24) / 2])
    tone = network.tone(thumbnail_of(picture(64, 64)), torch.tensor([0.5]))
    boxes = whole_boxes(tiles)
    one, each = network.restore_toned(tiles, boxes, tone), network.restore_toned(tiles, boxes, tone.expand(2, -1))
    assert torch.allclose(one, each, atol=1e-6)


@torch.no_grad()
def test_the_stem_is_the_convolution_over_the_unshuffled_picture() -> None:
    x, stem = torch.rand(2, 6, 16, 24), random_network().stem
    usual = F.conv2d(F.pixel_unshuffle(x, 2), stem.weight, stem.bias, padding=1)
    assert torch.allclose(stem(x), usual, atol=1e-5)


@torch.no_grad()
def test_a_grey_picture_comes_out_grey() -> None:
    network, grey = random_network(), picture(64, 64)[:, :1].expand(-1, 3, -1, -1)
    result = network(grey, thumbnail_of(grey), torch.tensor([0.5]))
    assert (result == result[:, :1]).all()
    coloured = network(picture(64, 64), thumbnail_of(picture(64, 64)), torch.tensor([0.5]))
    assert not (coloured == coloured[:, :1]).all()


def test_the_shape_learns_from_the_restored_picture() -> None:
    network = random_network().train()
    x = picture(32, 32)
    network(x, thumbnail_of(x), torch.tensor([0.4])).square().mean().backward()
    for gradient in (network.shape.out.weight.grad, network.local.out.weight.grad):
        assert gradient is not None and float(gradient.abs().sum()) > 0


@torch.no_grad()
def test_flat_blacks_bound_the_exposure() -> None:
    network = random_network()
    dark = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(5)) * 40 / 255
    flat = torch.full((1, 3, 32, 32), 2 / 255)
    wanted = torch.tensor([0.45])
    free, bound = network.tone(dark, wanted), network.tone(flat, wanted)
    assert float(network.reached(dark, free)) == pytest.approx(0.45, abs=0.01) and float(free[0, 0]) < U_MAX
    assert float(bound[0, 0]) == CRUSHED_U and float(bound[0, 1]) >= CRUSHED_TOE * 0.999
    assert float(network.reached(flat, bound)) < 0.1


@torch.no_grad()
def test_references_are_as_bright_as_the_bounds_allow() -> None:
    network, high = random_network(), torch.full((2, 3, 16, 16), 0.45)
    flat = torch.full((1, 3, 32, 32), 2 / 255)
    thumbnails = torch.cat([thumbnail_of(picture(64, 64)), flat])
    free, bound = network.attainable(high, thumbnails, torch.tensor([0.45, 0.45])).mean(dim=(1, 2, 3)).tolist()
    assert free == pytest.approx(0.45, abs=0.01) and bound < 0.1


@torch.no_grad()
@pytest.mark.parametrize("level", [0.3, 0.5])
def test_an_untrained_network_is_the_curve(level: float) -> None:
    network = build_network("tone-mirnet", **SMALL).eval()
    x = F.interpolate(picture(4, 4), (64, 64), mode="bilinear")
    assert float(network(x, thumbnail_of(x), torch.tensor([level])).mean()) == pytest.approx(level, abs=0.02)


@torch.no_grad()
def test_shadows_open_what_is_dark_and_keep_the_mean() -> None:
    network = build_network("tone-mirnet", **SMALL).eval()
    assert isinstance(network, ToneMIRNet)
    for parameter in network.local.parameters():  # the same steps everywhere
        torch.nn.init.zeros_(parameter)
    room = torch.full((1, 3, 64, 64), 0.05)
    room[..., 40:] = 0.6  # a window
    levels = []
    for shadows in (0.0, 0.5, 1.0, 2.0):
        tone = network.tone(thumbnail_of(room), torch.tensor([0.4]), torch.tensor([shadows]))
        base = network.base(room, whole_boxes(room), tone)
        levels.append((float(base[..., :36].mean()), float(base[..., 44:].mean()), float(base.mean())))
    dark, bright, mean = zip(*levels, strict=True)
    assert list(dark) == sorted(dark) and dark[-1] > dark[0] + 0.03
    assert list(bright) == sorted(bright, reverse=True)
    assert all(value == pytest.approx(0.4, abs=0.02) for value in mean)
