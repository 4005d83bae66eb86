"""Which pictures show the same scene, so that a validation split does not leak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lumen.imaging.thumbnail import area_thumbnail

SIDE = 16
CORRELATION = 0.85


def scene_descriptor(pixels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return float32 [256], the grey 16x16 thumbnail of a picture [H, W, 3] with mean 0 and norm 1."""
    grey = area_thumbnail(pixels, SIDE).mean(axis=2).ravel()
    centred = grey - grey.mean()
    unit: NDArray[np.float32] = (centred / max(float(np.linalg.norm(centred)), 1e-6)).astype(np.float32)
    return unit


def group_scenes(pictures: Iterable[NDArray[np.integer]]) -> list[list[int]]:
    """Group pictures whose thumbnails correlate, transitively; exposure and contrast do not matter.

    Args:
        pictures: uint8 or uint16 [H, W, 3] each.

    Returns:
        Groups of indices; every index stands in exactly one, groups and members in rising order.
    """
    descriptors = np.stack([scene_descriptor(pixels) for pixels in pictures])
    alike = descriptors @ descriptors.T > CORRELATION
    unseen = set(range(len(descriptors)))
    groups: list[list[int]] = []
    while unseen:
        frontier, group = [min(unseen)], set()
        while frontier:
            index = frontier.pop()
            if index in group:
                continue
            group.add(index)
            frontier.extend(int(other) for other in np.flatnonzero(alike[index]) if other in unseen)
        unseen -= group
        groups.append(sorted(group))
    return groups


def split_scenes(groups: Sequence[Sequence[int]], held_out: int, seed: int) -> tuple[list[int], list[int]]:
    """Hold out whole scenes, drawn at random, until at least `held_out` pictures are held out.

    Returns:
        Indices to train on and indices held out, both in rising order.
    """
    order = np.random.default_rng(seed).permutation(len(groups))
    validation: list[int] = []
    for group in order:
        if len(validation) >= held_out:
            break
        validation.extend(groups[group])
    training = sorted(set().union(*groups) - set(validation)) if groups else []
    return training, sorted(validation)
