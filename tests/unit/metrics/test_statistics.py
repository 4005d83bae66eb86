"""Facts about single pictures, on pictures whose facts are known."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.metrics import statistics as module
from lumen.metrics.statistics import statistics


def test_a_flat_colour() -> None:
    found = statistics(np.full((20, 30, 3), (255, 51, 51), np.uint8))
    assert found["brightness"] == pytest.approx(0.299 + 0.2 * 0.701)
    assert found["contrast"] == pytest.approx(0, abs=1e-6)
    assert found["cast"] == pytest.approx(0.8)
    assert found["clipped"] == 1
    assert found["black"] == 0
    assert found["colorfulness"] == pytest.approx(0.3 * np.hypot(204, 102), abs=1e-3)


def test_black_and_white_halves() -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[:, 5:] = 255
    assert statistics(pixels) == {
        "brightness": pytest.approx(0.5),
        "contrast": pytest.approx(0.5),
        "colorfulness": pytest.approx(0.0),
        "cast": pytest.approx(0.0),
        "black": 0.5,
        "clipped": 0.5,
    }


def test_noise_in_strips_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (61, 47, 3)).astype(np.uint8)
    at_once = statistics(pixels)
    monkeypatch.setattr(module, "_STRIP_PX", 200)
    assert statistics(pixels) == pytest.approx(at_once)
    red, green, blue = (pixels[..., channel].astype(float) for channel in range(3))
    level = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    first, second = red - green, (red + green) / 2 - blue
    assert at_once["contrast"] == pytest.approx(level.std())
    spread, offset = np.hypot(first.std(), second.std()), np.hypot(first.mean(), second.mean())
    assert at_once["colorfulness"] == pytest.approx(spread + 0.3 * offset)
    assert at_once["black"] == pytest.approx((pixels.max(axis=2) <= 5).mean())


def test_nothing_has_no_statistics() -> None:
    with pytest.raises(ValueError, match="with pixels"):
        statistics(np.zeros((0, 5, 3), np.uint8))
