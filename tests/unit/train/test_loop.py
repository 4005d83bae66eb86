"""The trainer: it learns, resumes exactly, and several processes equal one."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lumen.errors import DataError, TrainingError, UsageError
from lumen.metrics.fidelity import psnr
from lumen.train.checkpoint import load_checkpoint
from lumen.train.data.load import Example
from lumen.train.data.split import split_by_scene
from lumen.train.distributed import World
from lumen.train.loop import Trainer, stop_requests
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import Recipe
from lumen.train.stepper import Step
from lumen.train.validate import enhance_whole, validate
from tests.support.training import darker, scene, tiny_recipe

PAIRS = [Example(name=str(i), low=darker(scene(i)), high=scene(i)) for i in range(6)]
PHOTOS = [Example(name=f"p{i}", low=scene(20 + i), high=scene(20 + i)) for i in range(4)]


@pytest.fixture(autouse=True)
def no_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take longer to draw than these runs do; `test_log.py` draws some."""
    monkeypatch.setattr("lumen.train.records.metrics_log.write_curves", lambda *_: None)


def trainer(recipe: Recipe, run: Path, events: list[Mapping[str, Any]] | None = None, **options: Any) -> Trainer:
    run.mkdir(parents=True, exist_ok=True)
    record = (events if events is not None else []).append
    return Trainer(recipe, PAIRS, PHOTOS, run, world=World(), on_event=record, options=TrainOptions(run=run, **options))


def test_a_run_writes_checkpoints_metrics_and_events(tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    assert trainer(tiny_recipe(), tmp_path, events).fit() == 0
    best, last = load_checkpoint(tmp_path / "best.pt"), load_checkpoint(tmp_path / "last.pt")
    assert last.iteration == 6 and last.optimizer is not None and best.optimizer is None
    kinds = [event["kind"] for event in events]
    assert kinds.count("step") == 6 and kinds.count("validation") == 3 and kinds.count("stage") == 1
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows if row["psnr_given"]] == [3, 6, 6]
    assert best.facts["data"]["train_pairs"] + len(best.facts["data"]["val_pairs"]) == len(PAIRS)
    json.dumps(best.facts)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    recipe = tiny_recipe(
        data={"synthetic": 0, "identity": 0, "framing": 0},
        optimizer={"iterations": 120, "rate": 3e-3},
        validation={"every": 120},
        brightness={"iterations": 0},
    )
    trainer(recipe, tmp_path, events).fit()
    losses = [event["loss"] for event in events if event["kind"] == "step"]
    assert np.mean(losses[-30:]) < 0.9 * np.mean(losses[:30])


def stop_at(run: Trainer, iteration: int) -> None:
    """Let a run behave as if a signal had come during the step that ends an iteration."""
    step = run.step

    def stopping(batch: Any, stop: bool) -> Step:
        return step(batch, stop or run.iteration == iteration - 1)

    run.step = stopping  # type: ignore[method-assign]


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
    trainer(recipe, tmp_path / "whole").fit()
    first = trainer(recipe, tmp_path / "parts")
    stop_at(first, 3)
    assert first.fit() == signal.SIGTERM
    second = trainer(recipe, tmp_path / "parts")
    second.resume(tmp_path / "parts" / "last.pt")
    assert second.iteration == 3
    second.fit()
    whole, parts = (load_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "parts"))
    assert all(torch.equal(whole.weights[name], parts.weights[name]) for name in whole.weights)
    assert all(torch.equal(whole.ema[name], parts.ema[name]) for name in whole.ema)
    assert whole.state == parts.state


