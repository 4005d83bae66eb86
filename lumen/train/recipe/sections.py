"""The sections of a recipe: every value of a training, its meaning and its range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Amp = Literal["bf16", "fp16", "off"]
OptimizerKind = Literal["adamw", "adam"]
Schedule = Literal["cosine", "plateau", "constant"]
Exposures = Literal["lowest", "all"]

MOST = (1 << 31) - 1  # what all libraries take as a count
LEAST_BETWEEN = 20  # steps between two validations that are counted in epochs: of small data these have a step or two

Seed = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Count = Annotated[int, Meta(ge=0, le=MOST)]
Positive = Annotated[int, Meta(ge=1, le=MOST)]
Weight = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, lt=1)]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of a recipe. Types and ranges are checked when a recipe is read, not when one is made in Python."""


class NetworkConfig(Section, frozen=True, kw_only=True):
    """Which network is trained."""

    architecture: str = "context-mirnet"
    hyperparameters: Mapping[str, Any] = {}


class DataConfig(Section, frozen=True, kw_only=True):
    """What a batch is made of.

    Attributes:
        crop_px: Side of the square crops.
        batch: Crops per iteration, over all processes.
        pairs, synthetic, identity: Relative shares of real pairs, of darkened ordinary photographs, and of well-lit
            photographs that must come out as they went in. Only pairs are used when no photographs are given.
        night: Relative share of photographs and references of pairs, darkened as LOL's cameras do.
        framing: Probability that a picture is first cropped to a random frame, at least 60 % of each side.
        exposure_ev: Darkest exposure of the synthetic pairs, in stops below the photograph.
        jpeg: Lowest quality of the JPEG coding of half of the synthetic pairs, from 1 to 95.
        by_scene: Whether pairs are drawn by scene, so that scenes with many pictures do not count more.
        camera: Probability that noise of a sensor and JPEG coding are added to the dark frame of an exposure bracket.
        backlit: Probability that a photograph that is darkened is lit from behind first: dark places lose more.
        saturation: Probability that a picture's saturation is changed before it is darkened.
        mixup: Probability that a sample is blended with another one of the same kind.
        poses: Augmentation: whether crops are mirrored and turned by quarter turns at random.
        exclude: Names of pairs to leave out, such as misaligned ones.
        exposures: Which pictures of an exposure sequence are paired with its reference: the `lowest` or `all`.
        longest_px: Larger pictures are reduced by a whole factor until no side is longer; 0 keeps all sizes.
    """

    crop_px: Positive = 128
    batch: Positive = 16
    pairs: float = 0.5
    synthetic: float = 0.3
    identity: float = 0.2
    night: float = 0.0
    framing: float = 0.5
    exposure_ev: float = 5.0
    jpeg: Annotated[int, Meta(ge=1, le=95)] = 60
    by_scene: bool = False
    camera: float = 0.0
    backlit: float = 0.0
    saturation: float = 0.0
    mixup: float = 0.0
    poses: bool = True
    exclude: tuple[str, ...] = ()
    exposures: Exposures = "lowest"
    longest_px: Count = 0


class LossConfig(Section, frozen=True, kw_only=True):
    """Weights of the loss terms, on levels in [0, 1].

    Attributes:
        charbonnier: `mean(sqrt(d^2 + epsilon^2))`.
        l1: `mean(|d|)`.
        mse: `mean(d^2)`.
        rmse: `sqrt(mean(d^2))` of each crop, then the mean over the crops.
        ssim: `1 - SSIM`.
        chroma: `mean(|d - grey of d|)`, the mean over the picture at 1/1, 1/4 and 1/16 of its resolution.
        clipping: `mean(max(0, prediction - max(target, 0.97)))`: what is clipped, but not in the reference.
        epsilon: That of the Charbonnier term.
    """

    charbonnier: Weight = 1.0
    l1: Weight = 0.0
    mse: Weight = 0.0
    rmse: Weight = 0.0
    ssim: Weight = 0.0
    chroma: Weight = 0.0
    clipping: Weight = 0.0
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        if not any((self.charbonnier, self.l1, self.mse, self.rmse, self.ssim)):  # chroma and clipping are not enough
            raise ValueError("expected at least one of the weights of the loss above 0, got 0 for all")


