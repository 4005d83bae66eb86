"""Pairs that do not register, and scenes on both sides of a split."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.train.data.checks import misaligned, shared_scenes, warn_of_misaligned, warn_of_shared_scenes
from lumen.train.data.load import Example
from tests.support.training import darker, make_pairs, scene


def textured(seed: int, height: int = 400, width: int = 600) -> np.ndarray:
    """Return a picture with as many edges as a photograph has."""
    rng = np.random.default_rng(seed)
    picture = scene(seed, height, width).astype(np.int16)
    for _ in range(60):
        top, left = rng.integers(height - 40), rng.integers(width - 60)
        picture[top : top + rng.integers(8, 40), left : left + rng.integers(8, 60)] += rng.integers(-70, 70)
    return np.clip(picture, 20, 250).astype(np.uint8)


def pair(name: str, seed: int, down: int = 0, right: int = 0) -> Example:
    high = textured(seed)
    noise = np.random.default_rng(seed).normal(0, 1.5, high.shape)
    low = np.clip(np.roll(darker(high, 0.15), (down, right), axis=(0, 1)) + noise, 0, 255).astype(np.uint8)
    return Example(name=name, low=low, high=high)


def test_a_shift_is_found_and_measured() -> None:
    found = misaligned([pair("good", 1), pair("small", 2, down=4), pair("large", 3, -40, 26), pair("fine", 4)])
    assert [(shift.name, shift.down, shift.right) for shift in found] == [("small", 4, 0), ("large", -40, 26)]
    assert str(found[1]) == "large (-40 down, +26 right)"


def test_pictures_with_nothing_to_see_are_not_blamed() -> None:
    noise = np.random.default_rng(0).integers(0, 3, (64, 64, 3), dtype=np.uint8)
    flat = Example(name="flat", low=noise, high=np.full((64, 64, 3), 90, np.uint8))
    tiny = Example(name="tiny", low=scene(0, 4, 4), high=scene(1, 4, 4))
    assert misaligned([flat, tiny]) == []


def test_scenes_on_both_sides_are_named() -> None:
    train = make_pairs(3)
    other = [Example(name=f"v{i}", low=darker(scene(i)), high=darker(scene(i), 0.7)) for i in (1, 7)]
    assert shared_scenes(train, other) == [("v1", "1")]
    assert shared_scenes(train, other[1:]) == [] == shared_scenes([], other)


def test_warnings_have_names(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = pair("good", 1), pair("bad", 2, down=8)
    warn_of_misaligned([good, bad])
    warn_of_shared_scenes([good, bad], [Example(name="again", low=good.low, high=good.high)])
    assert "1 pair(s) look misaligned: bad (+8 down, +0 right); leave them out with" in caplog.text
    assert "so their scores will be too high: again (as good)" in caplog.text
    caplog.clear()
    warn_of_misaligned([good])
    warn_of_shared_scenes([good], [])
    assert not caplog.records
