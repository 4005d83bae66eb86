"""One optimiser step, in parts, in half precision, and where it would do harm."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lumen.train.stepper import SKIPPED_LIMIT
from tests.support.training import make_stepper, weights_of


def batch(count: int = 4) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    high = torch.rand(count, 3, 16, 16, generator=generator)
    return high * 0.1, high, torch.zeros(count, 3, 1, 1), torch.zeros(count), torch.zeros(count, 4)


@pytest.mark.parametrize("parts", [2, 3, 4, 9])
def test_a_batch_in_parts_gives_the_same_gradient(parts: int) -> None:
    whole, cut = make_stepper(), make_stepper(accumulate=parts)
    steps = [each.step(batch(), 1e-3, False) for each in (whole, cut)]
    assert steps[0].loss == pytest.approx(steps[1].loss, rel=1e-5)
    for a, b in zip(whole.trained, cut.trained, strict=True):
        assert a.grad is not None and b.grad is not None
        assert torch.allclose(a.grad, b.grad, atol=1e-6)
    assert torch.allclose(weights_of(whole), weights_of(cut), atol=1e-4)


def test_a_gradient_that_is_no_number_changes_nothing() -> None:
    subject = make_stepper()
    before = weights_of(subject).clone()
    low, *rest = batch()
    step = subject.step((low * math.nan, *rest), 1e-3, False)
    assert not step.taken and math.isnan(step.loss)
    assert torch.equal(weights_of(subject), before)
    for _ in range(SKIPPED_LIMIT - 1):
        assert not subject.broken
        subject.step((low * math.nan, *rest), 1e-3, False)
    assert subject.broken
    assert subject.step(batch(), 1e-3, False).taken and not subject.broken
    assert not torch.equal(weights_of(subject), before)


def test_half_precision_finds_its_scale() -> None:
    subject = make_stepper(amp="fp16", clip_norm=0.0)
    subject.scaler.load_state_dict({**subject.scaler.state_dict(), "scale": 2.0**40})  # overflows at first
    steps = [subject.step(batch(), 1e-3, False) for _ in range(40)]
    assert not steps[0].taken and steps[-1].taken
    assert subject.state()["scaler"]["scale"] < 2.0**40
    other = make_stepper(amp="fp16")
    other.restore(subject.state())
    assert other.state() == subject.state()
    make_stepper().restore(subject.state())  # a training that goes on without half precision needs no scale


def test_half_precision_trains_as_full_precision_does() -> None:
    full, half = make_stepper(clip_norm=0.0), make_stepper(amp="fp16", clip_norm=0.0)
    losses = [[each.step(batch(), 1e-3, False).loss for _ in range(20)] for each in (full, half)]
    assert losses[0][-1] < 0.9 * losses[0][0]
    assert losses[1][-1] == pytest.approx(losses[0][-1], rel=0.05)


def test_where_memory_runs_out_a_batch_is_cut(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    subject, most = make_stepper(), 1
    loss = subject.loss

    def narrow(samples: Any) -> torch.Tensor:
        if len(samples[0]) > most:
            raise torch.OutOfMemoryError("no")
        return loss(samples)

    monkeypatch.setattr(subject, "loss", narrow)
    assert subject.step(batch(), 1e-3, False).taken
    assert subject.parts == 4 and "each batch is now split into 4 parts" in caplog.text
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        subject.step(batch(), 1e-3, False)


def test_adam_is_adam_and_adamw_is_adamw() -> None:
    for kind, decoupled in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)):
        optimizer = make_stepper(kind=kind, beta1=0.8, epsilon=1e-6).optimizer
        assert type(optimizer) is decoupled
        assert optimizer.defaults["betas"] == (0.8, 0.999) and optimizer.defaults["eps"] == 1e-6
