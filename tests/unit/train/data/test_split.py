"""Scenes, and which of them are held out."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.errors import DataError
from lumen.train.data.split import group_scenes, split_by_scene, split_scenes
from tests.support.training import darker, make_pairs, make_photos, scene, tiny_recipe


def test_scenes_are_found_through_exposure_and_small_changes() -> None:
    first, second = scene(1), scene(2)
    pictures = [first, second, darker(first, 0.6), np.roll(second, 1, axis=1), scene(3)]
    assert group_scenes(pictures) == [[0, 2], [1, 3], [4]]


def test_no_scene_stands_on_both_sides() -> None:
    groups = [[0, 1, 2], [3], [4, 5], [6], [7, 8]]
    training, validation = split_scenes(groups, 3, seed=5)
    assert sorted(training + validation) == list(range(9))
    assert len(validation) >= 3
    for group in groups:
        assert len({index in validation for index in group}) == 1
    assert split_scenes(groups, 3, seed=5) == (training, validation)


def test_the_split_leaves_something_to_train_on() -> None:
    split = split_by_scene(make_pairs(6), make_photos(4), tiny_recipe())
    names = [{e.name for e in side} for side in (split.train_pairs, split.val_pairs)]
    assert not names[0] & names[1] and len(names[1]) == 2
    with pytest.raises(DataError, match="takes every scene"):
        split_by_scene(make_pairs(6), [], tiny_recipe(validation={"pairs": 6, "at_most": 0.0}))


@pytest.mark.parametrize(
    ("validation", "held_out"),
    [
        ({"pairs": 40, "photos": 24, "at_most": 0.2}, (5, 2)),  # a fifth of 24 pairs and of 10 photographs
        ({"pairs": 3, "photos": 1, "at_most": 0.2}, (3, 1)),
        ({"pairs": 12, "photos": 6}, (12, 6)),  # as before there was a limit
        ({"pairs": 40, "photos": 24, "at_most": 0.4}, (10, 4)),
        ({"pairs": 40, "photos": 24, "share": 0.5}, (12, 5)),
    ],
)
def test_of_few_pictures_fewer_are_held_out(validation: dict[str, object], held_out: tuple[int, int]) -> None:
    split = split_by_scene(make_pairs(24), make_photos(10), tiny_recipe(validation=validation))
    assert (len(split.val_pairs), len(split.val_photos)) == held_out
    assert len(split.train_pairs) == 24 - held_out[0]


@pytest.mark.parametrize("seed", range(4))
def test_large_scenes_are_passed_over_and_of_a_few_the_smallest_is_held_out(seed: int) -> None:
    several = [list(range(18)), *([index] for index in range(18, 24))]
    assert set(split_scenes(several, 5, seed, most=5)[1]) < set(range(18, 24))
    assert split_scenes([list(range(14)), list(range(14, 24))], 5, seed, most=5)[1] == list(range(14, 24))
