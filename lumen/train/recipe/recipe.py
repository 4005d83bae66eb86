"""Recipes: all values of a training, read from TOML and written back."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from lumen.errors import UsageError
from lumen.train.recipe.explain import explained
from lumen.train.recipe.sections import (
    LEAST_BETWEEN,
    BrightnessConfig,
    DataConfig,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
    Section,
    Seed,
    ValidationConfig,
)


class Recipe(Section, frozen=True, kw_only=True):
    """All values of a training."""

    name: str
    seed: Seed = 0
    network: NetworkConfig = NetworkConfig()
    data: DataConfig = DataConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    brightness: BrightnessConfig = BrightnessConfig()
    validation: ValidationConfig = ValidationConfig()

    @property
    def joining(self) -> int:
        """The iteration after which the held-out pictures join the training; the last one if they never do."""
        return round(self.validation.until * self.optimizer.iterations)

    def epoch_length(self, examples: int) -> int:
        """Return the iterations of an epoch, in which as many crops are drawn as there are pictures to train on."""
        return max(1, math.ceil(examples / self.data.batch))

    def resolved(self, examples: int) -> Recipe:
        """Return the recipe with epochs converted to iterations, for a number of pictures to train on.

        Validations that are counted in epochs are at least `LEAST_BETWEEN` steps apart.
        """
        length = self.epoch_length(examples)
        optimizer, validation = self.optimizer, self.validation
        if optimizer.epochs:
            optimizer = replace(optimizer, iterations=max(1, round(optimizer.epochs * length)))
        if validation.epochs:
            validation = replace(validation, every=max(LEAST_BETWEEN, round(validation.epochs * length)))
        return replace(self, optimizer=optimizer, validation=validation)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON, TOML and `from_dict` take."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain

    def to_toml(self) -> str:
        """Return the recipe as a TOML file that `load_recipe` takes."""
        return "\n".join(_toml_lines(self.to_dict(), "")) + "\n"


def _toml_lines(table: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Yield the lines of a table, plain values first; strings, numbers and lists are written alike in JSON and TOML."""
    for key, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{key} = {json.dumps(value)}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from ("", f"[{prefix}{key}]", *_toml_lines(value, f"{prefix}{key}."))


def from_dict(values: Mapping[str, Any]) -> Recipe:
    """Build a recipe from nested plain values.

    Raises:
        UsageError: A key is unknown, or a value has the wrong type or is out of its range.
    """
    try:
        # By way of JSON, which turns whole numbers into floats where a field is a float.
        return msgspec.json.decode(msgspec.json.encode(values), type=Recipe)
    except msgspec.ValidationError as error:
        raise explained(error, Recipe, values) from error
    except UnicodeEncodeError as error:
        raise UsageError(f"recipe: expected text in UTF-8, got {error.object!r}") from error
    except RecursionError as error:
        raise UsageError("recipe: expected plain values, got tables or lists that are nested too deeply") from error


def bundled_recipes() -> dict[str, Traversable]:
    """Return the recipes that come with lumen, by name."""
    folder = resources.files("lumen.train.recipe") / "bundled"
    files = {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}
    return dict(sorted(files.items()))


def load_recipe(name_or_path: str, overrides: Iterable[str] = (), network: NetworkConfig | None = None) -> Recipe:
    """Read a bundled or own recipe and apply `key=value` overrides, values in TOML syntax.

    `network` stands instead of that of the recipe, before the overrides.

    Raises:
        UsageError: No such recipe, malformed TOML, an unknown key or a wrong value.
    """
    bundled = bundled_recipes()
    source = bundled.get(name_or_path) or Path(name_or_path)
    try:
        if not source.is_file():
            raise UsageError(f"expected a recipe file or one of {', '.join(bundled)}, got {name_or_path!r}")
        values = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"recipe {name_or_path!r} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, which are no TOMLDecodeError
        raise UsageError(f"recipe {name_or_path!r} is not TOML: {error}") from error
    if network is not None:
        values["network"] = msgspec.to_builtins(network)
    for override in overrides:
        _apply_override(values, override)
    values.setdefault("name", source.name.removesuffix(".toml"))
    return from_dict(values)


def _apply_override(values: dict[str, Any], override: str) -> None:
    """Set `section.key=value` in nested values."""
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f"expected --set key=value, such as optimizer.rate=1e-4, got {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    *parents, last = key.split(".")
    table = values
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise UsageError(f"expected --set key=value with a known key, got {override!r}")
    table[last] = value
