"""The trainer: it learns, resumes exactly, goes back where it broke down, and ends as it should."""

from __future__ import annotations

import json
import math
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lumen.errors import TrainingError
from lumen.train.checkpoint import Checkpoint, load_checkpoint
from lumen.train.loop import Trainer
from lumen.train.recipe.recipe import Recipe
from lumen.train.stepper import StepResult
from tests.support.training import SMALL_RESIDUAL, csv_rows, make_pairs, make_trainer, tiny_recipe

pytestmark = pytest.mark.usefixtures("no_drawings")


def test_a_run_writes_checkpoints_metrics_and_events(tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    assert make_trainer(tiny_recipe(), tmp_path, events).fit() == 0
    best, last = load_checkpoint(tmp_path / "best.pt"), load_checkpoint(tmp_path / "last.pt")
    assert last.iteration == 6 and last.optimizer is not None and best.optimizer is None
    kinds = [event["kind"] for event in events]
    assert kinds.count("step") == 6 and kinds.count("validation") == 3 and kinds.count("stage") == 2
    stages = [event for event in events if event["kind"] == "stage"]
    assert [event["done"] for event in stages] == [0, stages[0]["of"]], "it says when it has begun, and when it is done"
    assert not any(event["joined"] for event in stages)
    rows = csv_rows(tmp_path / "metrics.csv")
    assert [int(row["iteration"]) for row in rows if row["psnr_given"]] == [3, 6, 6]
    assert best.facts["data"]["train_pairs"] + len(best.facts["data"]["val_pairs"]) == 6
    json.dumps(best.facts)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    recipe = tiny_recipe(
        data={"synthetic": 0, "identity": 0, "framing": 0},
        optimizer={"iterations": 120, "rate": 3e-3},
        validation={"every": 120},
        brightness={"iterations": 0},
    )
    make_trainer(recipe, tmp_path, events).fit()
    losses = [event["loss"] for event in events if event["kind"] == "step"]
    assert np.mean(losses[-30:]) < 0.9 * np.mean(losses[:30])


def whole_and_in_parts(recipe: Recipe, folder: Path, stop_at: int, name: str) -> list[Checkpoint]:
    """Return a checkpoint of a run, and that of one that a signal stopped after some iterations, and that went on."""
    make_trainer(recipe, folder / "whole").fit()
    first = make_trainer(recipe, folder / "parts")
    step = first.state.step

    def stopping(batch: Any, stop: bool) -> StepResult:
        return step(batch, stop or first.state.iteration == stop_at - 1)

    first.state.step = stopping  # type: ignore[method-assign]
    assert first.fit() == signal.SIGTERM
    second = make_trainer(recipe, folder / "parts")
    second.resume(folder / "parts" / "last.pt")
    assert second.state.iteration == stop_at
    second.fit()
    return [load_checkpoint(folder / part / name) for part in ("whole", "parts")]


@pytest.mark.parametrize(
    "optimizer",
    [
        {"amp": "bf16"},
        {"amp": "off", "kind": "adam", "accumulate": 2},
        {"amp": "fp16", "schedule": "plateau", "plateau_patience": 1, "epochs": 6.0, "iterations": 0},
    ],
)
def test_resume_is_bit_equal(tmp_path: Path, optimizer: dict[str, object]) -> None:
    recipe = tiny_recipe(optimizer=optimizer, brightness={"iterations": 0}, validation={"every": 2})
    whole, parts = whole_and_in_parts(recipe, tmp_path, 3, "last.pt")
    assert all(torch.equal(whole.weights[name], parts.weights[name]) for name in whole.weights)
    assert all(torch.equal(whole.ema[name], parts.ema[name]) for name in whole.ema)
    assert whole.state == parts.state


def test_held_out_pictures_join_at_the_end(tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    run = make_trainer(tiny_recipe(validation={"every": 2, "until": 0.5}), tmp_path, events)
    drawn: dict[int, set[str]] = {}
    for name in ("apart", "joined"):
        source = getattr(run.batches, name)
        drawn[len(source.pairs)] = {example.name for example in (*source.pairs, *source.photos)}
    run.fit()
    held_out = {example.name for example in (*run.split.val_pairs, *run.split.val_photos)}
    assert len(held_out) == 3
    assert drawn[4] & held_out == set() and drawn[6] >= held_out
    assert [event["iteration"] for event in events if event["kind"] == "validation"] == [2, 3, 3]
    best, last = load_checkpoint(tmp_path / "best.pt"), load_checkpoint(tmp_path / "last.pt")
    assert best.iteration == last.iteration == 6
    body = [name for name in best.ema if not name.startswith("exposure.")]
    assert all(torch.equal(best.ema[name], last.ema[name]) for name in body)
    assert any(not torch.equal(best.ema[name], last.ema[name]) for name in best.ema)  # the head has seen them too
    scores = [float(row["psnr"]) for row in csv_rows(tmp_path / "metrics.csv") if row["psnr"]]
    assert best.facts["validation"]["psnr"] == pytest.approx(scores[-1], rel=1e-4)
    assert load_checkpoint(tmp_path / "validated.pt").iteration == 3


def test_joining_resumes_bit_equal(tmp_path: Path) -> None:
    recipe = tiny_recipe(validation={"until": 0.5})
    whole, parts = whole_and_in_parts(recipe, tmp_path, 4, "best.pt")
    assert all(torch.equal(whole.ema[name], parts.ema[name]) for name in whole.ema)
    assert whole.facts["validation"] == parts.facts["validation"]


def test_a_broken_training_goes_back_and_slows_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lumen.train.stepper.SKIPPED_LIMIT", 2)
    run = make_trainer(tiny_recipe(optimizer={"iterations": 8}, brightness={"iterations": 0}), tmp_path)
    batch, left = run.batches.draw, [4, 5]

    def broken_once(iteration: int) -> Any:
        low, *rest = batch(iteration)
        if iteration in left:
            left.remove(iteration)
            low = low * math.nan
        return low, *rest

    run.batches.draw = broken_once  # type: ignore[method-assign]
    assert run.fit() == 0
    assert "iteration 5: NaN or infinite gradients, the step is skipped" in caplog.text
    assert "resuming from iteration 3 at 0.5 times the learning rate" in caplog.text
    assert run.state.iteration == 8 and run.state.rate.factor == 0.5
    weights = load_checkpoint(tmp_path / "last.pt").weights
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


def test_a_training_that_stays_broken_ends_with_its_last_sound_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lumen.train.stepper.SKIPPED_LIMIT", 2)
    run = make_trainer(tiny_recipe(optimizer={"iterations": 9}), tmp_path)
    batch = run.batches.draw

    def broken(iteration: int) -> Any:
        low, *rest = batch(iteration)
        return low * (math.nan if iteration >= 4 else 1), *rest

    run.batches.draw = broken  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"last good state is in .*last\.pt; lower optimizer\.rate"):
        run.fit()
    last = load_checkpoint(tmp_path / "last.pt")
    assert last.iteration == 3
    assert last.state["pace"]["factor"] == 0.125
    assert all(bool(torch.isfinite(value).all()) for value in last.weights.values())
    assert "resuming from iteration 3 at 0.125 times the learning rate" in caplog.text


def exploding(monkeypatch: pytest.MonkeyPatch, folder: Path, *, forever: bool) -> Trainer:
    """Return a training whose loss is 1000 times as large after iteration 12, or only the first time it gets there."""
    monkeypatch.setattr("lumen.train.trend.SMOOTH", 4)
    recipe = tiny_recipe(
        network=SMALL_RESIDUAL, optimizer={"iterations": 24}, validation={"every": 6}, brightness={"iterations": 0}
    )
    run = make_trainer(recipe, folder)
    step = run.state.step

    def exploded(batch: Any, stop: bool) -> StepResult:
        result = step(batch, stop)
        if run.state.iteration > 12 and (forever or not run.state.returns):
            run.state.trend.observe(1000 * result.loss)
        return result

    run.state.step = exploded  # type: ignore[method-assign]
    return run


def test_a_loss_that_explodes_goes_back_and_slows_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = exploding(monkeypatch, tmp_path, forever=False)
    assert run.fit() == 0
    said = [record.getMessage() for record in caplog.records if "resuming" in record.getMessage()]
    assert len(said) == 1
    assert re.fullmatch(
        r"the loss rose from \S+ to \S+: resuming from iteration 12 at 0.5 times the learning rate", said[0]
    )
    assert run.state.iteration == 24 and run.state.rate.factor == 0.5


def test_a_loss_that_explodes_again_and_again_ends_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match=r"the loss rose from .* last good state is in .*last\.pt"):
        exploding(monkeypatch, tmp_path, forever=True).fit()
    assert load_checkpoint(tmp_path / "last.pt").iteration == 12


