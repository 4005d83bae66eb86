"""Tiny data sets and tiny trainings for tests."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lumen.models import build_network
from lumen.train.data.load import Example
from lumen.train.data.split import split_by_scene
from lumen.train.distributed import World
from lumen.train.loop import Trainer
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import Recipe, from_dict
from lumen.train.stepper import Stepper
from tests.support.networks import SMALL_CONTEXT

SMALL_RESIDUAL: dict[str, object] = {
    "architecture": "residual",
    "hyperparameters": {"groups": 1, "blocks": 1, "width": 8},
}


def scene(seed: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Return a smooth coloured picture uint8 [height, width, 3]; different seeds do not look alike."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 250, (6, 8, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def darker(pixels: NDArray[np.uint8], factor: float = 0.1) -> NDArray[np.uint8]:
    return (pixels * factor).astype(np.uint8)


def make_pairs(count: int) -> list[Example]:
    """Return pairs of different scenes."""
    return [Example(name=str(seed), low=darker(scene(seed)), high=scene(seed)) for seed in range(count)]


def make_photos(count: int) -> list[Example]:
    """Return well-lit photographs of other scenes than those of `make_pairs`."""
    return [Example(name=f"p{seed}", low=scene(20 + seed), high=scene(20 + seed)) for seed in range(count)]


def write_pairs(root: Path, count: int, *, lol: bool = True) -> Path:
    """Write `count` pairs of different scenes below `root`, which is returned."""
    base = root / "our485" if lol else root
    for name in ("low", "high"):
        (base / name).mkdir(parents=True)
    for seed in range(count):
        high = scene(seed)
        Image.fromarray(high).save(base / "high" / f"{seed}.png")
        Image.fromarray(darker(high)).save(base / "low" / f"{seed}.png")
    return root


def tiny_recipe(**sections: dict[str, object]) -> Recipe:
    """Return a recipe that trains in a second; keyword arguments change single values of sections."""
    values: dict[str, dict[str, object]] = {
        "network": {"architecture": "context-mirnet", "hyperparameters": SMALL_CONTEXT},
        "data": {"crop_px": 16, "batch": 4},
        "optimizer": {"iterations": 6, "warmup": 2, "rate": 1e-3},
        "brightness": {"iterations": 4, "samples": 8, "batch": 4},
        "validation": {"every": 3, "pairs": 2, "photos": 1},
    }
    for section, changes in sections.items():
        values[section] = {**values[section], **changes} if section in values else changes
    return from_dict({"name": "tiny", **values})


def make_trainer(
    recipe: Recipe,
    run: Path,
    events: list[Mapping[str, Any]] | None = None,
    *,
    world: World | None = None,
    **options: Any,
) -> Trainer:
    """Set up a training on six pairs and four photographs in a folder, which is made."""
    run.mkdir(parents=True, exist_ok=True)
    split = split_by_scene(make_pairs(6), make_photos(4), recipe)
    record = (events if events is not None else []).append
    return Trainer(recipe, split, TrainOptions(run=run, **options), world=world or World(), on_event=record)


def make_stepper(**optimizer: object) -> Stepper:
    """Return what takes steps of a tiny residual network; keyword arguments change the optimiser's values."""
    torch.manual_seed(0)
    recipe = tiny_recipe(network=SMALL_RESIDUAL, optimizer={"amp": "off", **optimizer})
    return Stepper(build_network("residual", **recipe.network.hyperparameters), recipe, World())


def weights_of(stepper: Stepper) -> torch.Tensor:
    """Return all weights in a row."""
    return torch.cat([p.detach().reshape(-1) for p in stepper.network.parameters()])


def step_values(iteration: int, loss: float = 0.5) -> dict[str, float]:
    """Return what the records of a run are told of a step."""
    return {"iteration": iteration, "loss": loss, "crops_per_s": 8.0, "rate": 1e-3}


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
