"""Steady light with look-ahead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.sequence import enhance_sequence
from lumen.enhance.steady import NEUTRAL, Settings, Steady, SteadyLight, refuse_unsteady, thumbnail_of
from lumen.errors import UsageError
from lumen.imaging.picture import Picture, Samples
from lumen.runtime.open import ModelSet
from tests.support.fakes import FakeModel, FakeModels
from tests.support.sequences import (
    STILL,
    as_pictures,
    cut_frames,
    dawn_frames,
    lamp_frames,
    noise_frames,
    stops,
)


@pytest.fixture(scope="module")
def models() -> ModelSet:
    return ModelSet()


def steady(frames: Sequence[Samples], models: ModelSet) -> list[Samples]:
    timed = enumerate(as_pictures(list(frames)))
    return [each.pixels for each in enhance_sequence(((float(time), each) for time, each in timed), models)]


def test_a_lamp_that_passes_leaves_a_still_patch_alone(models: ModelSet) -> None:
    frames = lamp_frames()
    alone = [enhance_picture(each, models).pixels for each in as_pictures(frames[::5])]
    assert np.ptp(stops(alone, STILL)) > 0.15
    assert np.ptp(stops(steady(frames, models), STILL)) <= 0.05


def test_noise_moves_nothing(models: ModelSet) -> None:
    result = steady(noise_frames(), models)
    assert np.ptp(stops(result)) <= 0.02 and np.ptp(stops(result, STILL)) <= 0.02
    assert np.abs(np.diff(stops(result))).max() <= 0.03


def test_a_cut_is_followed_at_that_very_frame(models: ModelSet) -> None:
    frames = cut_frames()
    result = steady(frames, models)
    (alone,) = (enhance_picture(each, models).pixels for each in as_pictures(frames[10:11]))
    assert stops(result)[10] == pytest.approx(stops([alone])[0], abs=0.03)
    assert np.ptp(stops(result[:10])) <= 0.02 and np.ptp(stops(result[10:])) <= 0.02


def test_a_dawn_stays_monotone(models: ModelSet) -> None:
    assert np.diff(stops(steady(dawn_frames(), models))).min() > 0


# The rest with a fake, whose tone is the logarithm of a factor.


def toned(levels: Sequence[float], **changes: Any) -> list[tuple[int, float, bool]]:
    """Return number, factor and cut of frames that are flat at some levels from 0 to 1."""
    light: SteadyLight[int] = SteadyLight(FakeModel(contract=2, tone_size=2), **changes)
    ready = []
    for number, level in enumerate(levels):
        ready += light.push(number, np.full((32, 32, 3), level, np.float32), number)
    ready += light.end()
    return [(each.item, float(np.exp(each.tone[0])), each.is_cut) for each in ready]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 100])
def test_each_frame_comes_out_once_and_in_order(count: int) -> None:
    assert [number for number, *_ in toned([0.1] * count)] == list(range(count))


@pytest.mark.parametrize(
    ("levels", "cuts"),
    [
        ([0.1] * 5 + [0.4] * 5, [0, 5]),
        ([0.1] * 5 + [0.4], [0, 5]),  # at the end
        ([0.1] * 5 + [0.4] * 2, [0, 5]),
        ([0.1] * 5 + [0.4, 0.9, 0.2] + [0.05] * 5, [0, 5, 6, 7, 8]),
        ([0.1] * 5 + [0.9] + [0.1] * 5, [0]),  # a flash
        ([0.1] * 5 + [0.9] * 2 + [0.1] * 5, [0]),
        ([0.1] * 5 + [0.9] * 3 + [0.1] * 5, [0, 5, 8]),
        ([0.1 * 1.02**each for each in range(60)], [0]),
    ],
)
def test_cuts_are_told_from_flashes_and_drifts(levels: list[float], cuts: list[int]) -> None:
    found = toned(levels)
    assert [number for number, *_ in found] == list(range(len(levels)))
    assert [number for number, _, is_cut in found if is_cut] == cuts


def test_a_flash_has_its_own_tone_and_the_others_do_not_see_it() -> None:
    factors = [factor for _, factor, _ in toned([0.1] * 5 + [0.9] + [0.1] * 5)]
    assert factors.pop(5) == pytest.approx(0.4 / 0.9, rel=1e-3)
    assert factors == pytest.approx([4.0] * 10, rel=1e-3)


def test_a_drift_is_followed_without_lag() -> None:
    levels = [0.1 * 1.01**each for each in range(100)]
    found = toned(levels)
    for (number, factor, _), (_, after, _) in pairwise(found[36:64]):
        assert factor == pytest.approx(0.4 / levels[number], rel=0.01)
        assert after < factor


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.enhance.steady.MOST_FRAMES", 10)
    light: SteadyLight[int] = SteadyLight(FakeModel(contract=2, tone_size=2), reach=1e9)
    dark = np.full((32, 32, 3), 0.1, np.float32)
    ready = [each.item for number in range(200) for each in light.push(number, dark, number)]
    assert ready == list(range(len(ready))) and len(ready) > 160
    assert len(light._scene) < 80


def test_a_frame_with_other_settings_has_the_light_of_all_with_these() -> None:
    levels, brighter = [0.1, 0.11, 0.09, 0.12] * 6, (1.0, NEUTRAL[1])
    thumbnails = [np.full((32, 32, 3), level, np.float32) for level in levels]

    def light(evs: Sequence[float], variants: Sequence[Settings] = ()) -> list[Steady[int]]:
        made: SteadyLight[int] = SteadyLight(FakeModel(contract=2, tone_size=2))
        ready = [
            each
            for number, (thumbnail, ev) in enumerate(zip(thumbnails, evs, strict=True))
            for each in made.push(number, thumbnail, number, ev=ev, variants=variants)
        ]
        return ready + made.end()

    plain, all_brighter = light([0.0] * 24), light([1.0] * 24)
    mixed = light([1.0 if number == 9 else 0.0 for number in range(24)], [brighter])
    assert [each.item for each in mixed if each.is_cut] == [0]
    for number, each in enumerate(mixed):
        expected = all_brighter if number == 9 else plain
        assert each.tone == pytest.approx(expected[number].tone)
        assert each.variants[brighter] == pytest.approx(all_brighter[number].tone)
    assert all_brighter[9].tone[0] - plain[9].tone[0] == pytest.approx(np.log(2) / 2.2, rel=1e-3)


def test_models_and_passes_that_do_not_allow_it_are_refused() -> None:
    with pytest.raises(UsageError, match="'fake' has no tone stage"):
        refuse_unsteady(FakeModel(), EnhanceOptions())
    with pytest.raises(UsageError, match=r"quality-passes 1 or 4 .* got 8"):
        refuse_unsteady(FakeModel(contract=2, tone_size=2), EnhanceOptions(quality_passes=8))


def test_tiles_and_passes_have_the_tone_that_is_given() -> None:
    models = FakeModels(contract=2, tone_size=2)
    picture = Picture(pixels=np.full((300, 200, 3), 20, np.uint8), format="png")
    tone = np.array([np.log(3), 1], np.float32)
    for options in (EnhanceOptions(), EnhanceOptions(tile_px=64), EnhanceOptions(quality_passes=4)):
        assert (enhance_picture(picture, models, options, fixed_tone=tone).pixels == 60).all()


def test_deep_and_shallow_pictures_share_a_tone() -> None:
    models = FakeModels(contract=2, tone_size=2)
    deep = Picture(pixels=np.full((64, 64, 3), 20 * 257, np.uint16), format="png")
    shallow = Picture(pixels=np.full((64, 64, 3), 20, np.uint8), format="png")
    assert thumbnail_of(deep, models) == pytest.approx(thumbnail_of(shallow, models))
    results = [each.pixels for each in enhance_sequence([(0.0, deep), (1.0, shallow)], models)]
    assert (results[0] // 257 == results[1]).all()
