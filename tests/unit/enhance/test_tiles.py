"""Tiles put together equal the whole picture, shrink where memory is short, and go part of the way by strength."""

from __future__ import annotations

import math
import signal
import threading
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.tiles import enhance_pixels
from lumen.errors import OutOfMemoryError, UsageError
from lumen.imaging.picture import Picture
from lumen.runtime.runs import run_cancellable
from lumen.spec import SampleType
from tests.support.fakes import FakeModel, FakeModels
from tests.support.files import noise


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (333, 257)])
def test_tiles_equal_the_whole_picture(height: int, width: int, sample: SampleType) -> None:
    source = noise(height, width, sample)
    models = FakeModels(gain=2.0, radius=8)
    whole = enhance_picture(source, models, EnhanceOptions(tile_px=1024))
    tiled = enhance_picture(source, models, EnhanceOptions(tile_px=64))
    assert np.array_equal(whole.pixels, tiled.pixels)
    assert whole.pixels.dtype == sample
    assert whole.metadata == source.metadata


def test_without_a_halo_tiles_differ() -> None:
    source = noise(200, 200)
    models = FakeModels(gain=2.0, radius=8, halo_px=0)
    whole = enhance_picture(source, models, EnhanceOptions(tile_px=1024))
    tiled = enhance_picture(source, models, EnhanceOptions(tile_px=64))
    assert np.mean(whole.pixels != tiled.pixels) > 0.1


def test_ev_and_the_thumbnail_of_the_whole_picture_reach_every_window() -> None:
    thumbnails: list[NDArray[Any]] = []

    class Spy(FakeModel):
        def run(self, *arguments: NDArray[Any], **_: Any) -> NDArray[Any]:
            thumbnails.append(arguments[1])
            return super().run(*arguments)

    models = FakeModels()
    models.opened["uint8"] = model = Spy()
    source = noise(150, 150)
    enhance_picture(source, models, EnhanceOptions(ev=1.5, tile_px=64))
    assert len(thumbnails) > 4
    assert model.evs == [1.5] * len(thumbnails)
    assert all(np.array_equal(thumbnail, thumbnails[0]) for thumbnail in thumbnails)
    assert thumbnails[0].mean() == pytest.approx(source.pixels.mean() / 255, rel=1e-3)


