"""What a training begins from, and what it cannot go on from."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lumen.errors import ModelError, UsageError
from lumen.train.checkpoint import load_checkpoint, save_checkpoint
from lumen.train.validate import enhance_whole
from tests.support.training import SMALL_RESIDUAL, make_pairs, make_trainer, tiny_recipe

pytestmark = pytest.mark.usefixtures("no_drawings")


def test_a_run_begins_from_the_weights_of_another(tmp_path: Path) -> None:
    recipe = tiny_recipe(brightness={"iterations": 0})
    make_trainer(recipe, tmp_path / "first").fit()
    given = load_checkpoint(tmp_path / "first" / "last.pt").ema
    second = make_trainer(recipe, tmp_path / "second")
    second.begin_from(tmp_path / "first" / "last.pt")
    assert second.state.iteration == 0
    for weights in (second.state.network.state_dict(), second.state.ema.state_dict()):
        assert all(torch.equal(weights[name], value) for name, value in given.items())
    other = tiny_recipe(network={"hyperparameters": {"widths": [8, 24], "blocks": 1, "code": 8, "thumbnail_px": 32}})
    with pytest.raises(UsageError, match="a different network"):
        make_trainer(other, tmp_path / "third").begin_from(tmp_path / "first" / "last.pt")
    wider = tiny_recipe(network={"hyperparameters": {"widths": [16, 32], "blocks": 1, "code": 8, "thumbnail_px": 32}})
    third = make_trainer(wider, tmp_path / "third")
    third.begin_from(tmp_path / "first" / "last.pt")
    results = [enhance_whole(run.state.ema.eval(), make_pairs(1)[0].low, 0.5).astype(int) for run in (second, third)]
    assert np.abs(results[0] - results[1]).max() <= 1


def test_resume_refuses_what_it_cannot_go_on_from(tmp_path: Path) -> None:
    make_trainer(tiny_recipe(), tmp_path).fit()
    with pytest.raises(UsageError, match="optimiser state"):
        make_trainer(tiny_recipe(), tmp_path).resume(tmp_path / "best.pt")
    other = tiny_recipe(network={"hyperparameters": {"widths": [16, 16], "blocks": 1, "thumbnail_px": 32}})
    with pytest.raises(UsageError, match="a different network"):
        make_trainer(other, tmp_path).resume(tmp_path / "last.pt")


FAULTS = ("state", "moments", "shape", "step", "no step", "pace", "factor", "no factor", "trend", "level", "steps")


@pytest.mark.parametrize("fault", [*FAULTS, "stepper", "returns", "weights"])
def test_a_state_that_does_not_fit_is_one_line(tmp_path: Path, fault: str) -> None:
    run = make_trainer(tiny_recipe(network=SMALL_RESIDUAL), tmp_path)
    run.fit()
    saved = load_checkpoint(tmp_path / "last.pt")
    assert saved.optimizer is not None
    moments = saved.optimizer["state"]
    changes: dict[str, dict[str, Any]] = {
        "state": {"optimizer": {}},
        "moments": {"optimizer": {"state": {0: {"step": 1}}}},
        "shape": {"optimizer": {"state": {**moments, 0: {**moments[0], "exp_avg": torch.zeros(7)}}}},
        "step": {"optimizer": {"state": {**moments, 0: {**moments[0], "step": torch.zeros(2)}}}},
        "no step": {"optimizer": {"state": {0: {key: moments[0][key] for key in ("exp_avg", "exp_avg_sq")}}}},
        "pace": {"state": {**saved.state, "pace": {"speed": 1}}},
        "factor": {"state": {**saved.state, "pace": {"factor": "fast"}}},
        "no factor": {"state": {**saved.state, "pace": {"factor": math.nan}}},
        "level": {"state": {**saved.state, "trend": {"level": 1e300, "best": 0.0, "steps": 50}}},
        "steps": {"state": {**saved.state, "trend": {"steps": -1}}},
        "trend": {"state": {**saved.state, "trend": 3}},
        "stepper": {"state": {**saved.state, "stepper": []}},
        "returns": {"state": {**saved.state, "returns": "many"}},
        "weights": {"weights": {}},
    }
    save_checkpoint(replace(saved, **changes[fault]), tmp_path / "wrong.pt")
    with pytest.raises(ModelError, match="does not fit its own recipe"):
        make_trainer(tiny_recipe(network=SMALL_RESIDUAL), tmp_path).resume(tmp_path / "wrong.pt")
