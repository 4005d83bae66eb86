from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import OutOfMemoryError, UsageError
from lumen.imaging.picture import Picture
from lumen.spec import SampleType
from tests.support.fakes import FakeModel, FakeModels

Pixels = NDArray[Any]
Turn = Callable[[Pixels], Pixels]

MIRRORS: tuple[Turn, ...] = (
    lambda a: a,
    lambda a: np.flip(a, 1),
    lambda a: np.flip(a, 0),
    lambda a: np.flip(a, (0, 1)),
)
# Each way to turn a square, and the way back, in terms of quarter turns instead of transposes.
DIHEDRAL: tuple[tuple[Turn, Turn], ...] = (
    *((mirror, mirror) for mirror in MIRRORS),
    (np.rot90, lambda a: np.rot90(a, -1)),
    (lambda a: np.rot90(a, -1), np.rot90),
    (lambda a: np.flip(np.rot90(a), 0), lambda a: np.rot90(np.flip(a, 0), -1)),
    (lambda a: np.flip(np.rot90(a), 1), lambda a: np.rot90(np.flip(a, 1), -1)),
)


class Slanted(FakeModel):
    """A model that no turn leaves alone: it looks left, up and at one corner of the thumbnail, and has a phase.

    Every sample becomes a weighted sum of itself, the samples to the left and the one above (zeros outside the
    window), with other weights on every `align`-th row, plus a level by the first row of the thumbnail.
    """

    def run(self, tiles: Pixels, thumbnails: NDArray[np.float32], ev: NDArray[np.float32], **_: Any) -> Pixels:
        super().run(tiles, thumbnails, ev)
        padded = np.pad(tiles.astype(np.int64), ((0, 0), (1, 0), (3, 0), (0, 0)))
        left = padded[:, 1:, 2:-1] + 2 * padded[:, 1:, 1:-2] + padded[:, 1:, :-3]
        up = padded[:, :-1, 3:]
        phase = (np.arange(tiles.shape[1]) % self.spec.align == 0)[:, None, None]
        mixed = (8 * padded[:, 1:, 3:] + left + np.where(phase, 3, 1) * up) // 16
        lift = int(thumbnails[0, 0, : self.spec.thumbnail_px // 2].mean() * self.spec.levels) // 4
        return np.clip(mixed + lift, 0, self.spec.levels).astype(tiles.dtype)


class SlantedModels(FakeModels):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.opened = {"uint8": Slanted("uint8", **arguments), "uint16": Slanted("uint16", **arguments)}


def picture(height: int, width: int, sample: SampleType = "uint8") -> Picture:
    """Noise that is brighter towards one corner, so that no two turns have one thumbnail."""
    ramp = np.add.outer(np.linspace(0.0, 0.3, height), np.linspace(0.0, 0.2, width))[..., None]
    noise = np.random.default_rng(0).uniform(0.0, 0.5, (height, width, 3))
    return Picture(pixels=((ramp + noise) * np.iinfo(sample).max).astype(sample), format="png")


def enhanced(pixels: Pixels, models: FakeModels, **options: Any) -> Pixels:
    return enhance_picture(Picture(pixels=pixels, format="png"), models, EnhanceOptions(**options)).pixels


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
@pytest.mark.parametrize("passes", [4, 8])
def test_the_result_is_the_mean_over_the_turned_pictures(sample: SampleType, passes: int) -> None:
    pixels = picture(48, 80, sample).pixels  # with the reflection multiples of `align`: turned pictures keep the phase
    models = SlantedModels()
    single = [back(enhanced(np.ascontiguousarray(turn(pixels)), models)) for turn, back in DIHEDRAL[:passes]]
    mean = np.rint(np.stack(single).mean(axis=0, dtype=np.float64)).astype(sample)
    found = enhanced(pixels, models, quality_passes=passes)
    assert found.dtype == sample
    assert np.array_equal(found, mean)
    for index, one in enumerate(single):  # each pass has something of its own to say, or this would prove little
        assert not any(np.array_equal(one, other) for other in single[:index])


def test_eight_passes_know_no_direction_and_one_does() -> None:
    pixels = picture(48, 80).pixels
    models = SlantedModels()
    for turn, _ in DIHEDRAL[1:]:
        turned = np.ascontiguousarray(turn(pixels))
        found = enhanced(turned, models, quality_passes=8)
        assert np.array_equal(found, turn(enhanced(pixels, models, quality_passes=8)))
        assert not np.array_equal(enhanced(turned, models), turn(enhanced(pixels, models)))


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
@pytest.mark.parametrize("passes", [4, 8])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (133, 257)])
def test_tiles_equal_the_whole_picture(height: int, width: int, passes: int, sample: SampleType) -> None:
    pixels = picture(height, width, sample).pixels
    models = SlantedModels()
    whole = enhanced(pixels, models, quality_passes=passes, tile_px=1024)
    tiled = enhanced(pixels, models, quality_passes=passes, tile_px=64)
    assert np.array_equal(whole, tiled)
    assert whole.dtype == sample


