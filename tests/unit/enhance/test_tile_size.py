"""How large a window may be."""

from __future__ import annotations

import re

import pytest

from lumen.cli.options import parse_amount
from lumen.config import EnhanceOptions
from lumen.enhance.tile_size import check_memory, plan_windows, smallest_window_px, window_px
from lumen.errors import OutOfMemoryError, UsageError
from tests.support.fakes import FakeModel


def test_window_follows_memory_options_and_what_was_learned() -> None:
    model = FakeModel(bytes_per_px=100)
    model.budget_bytes = 100 * 500**2
    assert window_px(model, EnhanceOptions()) == 500
    assert window_px(model, EnhanceOptions(max_memory_bytes=100 * 300**2)) == 300
    assert window_px(model, EnhanceOptions(tile_px=2048)) == 2048
    model.budget_bytes = 1 << 40
    assert window_px(model, EnhanceOptions()) == 1024
    model.budget_bytes = 0
    assert window_px(model, EnhanceOptions()) == smallest_window_px(model) == 128
    model.window_limit_px = 99
    assert window_px(model, EnhanceOptions(tile_px=2048)) == 99


def test_the_smallest_window_has_a_core() -> None:
    model = FakeModel(halo_px=64)
    assert smallest_window_px(model) >= 64 * 2 + model.spec.align


def test_windows_that_cannot_work_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="--tile of at least 136"):
        window_px(FakeModel(halo_px=64), EnhanceOptions(tile_px=128))
    with pytest.raises(UsageError, match="--max-memory of at least 2M"):
        window_px(FakeModel(bytes_per_px=100), EnhanceOptions(max_memory_bytes=1000))


def test_the_memory_that_is_asked_for_is_enough() -> None:
    model = FakeModel(bytes_per_px=700)  # 11.47 million bytes: less than 11 MiB, more than 11 MB
    with pytest.raises(UsageError) as told:
        window_px(model, EnhanceOptions(max_memory_bytes=1000))
    (named,) = re.findall(r"at least (\d+M)", str(told.value))
    assert window_px(model, EnhanceOptions(max_memory_bytes=parse_amount(named))) >= 128


def test_a_model_for_whole_pictures_is_never_given_a_part() -> None:
    model = FakeModel(whole=True, bytes_per_px=100)
    model.budget_bytes = 100 * 64 * 96
    model.window_limit_px = 99
    options = EnhanceOptions()
    plan = plan_windows(40, 72, model.spec, window_px(model, options))
    assert [(tile.y, tile.x, tile.y1, tile.x1) for tile in plan.tiles] == [(0, 0, 40, 72)]
    check_memory(plan, model, options)
    with pytest.raises(OutOfMemoryError, match=r"takes 0 MB for 72x40 pixels, .* make the picture smaller"):
        check_memory(plan, model, EnhanceOptions(max_memory_bytes=1000))
    with pytest.raises(UsageError, match="leave --tile out"):
        window_px(model, EnhanceOptions(tile_px=512))
    cut = FakeModel(bytes_per_px=100)
    check_memory(plan_windows(40, 72, cut.spec, 1024), cut, EnhanceOptions(max_memory_bytes=1000))  # it would shrink