class OptimizerConfig(Section, frozen=True, kw_only=True):
    """How the weights are updated, and for how long.

    Attributes:
        kind: `adamw` (decoupled weight decay) or `adam`.
        epochs: Passes over the training pairs; above 0 it sets `iterations`, which then is 0 in the recipe.
        iterations: Steps in all.
        schedule: `cosine` (warm-up, a constant stretch, half a cosine down), `plateau` (lower whenever the validation
            score stops rising) or `constant`; all start with the warm-up.
        rate, final_rate: Learning rate after the warm-up, and where cosine and plateau end.
        warmup: Steps of linear warm-up.
        hold: Share of the iterations after which the cosine begins.
        plateau_factor: The rate is multiplied by this on a plateau.
        plateau_patience: Validations without a better score that make a plateau.
        beta1, beta2, epsilon: Adam's.
        weight_decay: That of AdamW, or Adam's L2 term; none for biases.
        clip_norm: Largest L2 norm of the gradient; 0 does not clip it.
        ema: Decay of the exponential moving average of the weights, which is validated and exported; 0 uses the
            weights themselves.
        amp: `bf16` or `fp16` autocast (the latter with a scaled loss), or `off`.
        accumulate: Parts in which each process takes its share of a batch, one after another: less memory, the same
            gradient.
    """

    kind: OptimizerKind = "adamw"
    epochs: Weight = 0.0
    iterations: Count = 22_000
    schedule: Schedule = "cosine"
    rate: float = 6e-4
    final_rate: float = 1e-6
    warmup: Count = 500
    hold: float = 0.4
    plateau_factor: float = 0.5
    plateau_patience: Positive = 5
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.02
    clip_norm: Weight = 1.0
    ema: Share = 0.999
    amp: Amp = "bf16"
    accumulate: Positive = 1

    def __post_init__(self) -> None:
        if not (self.epochs or self.iterations):
            raise ValueError("expected optimizer.iterations of at least 1, or optimizer.epochs above 0, got 0 for both")


class BrightnessConfig(Section, frozen=True, kw_only=True):
    """The second stage: the head that predicts the brightness, on thumbnails alone, of networks that have one.

    Attributes:
        iterations: Steps; 0 does not train the head.
        samples: Thumbnails of pictures or frames, drawn once from the data.
        batch: Thumbnails per step.
        pairs, synthetic, identity: Relative shares of the sources in this stage.
        darkest: Photographs of a lower mean level, from 0 to 1, are left out: nobody knows how bright they should be.
        usual: How far the aim for exposure brackets is moved to the usual level, 0.43, from 0 to 1: how their
            references were exposed can hardly be seen in the dark picture.
        blank: Share of dark frames with nothing in them, which stay as they are.
        rate: Learning rate, falling to 0 as a cosine.
        weight_decay: That of AdamW.
    """

    iterations: Count = 600
    samples: Positive = 6_000
    batch: Positive = 128
    pairs: float = 0.5
    synthetic: float = 0.2
    identity: float = 0.3
    darkest: Share = 0.0
    usual: Annotated[float, Meta(ge=0, le=1)] = 0.0
    blank: Share = 0.0
    rate: float = 2e-3
    weight_decay: float = 0.05


class ValidationConfig(Section, frozen=True, kw_only=True):
    """How much is held out, by scene, and how often it is scored.

    Attributes:
        every: Iterations between validations.
        epochs: Epochs between validations; above 0 it sets `every`, to `LEAST_BETWEEN` or more, which then is 0 in the
            recipe.
        pairs: At least this many pairs are held out.
        photos: At least this many photographs are held out.
        share: If above 0, at least this share of the pairs and of the photographs is held out instead.
        at_most: No larger share of them is held out, however many `pairs` and `photos` ask for, unless all are of a few
            scenes; 0 sets no limit. It does not hold for `share`.
        until: Share of the iterations after which the held-out pictures join the training. The scores are those of
            that moment, the weights those of the end.
    """

    every: Count = 2_000
    epochs: Weight = 0.0
    pairs: Positive = 40
    photos: Count = 24
    share: Share = 0.0
    at_most: Share = 0.0  # as in recipes from before there was one, whose runs go on with the split they had
    until: float = 1.0

    def __post_init__(self) -> None:
        if not (self.epochs or self.every):
            raise ValueError("expected validation.every of at least 1, or validation.epochs above 0, got 0 for both")
