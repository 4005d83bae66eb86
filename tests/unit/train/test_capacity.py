"""How many parts a batch is taken in."""

from __future__ import annotations

import sys

import pytest
import torch

from lumen.train import capacity
from lumen.train.capacity import fit_batch, parts_that_fit, peak_bytes
from tests.support.training import make_stepper, weights_of

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not tell")


@pytest.mark.parametrize(
    ("crops", "each", "free", "parts"),
    [(16, 10, 1e9, 1), (16, 10, 159, 2), (16, 10, 25, 8), (7, 10, 30, 3), (4, 10, -5, 4)],
)
def test_parts_are_as_few_as_fit(crops: int, each: float, free: float, parts: int) -> None:
    assert parts_that_fit(crops, each, free) == parts


@linux
def test_the_peak_of_some_work_is_measured() -> None:
    device = torch.device("cpu")
    peak = peak_bytes(device, lambda: torch.ones(30_000_000).sum())
    assert peak is not None and 0.9 * 120e6 < peak < 2 * 120e6
    small = peak_bytes(device, lambda: torch.ones(10).sum())
    assert small is not None and small < 20e6


def test_a_trial_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = make_stepper()
    before, state = weights_of(subject).clone(), torch.get_rng_state()
    monkeypatch.setattr(capacity, "peak_bytes", lambda _, work: (work(), 2_000_000)[1])
    monkeypatch.setattr(capacity, "free_ram_bytes", lambda: 5_000_000)
    fit_batch(subject, 16, 0)
    assert subject.parts == 6  # 0.8 of 5 MB, less the optimiser's state, hold three crops of a megabyte
    assert torch.equal(weights_of(subject), before) and torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in subject.trained)
    assert not subject.optimizer.state


def test_where_nothing_is_known_the_recipe_decides(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    subject = make_stepper(accumulate=2)
    monkeypatch.setattr(capacity, "peak_bytes", lambda *_: None)
    fit_batch(subject, 16, 0)
    assert subject.parts == 2 and "cannot measure the memory of a step" in caplog.text