def test_held_out_pictures_join_at_the_end(tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    run = trainer(tiny_recipe(validation={"every": 2, "until": 0.5}), tmp_path, events)
    drawn: dict[int, set[str]] = {}
    for name in ("sampler", "joined"):
        source = getattr(run, name)
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
    with (tmp_path / "metrics.csv").open() as file:
        scores = [float(row["psnr"]) for row in csv.DictReader(file) if row["psnr"]]
    assert best.facts["validation"]["psnr"] == pytest.approx(scores[-1], rel=1e-4)
    assert load_checkpoint(tmp_path / "validated.pt").iteration == 3


def test_beginning_from_weights_that_saw_the_held_out_pictures_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = tiny_recipe(validation={"until": 0.5})
    trainer(recipe, tmp_path / "first").fit()
    trainer(recipe, tmp_path / "second").begin_from(tmp_path / "first" / "validated.pt")
    assert not caplog.records
    trainer(recipe, tmp_path / "third").begin_from(tmp_path / "first" / "best.pt")
    assert "has seen the held-out pictures" in caplog.text


def test_joining_resumes_bit_equal(tmp_path: Path) -> None:
    recipe = tiny_recipe(validation={"until": 0.5})
    trainer(recipe, tmp_path / "whole").fit()
    first = trainer(recipe, tmp_path / "parts")
    stop_at(first, 4)
    first.fit()
    second = trainer(recipe, tmp_path / "parts")
    second.resume(tmp_path / "parts" / "last.pt")
    assert second.iteration == 4
    second.fit()
    whole, parts = (load_checkpoint(tmp_path / name / "best.pt") for name in ("whole", "parts"))
    assert all(torch.equal(whole.ema[name], parts.ema[name]) for name in whole.ema)
    assert whole.facts["validation"] == parts.facts["validation"]


def test_a_broken_training_goes_back_and_slows_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lumen.train.stepper.HARMFUL_LIMIT", 2)
    run = trainer(tiny_recipe(optimizer={"iterations": 8}, brightness={"iterations": 0}), tmp_path)
    batch, left = run.batch, [4, 5]

    def broken_once(iteration: int) -> Any:
        low, *rest = batch(iteration)
        if iteration in left:
            left.remove(iteration)
            low = low * math.nan
        return low, *rest

    run.batch = broken_once  # type: ignore[method-assign]
    assert run.fit() == 0
    assert "iteration 5: the gradient is no number; the step is left out" in caplog.text
    assert "going on from iteration 3 at 0.5 of the rate" in caplog.text
    assert run.iteration == 8 and run.pace.factor == 0.5
    weights = load_checkpoint(tmp_path / "last.pt").weights
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


def test_a_training_that_stays_broken_ends_with_its_last_sound_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lumen.train.stepper.HARMFUL_LIMIT", 2)
    run = trainer(tiny_recipe(optimizer={"iterations": 9}), tmp_path)
    batch = run.batch

    def broken(iteration: int) -> Any:
        low, *rest = batch(iteration)
        return low * (math.nan if iteration >= 4 else 1), *rest

    run.batch = broken  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"last sound state is in .*last\.pt; lower optimizer\.rate"):
        run.fit()
    last = load_checkpoint(tmp_path / "last.pt")
    assert last.iteration == 3
    assert last.state["pace"]["factor"] == 0.125
    assert all(bool(torch.isfinite(value).all()) for value in last.weights.values())
    assert "going on from iteration 3 at 0.125 of the rate" in caplog.text


def test_what_belongs_to_the_machine_changes_no_result(tmp_path: Path) -> None:
    recipe = tiny_recipe(optimizer={"amp": "off"}, brightness={"iterations": 0}, data={"mixup": 0.5})
    plain = trainer(recipe, tmp_path / "plain")
    other = trainer(recipe, tmp_path / "other", recompute=True, resident=True, fit_memory=True)
    for run in (plain, other):
        assert run.fit() == 0
    weights = [run.network.state_dict() for run in (plain, other)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-5) for name in weights[0])


def test_what_fits_is_measured_beside_the_resident_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer(tiny_recipe(brightness={"iterations": 0}), tmp_path, resident=True, fit_memory=True)
    resident: list[int] = []
    monkeypatch.setattr("lumen.train.loop.fit_batch", lambda *_: resident.append(len(run.resident)))
    run.fit()
    assert resident == [1]


def test_plain_networks_are_trained_without_a_second_stage(tmp_path: Path) -> None:
    small = {"groups": 1, "blocks": 1, "width": 8}
    network: dict[str, object] = {"architecture": "residual", "hyperparameters": small}
    events: list[Mapping[str, Any]] = []
    run = trainer(tiny_recipe(network=network), tmp_path, events)
    assert run.fit() == 0
    assert {event["kind"] for event in events} == {"step", "validation"}
    scores = load_checkpoint(tmp_path / "best.pt").facts["validation"]
    assert scores.keys() == {"psnr", "psnr_gt_mean", "ssim", "photo_psnr"}
    assert run.batch(0)[2].shape == (4, 3, 1, 1)  # no thumbnails are made where nothing reads them


