"""What several measures need is computed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lumen.evaluation import score, subject
from lumen.evaluation.subject import Subject
from tests.support.scores import noise


@pytest.mark.parametrize("name", ["mse", "statistics"])
def test_shared_work_is_done_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    work, calls = getattr(subject, name), 0

    def counted(*pictures: Any) -> Any:
        nonlocal calls
        calls += 1
        return work(*pictures)

    monkeypatch.setattr(subject, name, counted)
    score(noise(1), noise(2))
    assert calls == 1


def test_deep_pictures_are_shown_rounded_and_compared_as_they_are() -> None:
    deep = noise(1, high=255).astype(np.uint16) * 257 + 100
    found = Subject(pixels=deep, truth=deep, channel="rgb", data_range=65535)
    assert found.pair[0] is deep
    assert np.array_equal(found.pixels_8bit, noise(1, high=255)) and found.pixels_8bit.dtype == np.uint8
    assert Subject(pixels=deep, truth=deep, channel="y", data_range=65535).pair[0].ndim == 2
