"""Which examples are trained on and which are held out: whole scenes, or a separate folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumen.errors import DataError
from lumen.imaging.thumbnail import area_thumbnail
from lumen.train.data.load import Example
from lumen.train.recipe.recipe import Recipe
from lumen.train.recipe.sections import ValidationConfig

MOST_NAMES = 10_000  # as they become part of exported files


@dataclass(frozen=True, kw_only=True)
class Split:
    """The examples to train on, those held out, and all of them in the order they were read."""

    train_pairs: Sequence[Example]
    val_pairs: Sequence[Example]
    train_photos: Sequence[Example]
    val_photos: Sequence[Example]
    all_pairs: Sequence[Example]
    all_photos: Sequence[Example]

    def facts(self) -> dict[str, Any]:
        """Return counts and names for checkpoints; of the pairs trained on the first `MOST_NAMES`."""
        return {
            "train_pairs": len(self.train_pairs),
            "trained_pairs": [example.name for example in self.train_pairs[:MOST_NAMES]],
            "train_photos": len(self.train_photos),
            "val_pairs": [example.name for example in self.val_pairs],
            "val_photos": [example.name for example in self.val_photos],
        }

    @property
    def epoch(self) -> int:
        """Pictures in an epoch: the pairs, or the photographs if there are no pairs."""
        return len(self.train_pairs) or len(self.train_photos)


def split_by_scene(
    pairs: Sequence[Example], photos: Sequence[Example], recipe: Recipe, held_out: Sequence[Example] | None = None
) -> Split:
    """Hold out whole scenes of pairs and of photographs, as many as the recipe says, and what a data set holds out.

    Of few pictures fewer are held out, by `validation.at_most`. If pairs from a separate folder are `held_out`, all of
    `pairs` are trained on.

    Raises:
        DataError: Nothing would be left to train on.
    """
    config = recipe.validation
    sides: list[list[Example]] = []
    kept = [pair for pair in pairs if pair.held_out]
    pairs = [pair for pair in pairs if not pair.held_out]
    wanted_pairs = config.pairs if held_out is None else 0
    for examples, count in ((pairs, wanted_pairs), (photos, config.photos)):
        wanted, most = _how_many(config, count, len(examples))
        groups = group_scenes(example.high for example in examples) if examples and wanted else []
        groups = groups or [[index] for index in range(len(examples))]
        split = split_scenes(groups, wanted if examples else 0, recipe.seed, most)
        sides.extend([examples[index] for index in side] for side in split)
    sides[1] = [*kept, *sides[1]]
    if (pairs and not sides[0]) or (photos and not sides[2]):
        raise DataError(
            "the validation split takes every scene; hold out less (--val-split, validation.photos), add pictures of "
            "other scenes, or validate on another folder (--val)"
        )
    val_pairs = sides[1] if held_out is None else list(held_out)
    return Split(
        train_pairs=sides[0],
        val_pairs=val_pairs,
        train_photos=sides[2],
        val_photos=sides[3],
        all_pairs=[*kept, *pairs, *(held_out or ())],
        all_photos=photos,
    )


def _how_many(config: ValidationConfig, count: int, examples: int) -> tuple[int, int]:
    """Return how many of some examples to hold out at least, where the recipe says `count`, and how many at most."""
    if not count or config.share:
        return math.ceil(config.share * examples) if count else 0, examples
    most = math.ceil(config.at_most * examples) if config.at_most else examples
    return min(count, most), most


SIDE = 16

CORRELATION = 0.85


def scene_descriptor(pixels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return float32 [256], the grey 16x16 thumbnail of a picture [H, W, 3] with mean 0 and norm 1."""
    return normalised(area_thumbnail(pixels, SIDE).mean(axis=2).ravel())


def normalised(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return float32 values of the same shape, with mean 0 and norm 1; equal values become 0."""
    centred = values - values.mean()
    unit: NDArray[np.float32] = (centred / max(float(np.linalg.norm(centred)), 1e-6)).astype(np.float32)
    return unit


def group_scenes(pictures: Iterable[NDArray[np.integer]]) -> list[list[int]]:
    """Group pictures [H, W, 3] whose thumbnails correlate, transitively, whatever their exposure and contrast.

    Returns:
        Groups of indices, each index in exactly one; groups and members in rising order.
    """
    descriptors = np.stack([scene_descriptor(pixels) for pixels in pictures])
    alike = descriptors @ descriptors.T > CORRELATION
    unseen = set(range(len(descriptors)))
    groups: list[list[int]] = []
    while unseen:
        frontier, group = {min(unseen)}, set[int]()
        while frontier:
            group |= frontier
            frontier = set(np.flatnonzero(alike[list(frontier)].any(axis=0)).tolist()) - group
        unseen -= group
        groups.append(sorted(group))
    return groups


def split_scenes(
    groups: Sequence[Sequence[int]], held_out: int, seed: int, most: int | None = None
) -> tuple[list[int], list[int]]:
    """Draw whole scenes until at least `held_out` pictures are held out; return what to train on, and those, sorted.

    Scenes that would make them more than `most` are passed over. If that leaves none, the smallest one is held out.
    """
    order = np.random.default_rng(seed).permutation(len(groups))
    most = sum(map(len, groups)) if most is None else most
    validation: list[int] = []
    for group in order:
        if len(validation) >= held_out:
            break
        if len(validation) + len(groups[group]) <= most:
            validation.extend(groups[group])
    if groups and held_out and not validation:
        validation.extend(groups[min(order, key=lambda group: len(groups[group]))])
    training = sorted(set().union(*groups) - set(validation)) if groups else []
    return training, sorted(validation)
