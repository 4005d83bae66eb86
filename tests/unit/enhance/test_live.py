"""Steady light from the past alone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lumen.enhance.live import LiveLight
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.steady import thumbnail_of
from lumen.imaging.picture import Samples
from lumen.runtime.open import ModelSet
from tests.support.fakes import FakeModel
from tests.support.sequences import STILL, as_pictures, cut_frames, dawn_frames, lamp_frames, noise_frames, stops

DARK = np.full((32, 32, 3), 0.1, np.float32)


@pytest.fixture(scope="module")
def models() -> ModelSet:
    return ModelSet()


def live(frames: Sequence[Samples], models: ModelSet) -> list[Samples]:
    light = LiveLight(models.for_sample("uint8"))
    return [
        enhance_picture(each, models, fixed_tone=light.tone(thumbnail_of(each, models))).pixels
        for each in as_pictures(list(frames))
    ]


def test_a_lamp_that_passes_leaves_a_still_patch_alone(models: ModelSet) -> None:
    assert np.ptp(stops(live(lamp_frames(), models), STILL)) <= 0.05


def test_noise_moves_nothing(models: ModelSet) -> None:
    result = live(noise_frames(), models)
    assert np.ptp(stops(result)) <= 0.02
    assert np.abs(np.diff(stops(result))).max() <= 0.03


def test_a_cut_is_followed_within_three_frames(models: ModelSet) -> None:
    frames = cut_frames()
    (alone,) = (enhance_picture(each, models).pixels for each in as_pictures(frames[12:13]))
    assert stops(live(frames, models))[12] == pytest.approx(stops([alone])[0], abs=0.03)


def test_a_dawn_stays_monotone(models: ModelSet) -> None:
    assert np.diff(stops(live(dawn_frames(), models))).min() > 0


# The rest with a fake, whose tone is the logarithm of a factor.


def fake() -> FakeModel:
    return FakeModel(contract=2, tone_size=2)


def factors(light: LiveLight, levels: Sequence[float]) -> list[float]:
    return [float(np.exp(light.tone(np.full((32, 32, 3), level, np.float32))[0])) for level in levels]


def test_a_flash_changes_nothing() -> None:
    found = factors(LiveLight(fake()), [0.1] * 5 + [0.9] + [0.1] * 5)
    assert found.pop(5) == pytest.approx(0.4 / 0.9, rel=1e-3)
    assert found == pytest.approx([4.0] * 10, rel=1e-3)


def test_a_change_is_followed_in_small_steps() -> None:
    found = factors(LiveLight(fake()), [0.1] * 5 + [0.12] * 200)
    assert max(abs(np.diff(np.log2(found)))) <= 0.03
    assert found[-1] == pytest.approx(0.4 / 0.12, rel=0.01)


def test_other_settings_begin_another_path() -> None:
    light = LiveLight(fake())
    first, second = light.tone(DARK)[0], light.tone(DARK, ev=1.0)[0]
    assert second - first == pytest.approx(np.log(2) / 2.2, rel=1e-3)


@pytest.mark.parametrize("levels", [[0.1], [0.1, 0.11, 0.2, 0.1], [0.1] * 40, [0.1, 0.1, 0.9]])
def test_a_restart_changes_nothing(levels: list[float]) -> None:
    going, after = LiveLight(fake()), [0.9, 0.88, 0.1, 0.12]
    factors(going, levels)
    restarted = LiveLight(fake(), going.state())
    assert restarted.has_begun
    assert factors(restarted, after) == factors(going, after)


def states() -> dict[str, bytes]:
    light = LiveLight(fake())
    light.tone(DARK)
    good = light.state()

    def changed(**changes: Any) -> bytes:
        with np.load(io.BytesIO(good)) as arrays:
            stream = io.BytesIO()
            np.savez(stream, **{**arrays, **changes})
        return stream.getvalue()

    swelling = io.BytesIO()
    with zipfile.ZipFile(swelling, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("cells.npy", bytes(1 << 20))
    return {
        "empty": b"",
        "no archive": b"nothing",
        "cut": good[: len(good) // 2],
        "swelling": swelling.getvalue(),
        "no number": changed(path=np.array([np.nan, 1], np.float32)),
        "other size": changed(path=np.ones(3, np.float32)),
        "other type": changed(path=np.ones(2)),
        "too many cells": changed(cells=np.zeros((1000, 16, 16), np.float32)),
        "no cells": changed(cells=np.zeros((0, 16, 16), np.float32)),
        "other picture": changed(background=np.zeros((4, 4, 3), np.float16)),
    }


@pytest.mark.parametrize("kind", list(states()))
def test_a_state_that_is_no_state_is_left_unused(kind: str) -> None:
    assert not LiveLight(fake(), states()[kind]).has_begun


def test_the_state_of_another_model_is_left_unused() -> None:
    light = LiveLight(fake())
    light.tone(DARK)
    assert not LiveLight(FakeModel(contract=2, tone_size=2, weights_sha256="1" * 64), light.state()).has_begun
