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
    plain = load_recipe("lumen-s")
    assert plain.resolved(300) == plain


def test_overrides_are_toml_values() -> None:
    recipe = load_recipe("lumen-s", ["optimizer.rate=1e-4", "data.exclude=['a']", "optimizer.amp=off", "seed=3"])
    assert recipe.optimizer.rate == 1e-4
    assert recipe.data.exclude == ("a",)
    assert recipe.optimizer.amp == "off"
    assert recipe.seed == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.speed=1", r"got 'optimizer\.speed'; known here: .*optimizer\.rate"),
        ("optimizer.rat=1", r"got 'optimizer\.rat'; did you mean 'optimizer\.rate'"),
        ("rate=1", r"got 'rate'; did you mean '(optimizer|brightness)\.rate'"),
        ("optimiser.rate=1", r"got 'optimiser'; did you mean 'optimizer'"),
        ("data.exclude=1", "expected data.exclude to be a list of names"),
        ("data.exclude=[1]", r"expected data.exclude to be a list of names .* got \[1\]"),
        ("data.poses=1", "expected data.poses to be true or false"),
        ("network.hyperparameters=3", "expected a table"),
        ("optimizer.kind='sgd'", "optimizer.kind out of adamw, adam"),
        ("optimizer.kind=1", "optimizer.kind out of adamw, adam, got 1"),
        ("optimizer.schedule='step'", "optimizer.schedule out of cosine, plateau, constant"),
        ("data.exposures='first'", "data.exposures out of lowest, all"),
        ("loss.ssim=-1", "loss.ssim of at least 0, got -1"),
        ("loss={charbonnier=0.0}", "weights of the loss"),
        ("validation.every=0", "validation.every of at least 1"),
        ("validation.share=1.0", "validation.share below 1"),
        ("optimizer.iterations=0", "optimizer.iterations of at least 1"),
        ("optimizer.rate=fast", r"expected optimizer\.rate to be a finite number, got 'fast'"),
        ("data.batch=2.5", r"expected data\.batch to be a whole number, got 2\.5"),
        ("data.batch=0", "at least 1"),
        ("optimizer.rate=nan", r"expected optimizer\.rate to be a finite number, got nan"),
        ("name=3", "expected name to be a text, got 3"),
        ("data.exclude=['\udcff.png']", "expected text in UTF-8"),
        ("optimizer.amp=fp8", "bf16, fp16, off"),
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
