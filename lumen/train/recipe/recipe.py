"""Recipes: every value of a training, read from TOML and written back."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, get_type_hints

from lumen.errors import UsageError
from lumen.train.recipe.sections import (
    BrightnessConfig,
    DataConfig,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
    ValidationConfig,
    check,
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All values of a training."""

    name: str
    seed: int = 0
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    brightness: BrightnessConfig = field(default_factory=BrightnessConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        check(self.name, self.data, self.loss, self.optimizer, self.validation)

    @property
    def joining(self) -> int:
        """The iteration before which the held-out pictures join the training; that of the end where they never do."""
        return round(self.validation.until * self.optimizer.iterations)

    def epoch_length(self, examples: int) -> int:
        """Return the iterations of an epoch: as many crops as there are pictures to train on."""
        return max(1, math.ceil(examples / self.data.batch))

    def resolved(self, examples: int) -> Recipe:
        """Return the recipe with its epochs as iterations, for a number of pictures to train on."""
        length = self.epoch_length(examples)
        optimizer, validation = self.optimizer, self.validation
        if optimizer.epochs:
            optimizer = replace(optimizer, iterations=max(1, round(optimizer.epochs * length)))
        if validation.epochs:
            validation = replace(validation, every=max(1, round(validation.epochs * length)))
        return replace(self, optimizer=optimizer, validation=validation)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON, TOML and `from_dict` take."""
        plain = dataclasses.asdict(self)
        plain["data"]["exclude"] = list(self.data.exclude)
        return plain

    def to_toml(self) -> str:
        """Return the recipe as a TOML file that `load_recipe` takes."""
        return "\n".join(_toml_lines(self.to_dict(), "")) + "\n"


def _toml_lines(table: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Yield the lines of a table, plain values first. JSON writes strings, numbers and lists as TOML does."""
    for key, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{key} = {json.dumps(value)}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from ("", f"[{prefix}{key}]", *_toml_lines(value, f"{prefix}{key}."))


def from_dict(values: Mapping[str, Any]) -> Recipe:
    """Build a recipe from nested plain values.

    Raises:
        UsageError: A key is unknown or a value has the wrong type.
    """
    recipe = _build(Recipe, values, "")
    assert isinstance(recipe, Recipe)
    return recipe


def _build(kind: type, values: Mapping[str, Any], prefix: str) -> object:
    """Fill one dataclass, checking keys and types."""
    hints = get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            raise _unknown(prefix, key, known)
    filled: dict[str, Any] = {}
    for key, value in values.items():
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise UsageError(f"recipe: expected a table [{prefix + key}], got {value!r}")
            filled[key] = _build(hint, value, f"{prefix}{key}.")  # type: ignore[arg-type]
        else:
            filled[key] = _scalar(prefix + key, hint, value)
    try:
        return kind(**filled)
    except TypeError as error:
        raise UsageError(f"recipe: {error}") from error


def _unknown(prefix: str, key: str, known: Iterable[str]) -> UsageError:
    """Return the error for a key that no recipe has, with the nearest one that it has."""
    wrong = prefix + key
    leaves = {leaf.rpartition(".")[2]: leaf for leaf in sorted(_leaves(Recipe, ""), reverse=True)}
    here = difflib.get_close_matches(key, sorted(known), 1)
    near = [prefix + here[0]] if here else [leaves[name] for name in difflib.get_close_matches(key, leaves, 1, 0.9)]
    advice = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(prefix + k for k in known))}"
    return UsageError(f"expected a key of a recipe, got {wrong!r}; {advice}")


def _leaves(kind: type, prefix: str) -> Iterator[str]:
    """Yield the dotted keys of all values of a dataclass."""
    for name, hint in get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            yield from _leaves(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            yield prefix + name


def _scalar(label: str, hint: object, value: Any) -> Any:
    """Check one value against its declared type; integers pass for floats."""
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise UsageError(f"recipe: expected {label} to be {hint.__name__}, got {value!r}")
    if hint == tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise UsageError(f'recipe: expected {label} to be a list of names such as ["1", "2"], got {value!r}')
        return tuple(value)
    if hint == Mapping[str, Any] and not isinstance(value, Mapping):
        raise UsageError(f"recipe: expected a table [{label}], got {value!r}")
    return value


def bundled_recipes() -> dict[str, Traversable]:
    """Return the recipes that come with lumen, by name."""
    folder = resources.files("lumen.train.recipe") / "bundled"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): file for file in files}


def load_recipe(name_or_path: str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a bundled or own recipe and apply `key=value` overrides, values in TOML syntax.

    Raises:
        UsageError: No such recipe, malformed TOML, an unknown key or a value of the wrong type.
    """
    bundled = bundled_recipes()
    source = bundled.get(name_or_path) or Path(name_or_path)
    if not source.is_file():
        raise UsageError(f"expected a recipe file or one of {', '.join(bundled)}, got {name_or_path!r}")
    try:
        values = tomllib.loads(source.read_text(encoding="utf-8"))
        for override in overrides:
            _apply_override(values, override)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {name_or_path!r} is not TOML: {error}") from error
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
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = key.split(".")
    table = values
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise UsageError(f"expected --set key=value with a known key, got {override!r}")
    table[last] = value