def test_without_a_halo_tiles_differ() -> None:
    pixels, models = picture(133, 257).pixels, SlantedModels(halo_px=0)
    whole = enhanced(pixels, models, quality_passes=8, tile_px=1024)
    tiled = enhanced(pixels, models, quality_passes=8, tile_px=64)
    assert np.mean(whole != tiled) > 0.05


def test_a_window_off_the_alignment_would_be_seen() -> None:
    pixels = picture(48, 80).pixels
    coarse, fine = SlantedModels(align=8), SlantedModels(align=4)
    assert np.mean(enhanced(pixels, coarse, quality_passes=8) != enhanced(pixels, fine, quality_passes=8)) > 0.05


def test_one_pass_is_the_plain_result_to_the_bit() -> None:
    pixels = picture(133, 257).pixels
    plain, asked = SlantedModels(), SlantedModels()
    expected = enhanced(pixels, plain, tile_px=64)
    assert np.array_equal(enhanced(pixels, asked, tile_px=64, quality_passes=1), expected)
    assert asked.opened["uint8"].shapes == plain.opened["uint8"].shapes


def test_every_window_runs_once_per_pass_and_stands_or_lies() -> None:
    models = FakeModels()
    enhanced(picture(40, 100).pixels, models, quality_passes=8)
    assert models.opened["uint8"].shapes == [(1, 56, 120, 3)] * 4 + [(1, 120, 56, 3)] * 4


def test_ev_and_strength_go_with_the_passes() -> None:
    pixels, models = picture(40, 60).pixels, SlantedModels()
    full = enhanced(pixels, models, quality_passes=4).astype(np.float64)
    half = enhanced(pixels, models, quality_passes=4, strength=0.5, ev=1.5)
    assert models.opened["uint8"].evs == [0.0] * 4 + [1.5] * 4
    assert np.array_equal(half, np.rint((pixels + full) / 2))


def test_a_model_without_direction_gives_the_same_in_any_number_of_passes() -> None:
    pixels, models = picture(133, 257).pixels, FakeModels(gain=1.5, radius=3)
    once = enhanced(pixels, models)
    assert np.array_equal(enhanced(pixels, models, quality_passes=4), once)
    assert np.array_equal(enhanced(pixels, models, quality_passes=8), once)


@pytest.mark.parametrize("passes", [1, 4, 8])
def test_progress_counts_every_pass_and_rises_to_one(passes: int) -> None:
    seen, models = list[float](), FakeModels()
    enhance_picture(picture(300, 200), models, EnhanceOptions(tile_px=64, quality_passes=passes), seen.append)
    assert len(seen) == len(models.opened["uint8"].shapes)
    assert seen == sorted(set(seen))
    assert seen[-1] == 1.0
    assert seen[0] == pytest.approx(seen[passes - 1] / passes)


def test_short_memory_in_the_middle_of_a_window_starts_it_again() -> None:
    pixels = picture(500, 400).pixels
    expected = enhanced(pixels, SlantedModels(), quality_passes=8, tile_px=1024)
    runs = list[int]()

    def fault(tiles: Pixels) -> None:
        runs.append(max(tiles.shape[1:3]))
        if max(tiles.shape[1:3]) > 200 and len(runs) % 6 == 0:
            raise OutOfMemoryError("not enough memory")

    models = SlantedModels(fault=fault)
    assert np.array_equal(enhanced(pixels, models, quality_passes=8, tile_px=600), expected)
    model = models.opened["uint8"]
    assert model.window_limit_px is not None and model.window_limit_px <= 200
    assert model.releases == 2
    assert max(runs) > 200 and min(runs) <= 200


class Instant(FakeModel):
    """Returns its input: no memory of its own hides what the main path takes."""

    def run(self, tiles: Pixels, *_: NDArray[np.float32], **__: Any) -> Pixels:
        return tiles.copy()


def test_memory_is_one_result_and_some_windows() -> None:
    pixels = np.zeros((2400, 2000, 3), np.uint8)
    models = FakeModels()
    models.opened["uint8"] = Instant()

    def peak(**options: Any) -> int:
        tracemalloc.start()
        enhanced(pixels, models, tile_px=256, **options)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    plain = peak()
    windows = 8 * 256 * 256 * 3 * 4
    assert peak(quality_passes=8, strength=0.5) < max(plain, pixels.nbytes + windows) + 2**20
    assert max(plain, pixels.nbytes + windows) + 2**20 < pixels.nbytes * 4  # no float32 of the whole picture fits


@pytest.mark.parametrize("passes", [-1, 0, 2, 3, 5, 7, 9, 16])
def test_other_numbers_of_passes_are_usage_errors(passes: int) -> None:
    with pytest.raises(UsageError, match=f"expected --quality-passes 1, 4 or 8, got {passes}"):
        EnhanceOptions(quality_passes=passes)
