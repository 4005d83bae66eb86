"""Samples: crops of pairs and photographs, augmented, and darkened where they are to be.

A sample depends only on the recipe's seed, the iteration and its place in the batch. So a resumed training, and one on
several processes, draw the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lumen.errors import DataError
from lumen.imaging.thumbnail import area_thumbnail
from lumen.train.data.load import Example, Pixels
from lumen.train.data.split import group_scenes
from lumen.train.data.synthetic import backlight, camera, darken, night, saturate
from lumen.train.recipe.sections import DataConfig

T = TypeVar("T", bound=np.generic)
Box = tuple[slice, slice]
Weights = tuple[Sequence[float], Sequence[float]]  # of the sources of pairs, of those of photographs

PAIRS, DARKENED, GOOD, NIGHT = range(4)  # the kinds of samples

NO_THUMBNAIL = np.zeros((1, 1, 3), np.float32)  # for networks that are trained on crops only

MIXUP_BETA = (1.2, 1.2)

BACKLIT_DARKEST_EV = 2.0  # darkest exposure of a picture that is lit from behind

SATURATION = (0.1, 0.3)  # mean and standard deviation of the log of the factor


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One training sample, float32 in [0, 1].

    Attributes:
        low, high: [crop, crop, 3].
        thumbnail: [t, t, 3], of the whole dark picture; [1, 1, 3] of zeros for networks that read none.
        brightness: Mean level of the whole reference; 0 for networks that read none.
        box: [4], top, left, bottom and right of the crop, as fractions of the whole picture.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    thumbnail: NDArray[np.float32]
    brightness: float
    box: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Whole:
    """What the brightness is learned from.

    Attributes:
        thumbnail: float32 [t, t, 3] in [0, 1], of the dark picture.
        brightness: Mean level of the reference.
        chosen: Whether the exposure of the reference was picked from a bracket, which the dark picture does not show.
    """

    thumbnail: NDArray[np.float32]
    brightness: float
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Where in a frame a crop is cut, how many quarter turns it gets, and whether it is mirrored."""

    box: Box
    turn: int
    flip: bool

    def turned(self, pixels: NDArray[T]) -> NDArray[T]:
        """Return [H, W, 3] turned and mirrored, as a view."""
        turned = np.rot90(pixels, self.turn)
        return turned[:, ::-1] if self.flip else turned

    def place(self, height: int, width: int) -> NDArray[np.float32]:
        """Return [4], where the crop lies in the turned and mirrored picture, which had this size before."""
        rows, columns = self.box
        top, bottom = rows.start / height, rows.stop / height
        left, right = columns.start / width, columns.stop / width
        for _ in range(self.turn % 4):
            top, left, bottom, right = 1 - right, top, 1 - left, bottom
        if self.flip:
            left, right = 1 - right, 1 - left
        return np.array([top, left, bottom, right], np.float32)


