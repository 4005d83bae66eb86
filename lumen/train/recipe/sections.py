"""The sections of a recipe: every value of a training, with what it means and what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from lumen.errors import UsageError

Amp = Literal["bf16", "fp16", "off"]
OptimizerKind = Literal["adamw", "adam"]
Schedule = Literal["cosine", "plateau", "constant"]
Exposures = Literal["lowest", "all"]


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
        poses: Whether crops are turned by quarters and mirrored at random.
        exclude: Names of pairs left out, such as misaligned ones.
        exposures: Which pictures of an exposure sequence are paired with its label: the `lowest` or `all`.
        longest_px: Larger pictures are reduced by a whole factor until no side is longer; 0 takes them as they are.
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
    poses: bool = True
    exclude: tuple[str, ...] = ()
    exposures: Exposures = "lowest"
    longest_px: int = 0


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the loss terms, on levels in [0, 1].

    Attributes:
        charbonnier: `mean(sqrt(d^2 + epsilon^2))`.
        l1: `mean(|d|)`.
        mse: `mean(d^2)`.
        rmse: `sqrt(mean(d^2))` of every crop, then the mean over the crops.
        ssim: `1 - SSIM`.
        epsilon: Of the Charbonnier term.
    """

    charbonnier: float = 1.0
    l1: float = 0.0
    mse: float = 0.0
    rmse: float = 0.0
    ssim: float = 0.0
    epsilon: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How the weights are changed, for how long.

    Attributes:
        kind: `adamw` (decoupled weight decay) or `adam`.
        epochs: Passes over the training pairs; above 0 it sets `iterations`, which then is 0 in the recipe.
        iterations: Steps in all.
        schedule: `cosine` (warm-up, a constant stretch, half a cosine down), `plateau` (less whenever the validation
            stops getting better) or `constant`; all begin with the warm-up.
        rate, final_rate: Learning rate after the warm-up, and where cosine and plateau end.
        warmup: Steps of linear warm-up.
        hold: Share of the iterations after which the cosine begins.
        plateau_factor: What the rate is multiplied by on a plateau.
        plateau_patience: Validations without a better score that make a plateau.
        beta1, beta2, epsilon: Adam's.
        weight_decay: Of AdamW, or Adam's L2 term; biases have none.
        clip_norm: Largest L2 norm of the gradient; 0 leaves it as it is.
        ema: Decay of the exponential moving average of the weights, the ones that are validated and exported; 0 takes
            the weights themselves.
        amp: `bf16` or `fp16` autocast (the latter with a scaled loss), or `off`.
        accumulate: Parts in which each process takes its share of a batch, one after the other: less memory, the same
            gradient.
    """

    kind: OptimizerKind = "adamw"
    epochs: float = 0.0
    iterations: int = 22_000
    schedule: Schedule = "cosine"
    rate: float = 6e-4
    final_rate: float = 1e-6
    warmup: int = 500
    hold: float = 0.4
    plateau_factor: float = 0.5
    plateau_patience: int = 5
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    ema: float = 0.999
    amp: Amp = "bf16"
    accumulate: int = 1


@dataclass(frozen=True, kw_only=True)
class BrightnessConfig:
    """The second stage: the head that predicts the brightness, on thumbnails alone, of networks that have one.

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
        epochs: Epochs between validations; above 0 it sets `every`, which then is 0 in the recipe.
        pairs: At least this many pairs are held out.
        photos: At least this many photographs are held out.
        share: Above 0: at least this share of the pairs and of the photographs is held out instead.
        until: Share of the iterations after which the held-out pictures join the training. The scores kept are those
            of that moment, and the last weights are the result.
    """

    every: int = 2_000
    epochs: float = 0.0
    pairs: int = 40
    photos: int = 24
    share: float = 0.0
    until: float = 1.0


def check(
    name: str, data: DataConfig, loss: LossConfig, optimizer: OptimizerConfig, held_out: ValidationConfig
) -> None:
    """Check the ranges of all values.

    Raises:
        UsageError: One is out of its range; the message names it.
    """
    _check_least(
        name,
        {
            "data.batch": (data.batch, 1),
            "data.crop_px": (data.crop_px, 1),
            "data.longest_px": (data.longest_px, 0),
            "optimizer.epochs": (optimizer.epochs, 0),
            "optimizer.iterations": (optimizer.iterations, 0 if optimizer.epochs else 1),
            "optimizer.accumulate": (optimizer.accumulate, 1),
            "optimizer.plateau_patience": (optimizer.plateau_patience, 1),
            "optimizer.clip_norm": (optimizer.clip_norm, 0),
            "validation.epochs": (held_out.epochs, 0),
            "validation.every": (held_out.every, 0 if held_out.epochs else 1),
            "validation.pairs": (held_out.pairs, 1),
            "validation.share": (held_out.share, 0),
        },
    )
    for label, choices, chosen in (
        ("data.exposures", Exposures, data.exposures),
        ("optimizer.kind", OptimizerKind, optimizer.kind),
        ("optimizer.schedule", Schedule, optimizer.schedule),
        ("optimizer.amp", Amp, optimizer.amp),
    ):
        if chosen not in get_args(choices):
            raise UsageError(f"recipe {name!r}: expected {label} out of {', '.join(get_args(choices))}, got {chosen!r}")
    for label, value in (("validation.share", held_out.share), ("optimizer.ema", optimizer.ema)):
        if value >= 1:
            raise UsageError(f"recipe {name!r}: expected {label} below 1, got {value}")
    terms = (loss.charbonnier, loss.l1, loss.mse, loss.rmse, loss.ssim)
    if min(terms) < 0 or sum(terms) <= 0:
        raise UsageError(f"recipe {name!r}: expected weights of the loss of at least 0, and one above, got {terms}")


def _check_least(name: str, values: Mapping[str, tuple[float, float]]) -> None:
    for label, (value, least) in values.items():
        if value < least:
            raise UsageError(f"recipe {name!r}: expected {label} of at least {least}, got {value}")