def test_nothing_is_kept_while_the_loss_may_be_about_to_explode(tmp_path: Path) -> None:
    run = make_trainer(tiny_recipe(), tmp_path)
    run.state.trend.best, run.state.trend.level = 0.0, 1.5
    run._keep()
    assert not (tmp_path / "last.pt").exists()
    run.state.trend.level = 1.0
    run._keep()
    assert (tmp_path / "last.pt").exists()


def test_what_belongs_to_the_machine_changes_no_result(tmp_path: Path) -> None:
    recipe = tiny_recipe(optimizer={"amp": "off"}, brightness={"iterations": 0}, data={"mixup": 0.5})
    plain = make_trainer(recipe, tmp_path / "plain")
    other = make_trainer(recipe, tmp_path / "other", recompute=True, resident=True, fit_memory=True)
    for run in (plain, other):
        assert run.fit() == 0
    weights = [run.state.network.state_dict() for run in (plain, other)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-5) for name in weights[0])


def test_what_fits_is_measured_beside_the_resident_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_trainer(tiny_recipe(brightness={"iterations": 0}), tmp_path, resident=True, fit_memory=True)
    resident: list[int] = []
    monkeypatch.setattr("lumen.train.loop.fit_batch", lambda *_: resident.append(len(run.batches.resident)))
    run.fit()
    assert resident == [1]


