"""Batches drawn ahead."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.training import make_trainer, tiny_recipe

pytestmark = pytest.mark.usefixtures("no_drawings")


def test_workers_draw_the_same_batches(tmp_path: Path) -> None:
    recipe = tiny_recipe(brightness={"iterations": 0})
    runs = [make_trainer(recipe, tmp_path / str(workers), workers=workers) for workers in (0, 2)]
    for run in runs:
        run.fit()
    first, second = (run.state.network.state_dict() for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
