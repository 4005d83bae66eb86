"""docs/training.md is true: its lines run, its tables are complete, its options and keys exist."""

from __future__ import annotations

import re
import shlex

import pytest

pytest.importorskip("torch")

from tests.support.docs import PAGES, all_options

DOCS = PAGES["docs/training.md"].text


def section(title: str) -> str:
    return DOCS.partition(f"## {title}")[2].partition("\n## ")[0]


def test_a_model_of_ones_own_takes_five_lines() -> None:
    commands = PAGES["docs/training.md"].blocks[0].commands
    assert len(commands) == 5
    assert [shlex.split(line)[:2] for line in commands] == [
        ["pip", "install"],
        *(["lumen", name] for name in ("train", "export-onnx", "eval", "enhance")),
    ]


def test_the_table_of_recipes_is_complete_and_true() -> None:
    from lumen.models import build_network
    from lumen.models.cost import count_parameters
    from lumen.train.recipe.recipe import bundled_recipes, load_recipe

    rows = dict(re.findall(r"^\| `([a-z-]+)` (\|.*)$", section("Recipes"), re.MULTILINE))
    assert rows.keys() == bundled_recipes().keys()
    for name, row in rows.items():
        recipe = load_recipe(name)
        network = build_network(recipe.network.architecture, **recipe.network.hyperparameters)
        optimizer = recipe.optimizer
        length = f"{optimizer.epochs:.0f} epochs" if optimizer.epochs else f"{optimizer.iterations:,} steps"
        kind = {"adam": "Adam", "adamw": "AdamW"}[optimizer.kind]
        rate = f"{kind} {optimizer.rate:.0e}, {optimizer.schedule}".replace("e-0", "e-")
        for fact in (
            f"{count_parameters(network):,}",
            f"| {recipe.data.crop_px} / {recipe.data.batch} |",
            length,
            rate,
            f"| {recipe.validation.pairs} ",
        ):
            assert fact in row, name


def test_options_and_keys_in_the_text_exist() -> None:
    from lumen.train.recipe.recipe import load_recipe

    known = all_options() | {"--nproc-per-node"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", DOCS))
    assert named <= known
    assert {"--val", "--val-split", "--batch", "--recompute", "--resident", "--compile"} <= named
    keys = set(re.findall(r"`(?:--set )?'?((?:network|data|loss|optimizer|validation)\.(?!json)[a-z0-9_]+)", DOCS))
    assert len(keys) > 8
    plain = load_recipe("residual").to_dict()
    for key in keys:
        part, name = key.split(".")
        assert name in plain[part], key
