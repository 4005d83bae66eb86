"""Recipes and their errors."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lumen.errors import UsageError
from lumen.models import build_network
from lumen.train.recipe.recipe import bundled_recipes, from_dict, load_recipe
from lumen.train.recipe.sections import BrightnessConfig, DataConfig, LossConfig, OptimizerConfig, ValidationConfig


@pytest.mark.parametrize("name", bundled_recipes())
def test_bundled_recipes_go_through_toml_and_json(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert from_dict(recipe.to_dict()) == recipe
    assert from_dict(tomllib.loads(recipe.to_toml())) == recipe
    assert set(load_recipe("lumen-s").data.exclude) == {"648", "649", "700", "701"}


@pytest.mark.parametrize("name", bundled_recipes())
def test_bundled_recipes_state_every_value(name: str) -> None:
    values = tomllib.loads(bundled_recipes()[name].read_text(encoding="utf-8"))
    sections = {
        "data": DataConfig,
        "loss": LossConfig,
        "optimizer": OptimizerConfig,
        "brightness": BrightnessConfig,
        "validation": ValidationConfig,
    }
    for section, kind in sections.items():
        assert values[section].keys() == set(kind.__struct_fields__)
    architecture = values["network"]["architecture"]
    known = build_network(architecture).hyperparameters.keys()
    assert values["network"]["hyperparameters"].keys() == known - {"dropout"}  # of no use to the bundled models


def test_epochs_become_iterations() -> None:
    recipe = load_recipe("mirnet-keras")
    assert (recipe.optimizer.epochs, recipe.optimizer.iterations) == (50.0, 0)
    resolved = recipe.resolved(300)
    assert (resolved.optimizer.iterations, resolved.validation.every) == (3750, 75)
    assert resolved.resolved(300) == resolved
    assert recipe.resolved(1).optimizer.iterations == 50
    assert recipe.resolved(1).validation.every == 20, "not after every step of an epoch of one"
    plain = load_recipe("lumen-s")
    assert plain.resolved(300) == plain


def test_overrides_are_toml_values() -> None:
    recipe = load_recipe("lumen-s", ["optimizer.rate=1e-4", "data.exclude=['a']", "optimizer.amp=off", "seed=3"])
    assert recipe.optimizer.rate == 1e-4
    assert recipe.data.exclude == ("a",)
    assert recipe.optimizer.amp == "off"
    assert recipe.seed == 3


def test_unknown_recipes_list_the_bundled_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lumen-s"):
        load_recipe("nothing")
    (tmp_path / "bad.toml").write_text("seed = = 1")
    with pytest.raises(UsageError, match="is not TOML"):
        load_recipe(str(tmp_path / "bad.toml"))


def test_own_recipes_are_named_after_their_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[optimizer]\niterations = 7\n")
    recipe = load_recipe(str(tmp_path / "mine.toml"))
    assert (recipe.name, recipe.optimizer.iterations) == ("mine", 7)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400"])
def test_numbers_that_are_not_finite_are_refused_everywhere(value: str) -> None:
    numbers = [
        f"{section}.{key}"
        for section, values in load_recipe("lumen-s").to_dict().items()
        if isinstance(values, dict)
        for key, found in values.items()
        if isinstance(found, float)
    ]
    assert "optimizer.rate" in numbers
    for key in numbers:
        with pytest.raises(UsageError, match=f"expected {key} to be a finite number, got"):
            load_recipe("lumen-s", [f"{key}={value}"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed=99999999999999999999", "seed of at most 9223372036854775807, got 99999999999999999999"),
        ("seed=-1", "seed of at least 0, got -1"),
        ("optimizer.iterations=99999999999999999999999", "optimizer.iterations of at most 2147483647"),
        ("data.jpeg=99", "data.jpeg of at most 95, got 99"),
        ("brightness.batch=0", "brightness.batch of at least 1, got 0"),
    ],
)
def test_numbers_beyond_their_range_are_refused(change: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"recipe: expected {said}"):
        load_recipe("lumen-s", [change])


NESTED = "[" * 100_000 + "]" * 100_000
TABLES = ".".join(["network.hyperparameters", *["a"] * 5000])


@pytest.mark.parametrize("text", [f"x = {NESTED}", f"seed = {'9' * 5000}", f"[{TABLES}]\nb = 1"], ids=len)
def test_recipes_that_no_parser_takes_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(UsageError, match="recipe"):
        load_recipe(str(tmp_path / "bad.toml"))


@pytest.mark.parametrize("change", [f"seed={NESTED}", f"seed={'9' * 5000}", f"{TABLES}=1"], ids=len)
def test_overrides_that_no_parser_takes_are_refused_in_one_short_line(change: str) -> None:
    with pytest.raises(UsageError, match="recipe: expected") as caught:
        load_recipe("lumen-s", [change])
    assert len(str(caught.value)) < 300


def test_recipes_that_cannot_be_read_are_told() -> None:
    with pytest.raises(UsageError, match="cannot be read: File name too long"):
        load_recipe("a" * 5000)


def test_bundled_recipes_hold_out_no_large_part_of_few_pictures_and_what_they_say_of_lol() -> None:
    for recipe in map(load_recipe, bundled_recipes()):
        assert 0 < recipe.validation.at_most <= 0.4
        assert recipe.validation.at_most * 485 > recipe.validation.pairs
