"""Baselines do what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.errors import UsageError
from lumen.evaluation.baselines import make_baseline


def dark() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(10, 60, (40, 50, 3)).astype(np.uint8)


def test_autocontrast_stretches_each_channel() -> None:
    made = make_baseline("autocontrast")(dark())
    assert made.min(axis=(0, 1)).tolist() == [0, 0, 0]
    assert made.max(axis=(0, 1)).tolist() == [255, 255, 255]


def test_equalize_makes_levels_equally_frequent() -> None:
    made = make_baseline("equalize")(dark())
    for channel in range(3):
        assert np.quantile(made[..., channel], [0.25, 0.5, 0.75]) == pytest.approx([64, 128, 191], abs=25)


@pytest.mark.parametrize(("name", "exponent"), [("gamma", 2.2), ("gamma:3", 3.0), ("gamma:1.5", 1.5)])
def test_gamma_is_a_power(name: str, exponent: float) -> None:
    expected = np.rint(255 * (dark() / 255) ** (1 / exponent))
    assert np.array_equal(make_baseline(name)(dark()), expected)


@pytest.mark.parametrize("name", ["", "gamma:", "gamma:0", "gamma:-2", "clahe", "Gamma"])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--baseline autocontrast"):
        make_baseline(name)