class Endless(FakeModel):
    """Its runs end when they are cancelled, and windows go on with the next pass."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.ended, self.both = 0, 0, threading.Barrier(2)

    def run(self, tiles: NDArray[Any], *_: Any, **__: Any) -> NDArray[Any]:
        self.begun += 1
        self.both.wait(10)
        cancelled = threading.Event()
        is_told: bool = run_cancellable(lambda: cancelled.wait(60), cancelled.set)
        self.ended += is_told
        return tiles


def test_an_interruption_cancels_all_windows_in_work_and_no_run_of_others() -> None:
    model, others, release = Endless(), list[bool](), threading.Event()

    def go_on() -> None:
        run_cancellable(lambda: release.wait(60), lambda: others.append(True))

    other = threading.Thread(target=go_on, daemon=True)
    other.start()

    def interrupt() -> None:
        while model.begun < 2:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    timer = threading.Thread(target=interrupt, daemon=True)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        enhance_pixels(
            noise(200, 200).pixels, model, EnhanceOptions(tile_px=64, quality_passes=4), lambda _: None, runs=2
        )
    timer.join()
    release.set()
    other.join()
    assert model.begun == model.ended == 8
    assert not others


def too_large(limit_px: int, after: int = 0) -> Any:
    """Return a fault: windows over a side of `limit_px` run out of memory, once `after` of them have worked."""
    worked: list[tuple[int, ...]] = []

    def fault(tiles: NDArray[Any]) -> None:
        if max(tiles.shape[1:3]) > limit_px and len(worked) >= after:
            raise OutOfMemoryError("not enough memory")
        worked.append(tiles.shape)

    return fault


def test_short_memory_shrinks_the_window_and_keeps_the_result() -> None:
    source = noise(500, 400)
    expected = enhance_picture(source, FakeModels(radius=8), EnhanceOptions(tile_px=1024)).pixels
    models = FakeModels(radius=8, fault=too_large(200))
    assert np.array_equal(enhance_picture(source, models, EnhanceOptions(tile_px=600)).pixels, expected)
    model = models.opened["uint8"]
    assert model.window_limit_px is not None
    assert model.window_limit_px <= 200
    assert model.releases == 2  # windows of 520, then of 280, then of at most 196
    tries = len(model.shapes)
    enhance_picture(source, models, EnhanceOptions(tile_px=600))
    assert max(max(shape[1:3]) for shape in model.shapes[tries:]) <= 200  # remembered for the run
    assert model.releases == 2


def test_finished_rows_are_not_done_again() -> None:
    source = noise(900, 300)
    models = FakeModels(radius=8, fault=too_large(200, after=2))
    result = enhance_picture(source, models, EnhanceOptions(tile_px=328))
    expected = enhance_picture(source, FakeModels(radius=8), EnhanceOptions(tile_px=1024))
    assert np.array_equal(result.pixels, expected.pixels)
    fresh = FakeModels(radius=8, fault=too_large(200))
    enhance_picture(source, fresh, EnhanceOptions(tile_px=328))

    def small(used: FakeModels) -> int:
        return sum(max(shape[1:3]) <= 200 for shape in used.opened["uint8"].shapes)

    assert 0 < small(models) < small(fresh)


def test_memory_that_is_always_short_fails_at_the_smallest_window() -> None:
    models = FakeModels(fault=too_large(0))
    with pytest.raises(OutOfMemoryError):
        enhance_picture(noise(600, 600), models)
    model = models.opened["uint8"]
    assert min(max(shape[1:3]) for shape in model.shapes) >= 120
    assert len(model.shapes) < 10


def test_a_picture_that_must_be_seen_whole_fails_instead_of_being_cut() -> None:
    models = FakeModels(whole=True, fault=too_large(0))
    with pytest.raises(OutOfMemoryError):
        enhance_picture(noise(600, 600), models)
    assert len(models.opened["uint8"].shapes) == 1
    model = models.opened["uint8"]
    model.fault, model.budget_bytes = None, 600 * 600
    with pytest.raises(OutOfMemoryError, match="looks at the whole picture"):
        enhance_picture(noise(600, 600), models)
    assert len(model.shapes) == 1


def full_noise(height: int, width: int, sample: SampleType = "uint8") -> Picture:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(sample).max + 1, (height, width, 3))
    return Picture(pixels=pixels.astype(sample), format="png")


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
@pytest.mark.parametrize("strength", [0.1, 0.25, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("gain", [0.25, 2.0])
def test_the_result_lies_between_input_and_enhanced(sample: SampleType, strength: float, gain: float) -> None:
    source, models = full_noise(90, 130, sample), FakeModels(gain=gain, radius=2)
    enhanced = enhance_picture(source, models).pixels
    found = enhance_picture(source, models, EnhanceOptions(strength=strength))
    before, after = source.pixels.astype(np.float64), enhanced.astype(np.float64)
    assert found.pixels.dtype == sample
    # Half a level from the exact value: rounded to the nearest, whatever a tie becomes.
    assert np.abs(found.pixels - (before + strength * (after - before))).max() <= 0.5 + 0.01
    assert np.all(found.pixels >= np.minimum(source.pixels, enhanced))
    assert np.all(found.pixels <= np.maximum(source.pixels, enhanced))
    assert not np.array_equal(found.pixels, source.pixels)
    assert not np.array_equal(found.pixels, enhanced)


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_the_ends_of_the_scale_neither_wrap_nor_overshoot(sample: SampleType) -> None:
    top = np.iinfo(sample).max
    pixels = np.repeat(np.array([[0, 1, top // 2, top - 1, top]], sample)[..., None], 3, axis=2)
    source = Picture(pixels=pixels, format="png")
    for gain in (0.0, 1000.0):  # to black, to white
        found = enhance_picture(source, FakeModels(gain=gain), EnhanceOptions(strength=0.5)).pixels
        for level, result in zip(pixels.ravel(), found.ravel(), strict=True):
            after = min(int(level) * int(gain), top)
            assert int(result) == round(Fraction(int(level) + after, 2))


def test_full_strength_is_the_result_of_the_model_to_the_bit() -> None:
    source = full_noise(200, 150)
    plain, asked = FakeModels(gain=2.0, radius=8), FakeModels(gain=2.0, radius=8)
    expected = enhance_picture(source, plain, EnhanceOptions(tile_px=64))
    found = enhance_picture(source, asked, EnhanceOptions(tile_px=64, strength=1.0))
    assert np.array_equal(found.pixels, expected.pixels)
    assert asked.opened["uint8"].shapes == plain.opened["uint8"].shapes


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_no_strength_keeps_every_pixel_and_runs_no_model(sample: SampleType) -> None:
    source, models, seen = full_noise(40, 30, sample), FakeModels(gain=2.0), list[float]()
    found = enhance_picture(source, models, EnhanceOptions(strength=0.0), seen.append)
    assert np.array_equal(found.pixels, source.pixels)
    assert not np.shares_memory(found.pixels, source.pixels)
    assert models.opened[sample].shapes == []
    assert seen == [1.0]


def test_a_touch_of_strength_goes_through_the_model() -> None:
    models = FakeModels(gain=2.0)
    enhance_picture(full_noise(40, 30), models, EnhanceOptions(strength=1e-6))
    assert models.opened["uint8"].shapes != []


@pytest.mark.parametrize("strength", [0.3, 0.5])
def test_strength_does_not_show_the_tiles(strength: float) -> None:
    source, models = full_noise(333, 257), FakeModels(gain=0.5, radius=8)
    whole = enhance_picture(source, models, EnhanceOptions(strength=strength, tile_px=1024))
    tiled = enhance_picture(source, models, EnhanceOptions(strength=strength, tile_px=64))
    assert np.array_equal(whole.pixels, tiled.pixels)


@pytest.mark.parametrize("strength", [-0.01, 1.01, 2.0, math.inf, -math.inf, math.nan])
def test_other_strengths_are_usage_errors(strength: float) -> None:
    with pytest.raises(UsageError, match=f"expected --strength from 0 to 1, got {strength:g}"):
        EnhanceOptions(strength=strength)
