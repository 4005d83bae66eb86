"""Recipes: every value of a training, as TOML."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_type_hints

from lumen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Which network is trained."""

    architecture: str = "context-mirnet"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What a batch is made of.

    Attributes:
        crop_px: Side of the square crops.
        batch: Crops per iteration, over all processes.
        pairs, synthetic, identity: Relative shares of real pairs, of darkened ordinary photographs, and of well-lit
            photographs that must come out as they went in. Only pairs are used when no photographs are given.
        night: Relative share of photographs and good pictures of the pairs, darkened as LOL's cameras do.
        framing: Probability that a picture is first cut to a random frame of at least 60 % of each side.
        exposure_ev: Darkest exposure of the synthetic pairs, in stops below the photograph.
        saturation: Probability that the colours of a picture to be darkened are first made stronger or weaker.
        mixup: Probability that a sample is blended with another one of the same kind.
        exclude: Names of pairs left out, such as misaligned ones.
    """

    crop_px: int = 128
    batch: int = 16
    pairs: float = 0.5
    synthetic: float = 0.3
    identity: float = 0.2
    night: float = 0.0
    framing: float = 0.5
    exposure_ev: float = 5.0
    saturation: float = 0.0
    mixup: float = 0.0
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the loss terms.

    Attributes:
        charbonnier: `mean(sqrt(d^2 + 1e-6))`, levels in [0, 1].
        ssim: `1 - SSIM`.
    """

    charbonnier: float = 1.0
    ssim: float = 0.0


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW with warm-up, a constant stretch and a cosine descent.

    Attributes:
        iterations: Steps in all.
        rate, final_rate: Learning rate after the warm-up and at the end.
        warmup: Steps of linear warm-up.
        hold: Share of the iterations after which the descent begins.
        clip_norm: Largest L2 norm of the gradient.
        ema: Decay of the exponential moving average of the weights, the ones that are validated and exported.
        amp: `bf16` autocast or `off`.
    """

    iterations: int = 22_000
    rate: float = 6e-4
    final_rate: float = 1e-6
    warmup: int = 500
    hold: float = 0.4
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    ema: float = 0.999
    amp: Literal["bf16", "off"] = "bf16"


@dataclass(frozen=True, kw_only=True)
class BrightnessConfig:
    """The second stage: the head that predicts the brightness, on thumbnails alone.

    Attributes:
        iterations: Steps; 0 leaves the head as it is.
        samples: Pictures or frames of them drawn once from the data.
        batch: Thumbnails per step.
        pairs, synthetic, identity: Relative shares of the sources in this stage.
        rate: Learning rate, going down to 0 as a cosine.
        weight_decay: Of AdamW.
    """

    iterations: int = 600
    samples: int = 6_000
    batch: int = 128
    pairs: float = 0.5
    synthetic: float = 0.2
    identity: float = 0.3
    rate: float = 2e-3
    weight_decay: float = 0.05


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """What is held out, by scene, and how often it is scored.

    Attributes:
        every: Iterations between validations.
        pairs: At least this many pairs are held out.
        photos: At least this many photographs are held out.
        until: Share of the iterations after which the held-out pictures join the training. The scores kept are those
            of that moment, and the last weights are the result.
    """

    every: int = 2_000
    pairs: int = 40
    photos: int = 24
    until: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All values of a training."""

    name: str
    seed: int = 0
    network: NetworkConfig = NetworkConfig()
    data: DataConfig = DataConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    brightness: BrightnessConfig = BrightnessConfig()
    validation: ValidationConfig = ValidationConfig()

    def __post_init__(self) -> None:
        for label, value in (
            ("data.batch", self.data.batch),
            ("data.crop_px", self.data.crop_px),
            ("optimizer.iterations", self.optimizer.iterations),
            ("validation.every", self.validation.every),
            ("validation.pairs", self.validation.pairs),
        ):
            if value < 1:
                raise UsageError(f"recipe {self.name!r}: expected {label} of at least 1, got {value}")
        if self.optimizer.amp not in ("bf16", "off"):
            raise UsageError(f"recipe {self.name!r}: expected optimizer.amp bf16 or off, got {self.optimizer.amp!r}")

    @property
    def joining(self) -> int:
        """The iteration before which the held-out pictures join the training; that of the end where they never do."""
        return round(self.validation.until * self.optimizer.iterations)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON, TOML and `from_dict` take."""
        plain = dataclasses.asdict(self)
        plain["data"]["exclude"] = list(self.data.exclude)
        return plain


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
            raise UsageError(
                f"expected a recipe key out of {', '.join(sorted(prefix + k for k in known))}, got {prefix + key!r}"
            )
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


def _scalar(label: str, hint: object, value: Any) -> Any:
    """Check one value against its declared type; integers pass for floats."""
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, str) and (not isinstance(value, hint) or isinstance(value, bool)):
        raise UsageError(f"recipe: expected {label} to be {hint.__name__}, got {value!r}")
    return tuple(value) if isinstance(value, list) and label.endswith("exclude") else value


def load_recipe(name_or_path: str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a bundled or own recipe and apply `key=value` overrides, values in TOML syntax.

    Raises:
        UsageError: No such recipe, malformed TOML, an unknown key or a value of the wrong type.
    """
    bundled = resources.files("lumen.train") / "recipes"
    path = bundled / f"{name_or_path}.toml"
    source = path if path.is_file() else Path(name_or_path)
    if not source.is_file():
        names = ", ".join(sorted(p.name.removesuffix(".toml") for p in bundled.iterdir() if p.name.endswith(".toml")))
        raise UsageError(f"expected a recipe file or one of {names}, got {name_or_path!r}")
    try:
        values = tomllib.loads(source.read_text(encoding="utf-8"))
        for override in overrides:
            _apply_override(values, override)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"recipe {name_or_path!r} is not TOML: {error}") from error
    values.setdefault("name", source.name.removesuffix(".toml"))
    return from_dict(values)


def _apply_override(values: dict[str, Any], override: str) -> None:
    """Set `section.key=value` in nested values."""
    key, equals, text = override.partition("=")
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
