"""Tiled equals whole, bit for bit, on fake networks whose receptive field is known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumen.errors import UsageError
from lumen.imaging.tiling import Tile, TilePlan, cut, paste, plan_tiles

Array = npt.NDArray[Any]
Network = Callable[[Array], Array]


def block_network(align: int, layers: int, seed: int = 0) -> Network:
    """Return a network that unshuffles pixels into blocks and convolves those: halo `align * layers` is exact.

    Zero padding, mixing of the pixels within a block (so the phase of the origin matters) and a non-linear step. All
    values are whole numbers below 2**53: equality is exact.
    """
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 50, (layers, 3, 3, align * align, align * align)).astype(np.float64)

    def run(window: Array) -> Array:
        rows, cols = window.shape[0] // align, window.shape[1] // align
        x = window.astype(np.float64).reshape(rows, align, cols, align).swapaxes(1, 2).reshape(rows, cols, -1)
        for kernel in weights:
            padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            x = sum(padded[i : i + rows, j : j + cols] @ kernel[i, j] for i in range(3) for j in range(3)) % 1009
        return x.reshape(rows, cols, align, align).swapaxes(1, 2).reshape(window.shape)

    return run


def run_tiled(picture: Array, plan: TilePlan, network: Network, tiles: tuple[Tile, ...] | None = None) -> Array:
    result = np.full(picture.shape, -1.0)
    for tile in plan.tiles if tiles is None else tiles:
        paste(result, plan, tile, network(cut(picture, plan, tile)))
    return result


def run_whole(picture: Array, align: int, edge: int, network: Network) -> Array:
    height, width = picture.shape
    after = [edge + -(side + 2 * edge) % align for side in picture.shape]
    padded = np.pad(picture, ((edge, after[0]), (edge, after[1])), mode="reflect")
    return network(padded)[edge : edge + height, edge : edge + width]


def noise(height: int, width: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


@st.composite
def plans(draw: st.DrawFn, largest: int, aligns: tuple[int, ...] = (1, 2, 3, 4, 8, 16)) -> TilePlan:
    align = draw(st.sampled_from(aligns))
    halo = align * draw(st.integers(0, 5))
    window = 2 * halo + align + draw(st.integers(0, 3 * largest // 2))
    return plan_tiles(
        draw(st.integers(1, largest)),
        draw(st.integers(1, largest)),
        align=align,
        halo_px=halo,
        edge_px=align * draw(st.integers(0, 8)),
        max_window_px=window,
    )


@settings(max_examples=300, deadline=None)
@given(plans(largest=400))
def test_cores_partition_the_picture(plan: TilePlan) -> None:
    times = np.zeros((plan.height, plan.width), np.uint8)
    for tile in plan.tiles:
        assert tile.y0 < tile.y1
        assert tile.x0 < tile.x1
        times[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1
    assert (times == 1).all()


@settings(max_examples=300, deadline=None)
@given(plans(largest=500))
def test_windows_are_aligned_inside_and_keep_their_halo(plan: TilePlan) -> None:
    assert plan.window_h % plan.align == plan.window_w % plan.align == 0
    assert plan.padded_h % plan.align == plan.padded_w % plan.align == 0
    assert plan.edge_px + plan.height + plan.edge_px <= plan.padded_h < plan.height + 2 * plan.edge_px + plan.align
    for tile in plan.tiles:
        for origin, start, end, window, padded in (
            (tile.y, tile.y0, tile.y1, plan.window_h, plan.padded_h),
            (tile.x, tile.x0, tile.x1, plan.window_w, plan.padded_w),
        ):
            assert origin % plan.align == 0
            assert 0 <= origin <= padded - window
            first, last = start + plan.edge_px - origin, end + plan.edge_px - origin
            assert first >= (plan.halo_px if origin > 0 else 0)
            assert last <= window - (plan.halo_px if origin < padded - window else 0)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 4), st.integers(0, 4), st.integers(1, 1500))
def test_windows_are_as_few_and_then_as_small_as_can_be(size: int, align: int, halos: int, extra: int) -> None:
    halo, limit = halos * align, 2 * halos * align + align + extra
    # Without a reflected border no core is empty, so every planned window is a tile. Two columns leave no side longer.
    plan = plan_tiles(size, limit + align, align=align, halo_px=halo, edge_px=0, max_window_px=limit)
    count, largest = len({tile.y for tile in plan.tiles}), limit // align * align

    def covered(n: int, window: int) -> int:
        return n * window - (n - 1) * 2 * halo

    assert plan.window_h <= max(largest, align)
    assert covered(count, plan.window_h) >= plan.padded_h
    assert count == 1 or covered(count - 1, largest) < plan.padded_h
    assert covered(count, plan.window_h - align) < plan.padded_h


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_tiled_equals_whole_exactly(data: st.DataObject) -> None:
    align, layers = data.draw(st.sampled_from((1, 2, 4)), "align"), data.draw(st.integers(0, 3), "layers")
    halo = align * layers  # not a pixel more than the network needs
    edge = align * data.draw(st.integers(0, 4), "edge")
    height, width = data.draw(st.integers(1, 70), "height"), data.draw(st.integers(1, 70), "width")
    limit = 2 * halo + align + data.draw(st.integers(0, 60), "extra")
    plan = plan_tiles(height, width, align=align, halo_px=halo, edge_px=edge, max_window_px=limit)
    network, picture = block_network(align, layers), noise(height, width)
    np.testing.assert_array_equal(run_tiled(picture, plan, network), run_whole(picture, align, edge, network))


def differing(tiled: Array, whole: Array) -> float:
    return float((tiled != whole).mean())


def test_control_the_exact_halo_passes_and_one_step_less_is_caught() -> None:
    align, layers, edge = 4, 3, 8
    network, picture = block_network(align, layers), noise(90, 110)
    whole = run_whole(picture, align, edge, network)
    for halo, caught in ((align * layers, False), (align * (layers - 1), True), (0, True)):
        plan = plan_tiles(90, 110, align=align, halo_px=halo, edge_px=edge, max_window_px=48)
        assert len(plan.tiles) > 4
        assert (differing(run_tiled(picture, plan, network), whole) > 0.03) is caught, halo


def test_control_an_unaligned_origin_is_caught() -> None:
    align, layers, edge = 4, 2, 8
    network, picture = block_network(align, layers), noise(90, 110)
    whole = run_whole(picture, align, edge, network)
    plan = plan_tiles(90, 110, align=align, halo_px=16, edge_px=edge, max_window_px=60)  # more halo than needed
    assert differing(run_tiled(picture, plan, network), whole) == 0
    for shift in ({"y": 1}, {"x": 1}):
        moved = tuple(
            replace(t, y=t.y - shift.get("y", 0) * (t.y > 0), x=t.x - shift.get("x", 0) * (t.x > 0)) for t in plan.tiles
        )
        assert differing(run_tiled(picture, plan, network, moved), whole) > 0.3


def test_control_a_window_off_the_padded_rim_is_caught() -> None:
    align, layers, edge = 2, 3, 0
    network, picture = block_network(align, layers), noise(80, 40)
    whole = run_whole(picture, align, edge, network)
    plan = plan_tiles(80, 40, align=align, halo_px=6, edge_px=edge, max_window_px=44)
    # The first window starts one step before the rim: zero padding now lies elsewhere than in the whole run.
    moved = tuple(replace(t, y=t.y - align if t.y == 0 else t.y) for t in plan.tiles)
    assert differing(run_tiled(picture, plan, network), whole) == 0
    assert differing(run_tiled(picture, plan, network, moved), whole) > 0.03


@settings(max_examples=150, deadline=None)
@given(plans(largest=40, aligns=(1, 2, 8)), st.sampled_from((0, 1, 3, 4)))
def test_cut_equals_numpy_reflection(plan: TilePlan, channels: int) -> None:
    shape = (plan.height, plan.width, channels) if channels else (plan.height, plan.width)
    picture = np.random.default_rng(3).integers(0, 65536, shape, dtype=np.uint16)
    before = plan.edge_px
    widths = [(before, plan.padded_h - before - plan.height), (before, plan.padded_w - before - plan.width)]
    padded = np.pad(picture, [*widths, (0, 0)] if channels else widths, mode="reflect")
    for tile in plan.tiles:
        window = cut(picture, plan, tile)
        assert window.flags.c_contiguous
        assert window.dtype == np.uint16
        expected = padded[tile.y : tile.y + plan.window_h, tile.x : tile.x + plan.window_w]
        np.testing.assert_array_equal(window, expected)


def test_cut_shares_no_memory_and_paste_touches_only_the_core() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    plan = plan_tiles(100, 100, align=8, halo_px=8, edge_px=0, max_window_px=40)
    tile = next(t for t in plan.tiles if t.y > 0 and t.x > 0)
    window = cut(picture, plan, tile)
    window[:] = 255
    assert not picture.any()
    paste(picture, plan, tile, window)
    assert (picture[tile.y0 : tile.y1, tile.x0 : tile.x1] == 255).all()
    assert int((picture == 255).sum()) == (tile.y1 - tile.y0) * (tile.x1 - tile.x0) * 3


def test_a_picture_that_fits_is_one_window() -> None:
    plan = plan_tiles(400, 600, align=8, halo_px=64, edge_px=64, max_window_px=728)
    assert plan.tiles == (Tile(y=0, x=0, y0=0, y1=400, x0=0, x1=600),)
    assert (plan.window_h, plan.window_w) == (plan.padded_h, plan.padded_w) == (528, 728)


def test_one_pixel_more_makes_two_windows_of_nearly_half() -> None:
    plan = plan_tiles(601, 601, align=8, halo_px=64, edge_px=64, max_window_px=728)
    assert len(plan.tiles) == 4
    assert plan.window_h == plan.window_w == 432  # (736 + 128) / 2, not 728 and a remainder


@pytest.mark.parametrize("turned", [False, True])
def test_windows_of_slivers_are_as_long_as_their_area_allows(turned: bool) -> None:
    known = {"align": 8, "halo_px": 48, "edge_px": 16}
    sides = (20_000, 1) if turned else (1, 20_000)
    whole = plan_tiles(*sides, max_window_px=1024, **known)
    assert len(whole.tiles) == 1
    assert sorted((whole.window_h, whole.window_w)) == [40, 20_032]
    cut_up = plan_tiles(*sides, max_window_px=256, **known)
    assert len(cut_up.tiles) > 1
    assert cut_up.window_h * cut_up.window_w <= 256**2
    assert len(cut_up.tiles) * cut_up.window_h * cut_up.window_w < 1.1 * 40 * 20_032  # halos add next to nothing


def test_a_single_pixel_fills_any_window() -> None:
    picture = np.full((1, 1, 3), 7, np.uint8)
    plan = plan_tiles(1, 1, align=8, halo_px=16, edge_px=32, max_window_px=1024)
    (tile,) = plan.tiles
    assert (cut(picture, plan, tile) == 7).all()


def test_windows_in_the_reflected_border_are_not_run() -> None:
    plan = plan_tiles(8, 8, align=8, halo_px=8, edge_px=64, max_window_px=24)
    assert len(plan.tiles) == 1


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"height": 0}, "at least 1x1"),
        ({"align": 0}, "align >= 1"),
        ({"halo_px": 12}, "multiples"),
        ({"edge_px": 4}, "multiples"),
        ({"halo_px": -8}, "multiples"),
    ],
)
def test_senseless_facts_are_refused(facts: dict[str, int], message: str) -> None:
    known = {"height": 10, "width": 10, "align": 8, "halo_px": 8, "edge_px": 8, "max_window_px": 64}
    with pytest.raises(ValueError, match=message):
        plan_tiles(**(known | facts))


def test_a_window_without_a_core_is_a_usage_error_that_names_the_least() -> None:
    known = {"align": 8, "halo_px": 64, "edge_px": 64}
    with pytest.raises(UsageError, match=r"at least 136 pixels a side for this model .* got 135"):
        plan_tiles(500, 500, max_window_px=135, **known)
    assert plan_tiles(500, 500, max_window_px=136, **known).window_h == 136


def test_arrays_of_another_size_are_refused() -> None:
    plan = plan_tiles(10, 12, align=2, halo_px=0, edge_px=0, max_window_px=64)
    (tile,) = plan.tiles
    with pytest.raises(ValueError, match="picture of 12x10"):
        cut(np.zeros((12, 10, 3)), plan, tile)
    with pytest.raises(ValueError, match="window of 12x10"):
        paste(np.zeros((10, 12, 3)), plan, tile, np.zeros((8, 12, 3)))