def test_plain_networks_are_trained_without_a_second_stage(tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    run = make_trainer(tiny_recipe(network=SMALL_RESIDUAL), tmp_path, events)
    assert run.fit() == 0
    assert {event["kind"] for event in events} == {"begin", "step", "validation", "end"}
    scores = load_checkpoint(tmp_path / "best.pt").facts["validation"]
    assert scores.keys() == {"psnr", "psnr_gt_mean", "ssim", "photo_psnr"}
    assert run.batches.draw(0)[2].shape == (4, 3, 1, 1)  # no thumbnails are made where nothing reads them


def test_resume_cuts_the_metrics_back(tmp_path: Path) -> None:
    recipe = tiny_recipe(brightness={"iterations": 0})
    make_trainer(recipe, tmp_path).fit()
    checkpoint = tmp_path / "last.pt"
    again = make_trainer(recipe, tmp_path)
    again.records.metrics.validation(9, {"psnr": 1.0})
    again.resume(checkpoint)
    assert {int(row["iteration"]) for row in csv_rows(tmp_path / "metrics.csv")} == {3, 6}


def test_going_on_elsewhere_ends_with_a_best_checkpoint(tmp_path: Path) -> None:
    make_trainer(tiny_recipe(), tmp_path / "first").fit()
    second = make_trainer(tiny_recipe(), tmp_path / "second")
    second.resume(tmp_path / "first" / "last.pt")
    second.state.best = math.inf
    assert second.fit() == 0
    assert load_checkpoint(tmp_path / "second" / "best.pt").iteration == 6


def test_a_signal_in_the_second_stage_ends_it_and_a_later_run_does_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Mapping[str, Any]] = []

    def interrupted(*given: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        given[-1]()
        pytest.fail("the fit went on")

    with monkeypatch.context() as patched:
        patched.setattr("lumen.train.loop.fit_brightness", interrupted)
        assert make_trainer(tiny_recipe(), tmp_path, events).fit() == signal.SIGINT
    assert events[-1]["kind"] == "end" and events[-1]["stopped"]
    before = (tmp_path / "best.pt").read_bytes()
    again = make_trainer(tiny_recipe(), tmp_path)
    again.resume(tmp_path / "last.pt")
    assert again.fit() == 0
    assert (tmp_path / "best.pt").read_bytes() != before


def test_other_held_out_pairs_than_before_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_trainer(tiny_recipe(optimizer={"iterations": 1}), tmp_path).fit()
    make_trainer(tiny_recipe(), tmp_path).resume(tmp_path / "last.pt")
    assert "may have been trained on" not in caplog.text
    make_trainer(tiny_recipe(validation={"pairs": 3, "at_most": 0.0}), tmp_path).resume(tmp_path / "last.pt")
    assert re.search(r"held out other pairs: \d may have been trained on", caplog.text)


def test_beginning_from_weights_that_saw_the_held_out_pictures_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = tiny_recipe(validation={"until": 0.5})
    make_trainer(recipe, tmp_path / "first").fit()
    make_trainer(recipe, tmp_path / "second").begin_from(tmp_path / "first" / "validated.pt")
    assert not caplog.records
    make_trainer(recipe, tmp_path / "third").begin_from(tmp_path / "first" / "best.pt")
    assert re.search(r"was trained on held-out pictures, whose .*: \d, \d$", caplog.text, re.MULTILINE)
    caplog.clear()
    every_pair = make_trainer(tiny_recipe(validation={"pairs": 5, "at_most": 0.0}), tmp_path / "fourth")
    every_pair.begin_from(tmp_path / "first" / "validated.pt")
    assert "trained on held-out pictures" in caplog.text  # others than then


def test_pictures_of_other_names_than_those_trained_on_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = make_trainer(tiny_recipe(validation={"until": 0.5}), tmp_path / "first")
    trainer.fit()
    others = replace(trainer.split, val_pairs=[replace(pair, name=f"camera {pair.name}") for pair in make_pairs(2)])
    trainer.split = others
    trainer.begin_from(tmp_path / "first" / "best.pt")
    assert not caplog.records


def test_weights_as_they_are_come_first_and_stay_best_where_training_harms(tmp_path: Path) -> None:
    make_trainer(tiny_recipe(brightness={"iterations": 0}), tmp_path / "first").fit()
    harmful = tiny_recipe(brightness={"iterations": 0}, optimizer={"rate": 1.0, "warmup": 0, "iterations": 3})
    second = make_trainer(harmful, tmp_path / "second")
    second.begin_from(tmp_path / "first" / "best.pt")
    second.fit()
    scored = [row["iteration"] for row in csv_rows(tmp_path / "second" / "metrics.csv") if row["psnr"]]
    assert scored == ["0", "3"]
    first, best = (load_checkpoint(tmp_path / run / "best.pt") for run in ("first", "second"))
    assert best.iteration == 0
    assert all(torch.equal(best.ema[name], value) for name, value in first.ema.items())
