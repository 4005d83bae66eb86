"""The loss of a training: noise and single batches mean nothing, an explosion is noticed soon."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lumen.train.trend import LossTrend


def falling(steps: int, noise: float) -> np.ndarray:
    """Return the losses of a sound training, which vary by a factor of e ** noise."""
    rng = np.random.default_rng(0)
    return (0.08 + 0.3 * np.exp(-np.arange(steps) / 500)) * np.exp(rng.normal(0, noise, steps))


@pytest.mark.parametrize("noise", [0.1, 0.5, 1.0])
def test_sound_trainings_never_trigger(noise: float) -> None:
    trend = LossTrend()
    for index, loss in enumerate(falling(20_000, noise)):
        trend.observe(loss * (1e6 if index % 1000 == 999 else 1))  # a single batch
        trend.observe(math.nan if index % 100 == 0 else loss)
        assert not trend.exploded and not trend.doubtful


def test_losses_near_nothing_never_trigger() -> None:
    trend = LossTrend()
    for loss in [1e-7] * 200 + [0.0] * 10 + [5e-4] * 500:
        trend.observe(loss)
        assert not trend.doubtful


@pytest.mark.parametrize(("times", "within"), [(400, 30), (30, 80)])
def test_an_explosion_is_noticed_and_doubted_before(times: float, within: int) -> None:
    trend = LossTrend()
    for loss in falling(2_150, 0.3):
        trend.observe(loss)
    steps = doubted = 0
    while not trend.exploded:
        doubted += trend.doubtful
        trend.observe(0.1 * times)
        steps += 1
    assert steps <= within and doubted > steps / 3
    assert str(trend).startswith("the loss rose from 0.0")
