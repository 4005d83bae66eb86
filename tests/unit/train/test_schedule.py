"""Learning rates."""

from __future__ import annotations

import itertools

import pytest

from lumen.train.recipe.sections import OptimizerConfig
from lumen.train.schedule import RateControl, learning_rate


def test_cosine_warms_up_holds_and_descends() -> None:
    config = OptimizerConfig(iterations=1000, warmup=100, hold=0.5, rate=1.0, final_rate=0.01)
    rates = [learning_rate(config, i) for i in range(1000)]
    assert rates[0] == pytest.approx(0.01) and rates[99] == rates[499] == 1.0
    assert rates[749] == pytest.approx(0.505, abs=0.01)
    assert rates[-1] == pytest.approx(0.01)
    assert all(a >= b for a, b in itertools.pairwise(rates[499:]))


def test_constant_stays() -> None:
    config = OptimizerConfig(iterations=100, warmup=10, rate=1.0, schedule="constant")
    assert {learning_rate(config, i) for i in range(10, 100)} == {1.0}


def test_a_plateau_lowers_the_rate_down_to_the_final_one() -> None:
    config = OptimizerConfig(
        schedule="plateau", plateau_patience=2, plateau_factor=0.5, rate=1.0, final_rate=0.3, warmup=0
    )
    rate = RateControl()
    lowered = [rate.observe(score, config) for score in (20.0, 21.0, 20.5, 21.0, 21.5, 21.0, 21.0)]
    assert lowered == [False, False, False, True, False, False, True]
    assert rate.at(config, 5) == 0.3  # a quarter would be less than the final rate
    assert RateControl(**vars(rate)) == rate


def test_other_schedules_have_no_plateau() -> None:
    config = OptimizerConfig(plateau_patience=1, warmup=0, rate=1.0)
    rate = RateControl()
    assert not any(rate.observe(1.0, config) for _ in range(5))
    assert rate.at(config, 0) == 1.0
