"""The tone stage: a curve that rises, reaches the level it is asked for, keeps colours, and leaves grey grey."""

from __future__ import annotations

import pytest
import torch

from lumen.models.tone import (
    CONTRAST,
    LIFT,
    U_MAX,
    U_MIN,
    ShapeHead,
    brighten,
    brightest_channel,
    crushed_blacks,
    even_flats,
    finish,
    is_grey,
    mean_channel,
    solve_exposure,
)

SHAPE = torch.tensor([[1 / 255, 0.4, 0.3, 0.3, 8 / 255]])
GREY_RAMP = torch.linspace(0, 1, 2561).view(1, 1, 1, -1).expand(1, 3, 1, -1)


def curve(exposure: float, shape: torch.Tensor = SHAPE) -> torch.Tensor:
    return torch.cat([torch.tensor([[exposure]]), shape], dim=1)


def pictures(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.3


def test_the_brightest_and_the_mean_channel() -> None:
    seen = pictures(2)
    assert torch.equal(brightest_channel(seen), seen.amax(dim=1, keepdim=True))
    assert torch.allclose(mean_channel(seen), seen.mean(dim=1, keepdim=True), atol=1e-7)


@pytest.mark.parametrize("exposure", [-4.0, -0.5, 0.3, 2.0, U_MAX])
@pytest.mark.parametrize("bends", [(LIFT, CONTRAST), (-LIFT, CONTRAST), (LIFT, -CONTRAST)])
def test_the_curve_rises_from_black_to_white(exposure: float, bends: tuple[float, float]) -> None:
    shape = SHAPE.clone()
    shape[0, 1], shape[0, 2] = bends
    mapped = brighten(GREY_RAMP, curve(exposure, shape))[0, 0, 0]
    assert mapped[0] == 0 and float(mapped[-1]) == pytest.approx(1, abs=1e-3)
    assert float((mapped[1:] - mapped[:-1]).min()) > -1e-6


def test_without_exposure_nothing_changes() -> None:
    levels = pictures(1)
    assert float((brighten(levels, curve(0.0)) - levels).abs().max()) < 5e-4


def test_a_toe_bounds_how_far_the_lowest_levels_are_lifted() -> None:
    one = torch.full((1, 3, 1, 1), 1 / 255)
    steep, bounded = (SHAPE.clone() for _ in range(2))
    steep[0, 0], bounded[0, 0] = 0.1 / 255, 8 / 255
    lifted, held = (float(brighten(one, curve(6.0, shape)).mean()) * 255 for shape in (steep, bounded))
    assert lifted > 2 * held and held < 20


@pytest.mark.parametrize("wanted", [0.2, 0.45, 0.7])
def test_the_exposure_reaches_the_level(wanted: float) -> None:
    thumbnails, level = pictures(3), torch.full((3,), wanted)
    u = solve_exposure(thumbnails, level, SHAPE.expand(3, -1), torch.full((3,), U_MAX))
    reached = brighten(thumbnails, torch.cat([u[:, None], SHAPE.expand(3, -1)], 1))
    assert torch.allclose(reached.mean(dim=(1, 2, 3)), level, atol=1e-4)


def test_black_stays_black_and_no_exposure_leaves_its_range() -> None:
    black = torch.zeros(1, 3, 32, 32)
    u = solve_exposure(black, torch.tensor([0.4]), SHAPE, torch.tensor([3.5]))
    assert U_MIN <= float(u) <= 3.5
    assert brighten(black, curve(float(u))).abs().max() == 0


def test_blacks_are_crushed_where_they_are_dark_and_flat() -> None:
    generator = torch.Generator().manual_seed(0)
    flat = torch.full((1, 3, 64, 64), 2 / 255)
    noisy = flat + torch.rand(1, 3, 64, 64, generator=generator) / 255
    half = flat.clone()
    half[..., 60:] = 0.5
    found = crushed_blacks(torch.cat([flat, noisy, flat + 20 / 255, half])).tolist()
    assert found[0] == 1 and found[3] == 1 and found[1] < 0.05 and found[2] == 0


def test_the_level_stays_where_the_shape_changes() -> None:
    """The exposure's gradient undoes what the shape's does to the mean."""
    thumbnails, shape = pictures(1), SHAPE.clone().requires_grad_(True)
    u = solve_exposure(thumbnails, torch.tensor([0.4]), shape, torch.tensor([U_MAX]))
    brighten(thumbnails, torch.cat([u[:, None], shape], dim=1)).mean().backward()  # type: ignore[no-untyped-call]
    assert shape.grad is not None and u.requires_grad
    alone = SHAPE.clone().requires_grad_(True)
    brighten(thumbnails, torch.cat([u.detach()[:, None], alone], dim=1)).mean().backward()  # type: ignore[no-untyped-call]
    assert alone.grad is not None
    assert float(shape.grad[0, 1].abs()) < 0.02 * float(alone.grad[0, 1].abs())


def test_the_shared_gain_keeps_the_ratio_of_the_channels() -> None:
    colour = torch.tensor([0.2, 0.1, 0.05]).view(1, 3, 1, 1)
    apart, shared = SHAPE.clone(), SHAPE.clone()
    apart[0, 3], shared[0, 3], shared[0, 4] = 0, 1, 1e-6
    saturation = []
    for shape in (apart, shared):
        low, *_, high = sorted(brighten(colour, curve(4.0, shape)).flatten().tolist())
        saturation.append(low / high)
    assert saturation[1] == pytest.approx(0.25, abs=0.01) and saturation[0] > 0.5


def test_a_picture_is_grey_where_no_channel_ever_differs() -> None:
    grey = pictures(1)[:, :1].expand(-1, 3, -1, -1)
    tinted = grey.clone()
    tinted[0, 0, 3, 4] += 1 / 255
    assert is_grey(torch.cat([grey, tinted])).tolist() == [1, 0]
    curves = torch.tensor([[2.0, *SHAPE[0], colour] for colour in (0.0, 1.0, 1.5)])
    result = finish(tinted.expand(3, -1, -1, -1), torch.ones(1, 3, 32, 32), curves)
    assert (result[0] == result[0, :1]).all()
    assert torch.allclose(result[1], tinted[0], atol=5e-4)
    spread = result.amax(dim=1) - result.amin(dim=1)
    assert torch.allclose(spread[2], 1.5 * spread[1], atol=1e-6)


@torch.no_grad()
def test_colours_fade_where_next_to_nothing_was_recorded() -> None:
    restored = torch.tensor([0.4, 0.2, 0.1]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    spreads, means = [], []
    for exposure, level in ((3.0, 0.1), (3.0, 1.5), (3.0, 60.0), (0.0, 0.0)):
        tiles = torch.full_like(restored, level / 255)
        tiles = tiles * torch.tensor([0.5, 0.5, 1.5, 1.5]).repeat(8)  # noise: no flats
        result = finish(restored, tiles, torch.tensor([[exposure, *SHAPE[0], 1.0]]))
        means.append(float(result.mean()) / float(restored.mean()))
        spreads.append(float((result.amax(dim=1) - result.amin(dim=1)).mean()))
    black, dim, seen, unexposed = spreads
    assert black < 0.02 and dim == pytest.approx(0.14, abs=0.01) and seen > 0.29
    assert means == pytest.approx([0.5, 0.94, 1, 1], abs=0.01)
    assert unexposed == pytest.approx(0.3, abs=1e-6)


@torch.no_grad()
def test_dark_flat_squares_are_as_bright_as_those_around_them() -> None:
    squares = torch.arange(16 * 16).view(1, 1, 16, 16) % 3 / 255  # levels 0, 1 and 2, as JPEG leaves a night sky
    tiles = torch.nn.functional.interpolate(squares, scale_factor=8).expand(1, 3, -1, -1).clone()
    tiles[..., 64:, 64:] = 40 / 255
    restored = (20 * tiles).clamp(max=1) * torch.tensor([1.0, 0.8, 0.6]).view(1, 3, 1, 1)
    result = finish(restored, tiles, torch.tensor([[3.0, *SHAPE[0], 1.0]]))
    sky, before = result[0, :, 24:40, 24:120].mean(dim=0), restored[0, :, 24:40, 24:120].mean(dim=0)
    assert float(before.max() - before.min()) * 255 > 30 and float(sky.max() - sky.min()) * 255 < 4
    assert float(sky.mean()) == pytest.approx(float(before.mean()), rel=0.3)
    spread = (result[0].amax(dim=0) - result[0].amin(dim=0))[24:40, 24:120].mean()
    assert float(spread / sky.mean()) < 0.3  # half of what it was: little is known of their colour
    assert torch.allclose(result[..., 72:, 72:], restored[..., 72:, 72:], atol=0.02)
    noisy = (tiles + torch.rand(tiles.shape, generator=torch.Generator().manual_seed(0)) * 2 / 255).clamp(0, 1)
    levels = torch.nn.functional.avg_pool2d(noisy.mean(1, keepdim=True), 2)
    assert not even_flats(restored, levels, torch.nn.functional.avg_pool2d(levels, 4), 8)[0].any()


@torch.no_grad()
def test_black_stays_black_whatever_the_network_adds() -> None:
    black, curves = torch.zeros(1, 3, 16, 16), torch.tensor([[4.0, *SHAPE[0], 1.0]])
    assert float(finish(black + 0.3, black, curves).max()) * 255 < 0.1


@torch.no_grad()
def test_highlights_roll_off_where_the_picture_was_not_white() -> None:
    restored = torch.linspace(0.5, 1.1, 600).view(1, 1, 1, -1).expand(1, 3, 8, -1)
    levels = []
    for exposure, seen in ((3.0, 0.5), (0.0, 0.5), (3.0, 1.0)):
        curves = torch.tensor([[exposure, *SHAPE[0], 1.0]])
        levels.append(finish(restored, torch.full_like(restored, seen), curves)[0, 0, 0])
    rolled, unchanged, white = levels
    assert torch.allclose(unchanged, restored[0, 0, 0].clamp(max=1), atol=1e-3)
    assert torch.allclose(white, restored[0, 0, 0].clamp(max=1), atol=1e-3)
    assert (rolled[1:] >= rolled[:-1]).all() and 250 < float(rolled[-1]) * 255 < 253.5
    assert torch.allclose(rolled[:400], restored[0, 0, 0, :400], atol=1e-3)


def test_the_shape_starts_from_constants_and_stays_in_its_ranges() -> None:
    head = ShapeHead(7).eval()
    first, second = head(torch.randn(2, 7)).unbind()
    assert torch.equal(first, second)
    torch.nn.init.normal_(head.out.weight, std=9)
    shape = head(torch.randn(99, 7))
    assert shape.isfinite().all() and (shape[:, [0, 3, 4]] >= 0).all()
    assert (shape[:, 1].abs() + shape[:, 2].abs()).max() < 1