class Sampler:
    """Draws training samples, with thumbnails of a given side, or of 0 for networks that read none.

    No picture may be smaller than a crop. `weights` say how often the sources of pairs and those of photographs are
    drawn from; without them all pictures are drawn alike.

    Raises:
        DataError: There is nothing to draw from.
    """

    def __init__(
        self,
        pairs: Sequence[Example],
        photos: Sequence[Example],
        config: DataConfig,
        *,
        thumbnail_px: int,
        seed: int,
        weights: Weights = ((), ()),
    ) -> None:
        self.pairs, self.photos, self.config = pairs, photos, config
        self.thumbnail_px, self.seed = thumbnail_px, seed
        self.good = [*photos, *(Example(name=e.name, low=e.high, high=e.high) for e in pairs)]
        shares = [
            config.pairs if pairs else 0.0,
            *((config.synthetic, config.identity) if photos else (0.0, 0.0)),
            config.night if self.good else 0.0,
        ]
        if sum(shares) <= 0:
            raise DataError("expected pairs or photographs to train on, found neither; check --data and --synthetic")
        self.thresholds = np.cumsum(shares) / sum(shares)
        self.weights = weights
        real = chances(pairs, weights[0], by_scene=config.by_scene)
        made = chances(photos, weights[1])
        self.chances = (real, made, made, None)

    def draw(self, iteration: int, place: int) -> Sample:
        """Return the sample at a place in the batch of an iteration."""
        rng = self.rng(iteration, place)
        kind = self.kind(rng)
        sample = self._sample(rng, kind)
        if rng.random() < self.config.mixup:
            sample = blend(sample, self._sample(rng, kind), float(rng.beta(*MIXUP_BETA)))
        return sample

    def _sample(self, rng: np.random.Generator, kind: int) -> Sample:
        """Draw an augmented crop of a picture of a kind."""
        low, high, _ = self._picture(rng, kind)
        augmentation = self.draw_augmentation(rng, low.shape[0], low.shape[1])

        def crop(pixels: Pixels) -> NDArray[np.float32]:
            part = augmentation.turned(pixels[augmentation.box])
            return np.ascontiguousarray(part).astype(np.float32) / np.float32(255)

        thumbnail, brightness = NO_THUMBNAIL, 0.0
        if self.thumbnail_px:
            thumbnail = np.ascontiguousarray(augmentation.turned(area_thumbnail(low, self.thumbnail_px)), np.float32)
            brightness = float(high.mean()) / 255
        box = augmentation.place(*low.shape[:2])
        return Sample(low=crop(low), high=crop(high), thumbnail=thumbnail, brightness=brightness, box=box)

    def whole(self, iteration: int, place: int) -> Whole:
        """Return the whole of a dark picture or frame, as a thumbnail, and the level of its reference.

        Each is mirrored left to right with probability 1/2, and top to bottom likewise.
        """
        rng = self.rng(iteration, place)
        kind = self.kind(rng)
        low, high, example = self._picture(rng, kind)
        rows, columns = (slice(None, None, int(step)) for step in rng.choice((1, -1), 2))
        return Whole(
            thumbnail=area_thumbnail(low, self.thumbnail_px)[rows, columns],
            brightness=float(high.mean()) / 255,
            chosen=kind == PAIRS and example.clean,
        )

    def rng(self, iteration: int, place: int) -> np.random.Generator:
        """Return the random generator for a place in the batch of an iteration."""
        return np.random.default_rng([self.seed, iteration, place])

    def kind(self, rng: np.random.Generator) -> int:
        """Draw PAIRS, DARKENED, GOOD or NIGHT, by their shares."""
        return int(np.searchsorted(self.thresholds, rng.random(), side="right"))

    def frame(self, rng: np.random.Generator, kind: int) -> tuple[Example, Box]:
        """Draw a picture of a kind, and the part of it that is taken for the whole picture."""
        examples = (self.pairs, self.photos, self.photos, self.good)[kind]
        chosen = self.chances[kind]
        if chosen is None:
            example = examples[int(rng.integers(len(examples)))]
        else:
            example = examples[int(np.searchsorted(chosen, rng.random() * chosen[-1], side="right"))]
        height, width = example.low.shape[:2]
        if rng.random() >= self.config.framing:
            return example, (slice(0, height), slice(0, width))
        rows, columns = (max(self.config.crop_px, int(side * rng.uniform(0.6, 1))) for side in (height, width))
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        return example, (slice(top, top + rows), slice(left, left + columns))

    def is_stored(self, kind: int, example: Example) -> bool:
        """Return whether the pixels of a sample come from files unchanged."""
        return kind == GOOD or (kind == PAIRS and not (self.config.camera and example.clean))

    def render(
        self, rng: np.random.Generator, kind: int, example: Example, low: Pixels, high: Pixels
    ) -> tuple[Pixels, Pixels]:
        """Return the dark picture of a frame and its reference; what is stored stays as it is."""
        if self.is_stored(kind, example):
            return low, high
        if kind == PAIRS:
            return (camera(low, rng, self.config.jpeg) if rng.random() < self.config.camera else low), high
        if rng.random() < self.config.saturation:
            high = saturate(high, float(np.exp(rng.normal(*SATURATION))))
        if kind == NIGHT:
            return night(high, rng), high
        if self.config.backlit and rng.random() < self.config.backlit:
            return darken(backlight(high, rng), rng, BACKLIT_DARKEST_EV, self.config.jpeg), high
        return darken(high, rng, self.config.exposure_ev, self.config.jpeg), high

    def draw_augmentation(self, rng: np.random.Generator, height: int, width: int) -> Augmentation:
        """Draw where in a frame a crop is cut, and how it is turned and mirrored."""
        size = self.config.crop_px
        top, left = (int(rng.integers(side - size + 1)) for side in (height, width))
        turn, flip = int(rng.integers(4)), bool(rng.integers(2))
        if not self.config.poses:
            turn, flip = 0, False
        return Augmentation(box=(slice(top, top + size), slice(left, left + size)), turn=turn, flip=flip)

    def _picture(self, rng: np.random.Generator, kind: int) -> tuple[Pixels, Pixels, Example]:
        """Draw a frame of a picture of a kind; return the dark one, its reference, and what it is a frame of."""
        example, box = self.frame(rng, kind)
        return *self.render(rng, kind, example, example.low[box], example.high[box]), example


def chances(
    examples: Sequence[Example], weights: Sequence[float], *, by_scene: bool = False
) -> NDArray[np.float64] | None:
    """Return float64 [n], the cumulative sum of how often examples are drawn; None if all are drawn alike.

    Args:
        examples: Pairs or photographs.
        weights: Those of the sources, each divided among its examples; empty if the source does not matter.
        by_scene: Whether the weight of a source is divided among its scenes first.
    """
    if not (weights or by_scene) or not examples:
        return None
    shares = np.zeros(len(examples))
    for source in sorted({example.source for example in examples}):
        members = [index for index, example in enumerate(examples) if example.source == source]
        scenes = scenes_of([examples[index] for index in members]) if by_scene else [[i] for i in range(len(members))]
        weight = weights[source] if weights else len(members)
        for scene in scenes:
            shares[[members[index] for index in scene]] = weight / len(scenes) / len(scene)
    return np.cumsum(shares)


def scenes_of(examples: Sequence[Example]) -> list[list[int]]:
    """Group the indices of examples by scene: by its name if the data set has one, otherwise by similarity."""
    named: dict[str, list[int]] = {}
    unnamed = []
    for index, example in enumerate(examples):
        if example.scene:
            named.setdefault(example.scene, []).append(index)
        else:
            unnamed.append(index)
    alike = group_scenes(examples[index].high for index in unnamed) if unnamed else []
    return [*named.values(), *([unnamed[index] for index in group] for group in alike)]


def blend(a: Sample, b: Sample, share: float) -> Sample:
    """Return `share * a + (1 - share) * b`, as if both pictures had been exposed on one frame.

    Reference:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018.
    """
    part, rest = np.float32(share), np.float32(1 - share)
    return Sample(
        low=part * a.low + rest * b.low,
        high=part * a.high + rest * b.high,
        thumbnail=part * a.thumbnail + rest * b.thumbnail,
        brightness=share * a.brightness + (1 - share) * b.brightness,
        box=part * a.box + rest * b.box,
    )
