"""Recipes and their errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.errors import UsageError
from lumen.train.recipe import from_dict, load_recipe


def test_bundled_recipe_states_every_value() -> None:
    recipe = load_recipe("lumen-s")
    assert recipe.name == "lumen-s"
    assert from_dict(recipe.to_dict()) == recipe
    assert set(recipe.data.exclude) == {"648", "649", "700", "701"}


def test_overrides_are_toml_values() -> None:
    recipe = load_recipe("lumen-s", ["optimizer.rate=1e-4", "data.exclude=['a']", "optimizer.amp=off", "seed=3"])
    assert recipe.optimizer.rate == 1e-4
    assert recipe.data.exclude == ("a",)
    assert recipe.optimizer.amp == "off"
    assert recipe.seed == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.speed=1", r"got 'optimizer\.speed'"),
        ("optimizer.rate=fast", r"expected optimizer\.rate to be float, got 'fast'"),
        ("data.batch=2.5", r"expected data\.batch to be int"),
        ("data.batch=0", "at least 1"),
        ("optimizer.amp=fp8", "bf16 or off"),
        ("seed", "key=value"),
        ("seed.x=1", "known key"),
        ("optimizer=1", r"expected a table \[optimizer\]"),
    ],
)
def test_wrong_values_are_named(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe("lumen-s", [override])


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
