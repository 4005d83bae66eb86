"""Networks without a brightness of their own: exact in tiles by the thumbnail's pools, exposure by a curve."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lumen.models.plain import exposed
from tests.support.networks import NARROW, POOLED, dark_picture, narrow

HALO = 32


def unchanged(chosen: Tensor) -> Tensor:
    return chosen


@pytest.mark.parametrize("architecture", NARROW)
@torch.no_grad()
def test_a_picture_that_is_its_own_thumbnail_gives_the_network_run_whole(architecture: str) -> None:
    network = narrow(architecture)
    picture = dark_picture(36, 52)
    whole = network.whole(picture)
    result, brightness = network.enhance(picture, picture, unchanged)
    assert torch.equal(result, whole)
    assert float(brightness) == pytest.approx(float(whole.clamp(0, 1).mean()))
    assert float((whole - picture).abs().mean()) > 0.02, "control: the weights do something"


@pytest.mark.parametrize("architecture", NARROW)
@torch.no_grad()
def test_a_tile_with_a_halo_equals_the_whole_picture(architecture: str) -> None:
    network = narrow(architecture)
    picture = dark_picture(96, 160)
    whole = network.whole(picture)
    tile = picture[:, :, :, :96]  # a core of 64 columns at the rim, and a halo

    def difference(result: Tensor) -> float:
        return float((result[..., :64] - whole[..., :64]).abs().max()) * 255

    assert difference(network.enhance(tile, picture, unchanged)[0]) < 0.05
    assert difference(network.enhance(tile[..., :68], picture, unchanged)[0]) > 0.5, "control: a halo is needed"
    if architecture in POOLED:
        assert difference(network.whole(tile)) > 0.1, "control: the tile's own pools are others"


@pytest.mark.parametrize("architecture", NARROW)
@torch.no_grad()
def test_training_sees_the_crop_alone(architecture: str) -> None:
    network = narrow(architecture)
    crops = torch.cat([dark_picture(16, 16), dark_picture(16, 16, seed=1) / 2])
    result = network(crops, torch.full((2, 3, 1, 1), torch.nan), torch.full((2,), torch.nan))
    assert torch.allclose(result, torch.cat([network.whole(crop[None]) for crop in crops]), atol=1e-6)


@torch.no_grad()
def test_thumbnails_are_one_for_all_tiles_or_one_each() -> None:
    network = narrow("mirnet-cbam")
    tiles, thumbnail = torch.cat([dark_picture(16, 24), dark_picture(16, 24) / 2]), dark_picture(32, 40)
    one, level = network.enhance(tiles, thumbnail, lambda chosen: chosen * 1.2)
    each, levels = network.enhance(tiles, thumbnail.expand(2, -1, -1, -1), lambda chosen: chosen * 1.2)
    assert torch.allclose(one, each, atol=1e-6)
    assert torch.allclose(level.expand(2), levels)


@pytest.mark.parametrize("architecture", ["mirnet-keras", "residual"])
@torch.no_grad()
def test_another_brightness_is_reached_by_a_curve(architecture: str) -> None:
    network = narrow(architecture)
    picture = dark_picture(64, 64)
    chosen = float(network.brightness(picture))
    for factor in (0.7, 1.3):
        result = network.restore(picture, picture, torch.tensor([chosen * factor]))
        assert float(result.clamp(0, 1).mean()) == pytest.approx(chosen * factor, rel=0.02)


def test_the_result_is_untouched_where_no_other_brightness_is_asked_for() -> None:
    """Also what lies outside of [0, 1], which is clamped only once the tile is done."""
    restored = torch.tensor([-0.5, 0.2, 1.5, 0.4] * 3).view(1, 3, 2, 2)
    seen = dark_picture(16, 16)
    chosen = seen.mean(dim=(1, 2, 3))
    assert torch.equal(exposed(restored, seen, chosen, chosen), restored)
    brighter = exposed(restored, seen, chosen, chosen * 1.1)
    assert float(brighter.min()) == 0 and float(brighter.max()) == pytest.approx(1)
    assert torch.all(brighter[0, :, 0, 1] > 0.2)


def test_a_black_picture_stays_finite() -> None:
    seen = torch.zeros(1, 3, 16, 16)
    assert torch.isfinite(exposed(seen, seen, torch.zeros(1), torch.full((1,), 0.3))).all()


@pytest.mark.parametrize("architecture", NARROW)
@torch.no_grad()
def test_a_halved_network_computes_nearly_the_same_in_and_out_of_fp32(architecture: str) -> None:
    network = narrow(architecture)
    picture = dark_picture(32, 32)
    full = network.whole(picture)
    network.halve()
    half, _ = network.enhance(picture, picture, unchanged)
    assert {value.dtype for value in network.parameters()} == {torch.float16}
    assert half.dtype is torch.float32
    assert 0 < float((half - full).abs().max()) * 255 < 2
