"""What stays still: cells, cuts, and what passes."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.enhance.still import FLOOR, cell_levels, is_other_scene, over_pixels, passing
from lumen.imaging.thumbnail import area_thumbnail
from tests.support.sequences import cut_frames, dawn_frames, lamp_frames, noise_frames


def cells(frame: np.ndarray) -> np.ndarray:
    return cell_levels(area_thumbnail(frame, 128))


@pytest.mark.parametrize("side", [128, 100, 16, 5])
def test_cells_are_means_whatever_the_size(side: int) -> None:
    found = cell_levels(np.full((side, side, 3), 0.2, np.float32))
    assert found.shape == (min(16, side),) * 2
    assert found == pytest.approx(np.log(0.2 + FLOOR))


def test_a_cut_is_one_and_noise_a_lamp_and_a_dawn_are_none() -> None:
    before, after = map(cells, cut_frames()[9:11])
    assert is_other_scene(before, after) and is_other_scene(after, before)
    for frames in (noise_frames(), lamp_frames(), dawn_frames()):
        assert not is_other_scene(cells(frames[0]), cells(frames[1]))
        assert not is_other_scene(cells(frames[8]), cells(frames[10]))


def test_black_frames_are_one_scene_whatever_their_noise() -> None:
    random = np.random.default_rng(0)
    first, second = (cells(random.integers(0, 3, (120, 160, 3)).astype(np.uint8)) for _ in range(2))
    assert not is_other_scene(first, second)


def test_what_passes_is_found_where_it_is() -> None:
    window = [cells(frame) for frame in lamp_frames()]
    mask, _ = passing(window[10], window)
    assert mask[5, 8]  # where the lamp is
    assert not mask[12:, :6].any()


def test_where_nothing_stays_still_hardly_anything_passes() -> None:
    random = np.random.default_rng(0)
    window = [random.uniform(-4, 0, (16, 16)).astype(np.float32) for _ in range(9)]
    assert passing(window[4], window)[0].mean() < 0.05


def test_a_cell_covers_its_pixels() -> None:
    mask = np.zeros((16, 16), bool)
    mask[1, 2] = True
    rows, columns = np.nonzero(over_pixels(mask, 64, 128))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 7, 16, 23)
