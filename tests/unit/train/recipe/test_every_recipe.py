"""Each bundled recipe trains to its end, on a tiny generated set with a tiny network of its kind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lumen.train.checkpoint import load_checkpoint
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import bundled_recipes, load_recipe
from lumen.train.run import train_run
from tests.support.networks import SMALL_CONTEXT
from tests.support.training import write_pairs

SMALL: dict[str, dict[str, object]] = {
    "context-mirnet": SMALL_CONTEXT,
    "tone-mirnet": SMALL_CONTEXT,
    "residual": {"groups": 1, "blocks": 1, "width": 8},
    "mirnet": {"groups": 1, "blocks": 1, "width": 8},
    "mirnet-keras": {"groups": 1, "blocks": 1, "width": 8},
    "mirnet-cbam": {"groups": 1, "blocks": 1, "width": 8},
}


@pytest.mark.parametrize("name", bundled_recipes())
@pytest.mark.usefixtures("no_drawings")
def test_a_recipe_trains_to_its_end(name: str, tmp_path: Path) -> None:
    full = load_recipe(name)
    small = {**SMALL[full.network.architecture]}
    if "wiring" in full.network.hyperparameters:
        small["wiring"] = full.network.hyperparameters["wiring"]
    changes = [
        *(f"network.hyperparameters.{key}={value!r}" for key, value in small.items()),
        *("data.crop_px=16", "data.batch=2", "optimizer.warmup=1"),
        *("brightness.iterations=2", "brightness.samples=4", "brightness.batch=2"),
        *("validation.pairs=1", "validation.photos=1", "validation.epochs=1.0"),
        "optimizer.epochs=2.0",
    ]
    recipe = load_recipe(name, changes)
    data = write_pairs(tmp_path / "data", 5)
    photos = (data / "our485" / "high",) if full.data.synthetic else ()
    options = TrainOptions(data=(data,), photos=photos, run=tmp_path / "run", device="cpu", check_pairs=False)
    assert train_run(recipe, options, lambda _: None) == 0
    best = load_checkpoint(tmp_path / "run" / "best.pt")
    assert best.facts["validation"]["psnr"] > 3
    assert all(bool(torch.isfinite(value).all()) for value in best.network().state_dict().values())
    effective = load_recipe(str(tmp_path / "run" / "recipe.toml"))
    assert effective.optimizer.iterations == 4 and effective.loss == full.loss