def test_a_second_signal_is_not_held_back() -> None:
    with stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop() == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_workers_draw_the_same_batches(tmp_path: Path) -> None:
    recipe = tiny_recipe(brightness={"iterations": 0})
    runs = [trainer(recipe, tmp_path / str(workers), workers=workers) for workers in (0, 2)]
    for run in runs:
        run.fit()
    first, second = (run.network.state_dict() for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_resume_cuts_the_metrics_back(tmp_path: Path) -> None:
    recipe = tiny_recipe(brightness={"iterations": 0})
    trainer(recipe, tmp_path).fit()
    checkpoint = tmp_path / "last.pt"
    again = trainer(recipe, tmp_path)
    again.log.metrics.validation(9, {"psnr": 1.0})
    again.resume(checkpoint)
    with (tmp_path / "metrics.csv").open() as file:
        assert {int(row["iteration"]) for row in csv.DictReader(file)} == {3, 6}


def test_going_on_elsewhere_ends_with_a_best_checkpoint(tmp_path: Path) -> None:
    trainer(tiny_recipe(), tmp_path / "first").fit()
    second = trainer(tiny_recipe(), tmp_path / "second")
    second.resume(tmp_path / "first" / "last.pt")
    second.best = math.inf
    assert second.fit() == 0
    assert load_checkpoint(tmp_path / "second" / "best.pt").iteration == 6


def test_a_signal_in_the_second_stage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.train.loop.fit_brightness", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    assert trainer(tiny_recipe(), tmp_path).fit() == signal.SIGINT


def test_a_run_begins_from_the_weights_of_another(tmp_path: Path) -> None:
    recipe = tiny_recipe(brightness={"iterations": 0})
    trainer(recipe, tmp_path / "first").fit()
    given = load_checkpoint(tmp_path / "first" / "last.pt").ema
    second = trainer(recipe, tmp_path / "second")
    second.begin_from(tmp_path / "first" / "last.pt")
    assert second.iteration == 0
    for weights in (second.network.state_dict(), second.ema.state_dict()):
        assert all(torch.equal(weights[name], value) for name, value in given.items())
    other = tiny_recipe(network={"hyperparameters": {"widths": [8, 24], "blocks": 1, "code": 8, "thumbnail_px": 32}})
    with pytest.raises(UsageError, match="another network"):
        trainer(other, tmp_path / "third").begin_from(tmp_path / "first" / "last.pt")
    wider = tiny_recipe(network={"hyperparameters": {"widths": [16, 32], "blocks": 1, "code": 8, "thumbnail_px": 32}})
    third = trainer(wider, tmp_path / "third")
    third.begin_from(tmp_path / "first" / "last.pt")
    results = [enhance_whole(run.ema.eval(), PAIRS[0].low, 0.5).astype(int) for run in (second, third)]
    assert np.abs(results[0] - results[1]).max() <= 1


def test_resume_refuses_what_it_cannot_go_on_from(tmp_path: Path) -> None:
    trainer(tiny_recipe(), tmp_path).fit()
    with pytest.raises(UsageError, match="optimiser state"):
        trainer(tiny_recipe(), tmp_path).resume(tmp_path / "best.pt")
    other = tiny_recipe(network={"hyperparameters": {"widths": [16, 16], "blocks": 1, "thumbnail_px": 32}})
    with pytest.raises(UsageError, match="another network"):
        trainer(other, tmp_path).resume(tmp_path / "last.pt")


def test_the_split_leaves_something_to_train_on() -> None:
    split = split_by_scene(PAIRS, PHOTOS, tiny_recipe())
    names = [{e.name for e in side} for side in (split.train_pairs, split.val_pairs)]
    assert not names[0] & names[1] and len(names[1]) == 2
    with pytest.raises(DataError, match="takes every scene"):
        split_by_scene(PAIRS, [], tiny_recipe(validation={"pairs": 6}))


def test_validation_scores_eight_bit_results(tmp_path: Path) -> None:
    network = trainer(tiny_recipe(), tmp_path).ema.eval()
    scores = validate(network, PAIRS[:2], PHOTOS[:1], World())
    expected = [
        psnr(enhance_whole(network, e.low, float(e.high.mean()) / 255), e.high, data_range=255) for e in PAIRS[:2]
    ]
    assert scores["psnr_given"] == pytest.approx(np.mean(expected))
    assert math.isfinite(scores["photo_psnr"]) and scores["photo_psnr_own"] > 35
    assert "photo_psnr" not in validate(network, PAIRS[:1], [], World())


@pytest.mark.parametrize("size", [(48, 64), (41, 37), (17, 90)])
def test_whole_pictures_of_any_size_keep_it(tmp_path: Path, size: tuple[int, int]) -> None:
    network = trainer(tiny_recipe(), tmp_path).ema.eval()
    low = darker(scene(0, *size))
    assert enhance_whole(network, low, None).shape == low.shape


WORKER = """
import sys
from pathlib import Path
import torch
from lumen.train.distributed import join_world, leave_world
from lumen.train.loop import Trainer, stop_requests
from tests.support.training import tiny_recipe
from tests.unit.train.test_loop import PAIRS, PHOTOS
torch.set_num_threads(1)
world = join_world("cpu")
recipe = tiny_recipe(optimizer={"amp": "off"}, brightness={"iterations": 0})
Trainer(recipe, PAIRS, PHOTOS, Path(sys.argv[1]), world=world, on_event=lambda event: None).fit()
leave_world(world)
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'export'}", "OMP_NUM_THREADS": "1"}
    (tmp_path / "worker.py").write_text(WORKER)
    for name, launch in (("one", []), ("two", ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"])):
        (tmp_path / name).mkdir()
        command = [sys.executable, *launch, str(tmp_path / "worker.py"), str(tmp_path / name)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
    one, two = (load_checkpoint(tmp_path / name / "last.pt") for name in ("one", "two"))
    assert all(torch.allclose(one.weights[n], two.weights[n], atol=1e-4) for n in one.weights)
    assert one.facts["validation"] == pytest.approx(two.facts["validation"], abs=0.05)
