"""Scores on held-out pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lumen.metrics.fidelity import psnr
from lumen.train.distributed import World
from lumen.train.validate import enhance_whole, validate
from tests.support.training import darker, make_pairs, make_photos, make_trainer, scene, tiny_recipe


def test_validation_scores_eight_bit_results(tmp_path: Path) -> None:
    network = make_trainer(tiny_recipe(), tmp_path).state.ema.eval()
    pairs = make_pairs(2)
    scores = validate(network, pairs, make_photos(1), World())
    expected = [psnr(enhance_whole(network, e.low, float(e.high.mean()) / 255), e.high, data_range=255) for e in pairs]
    assert scores["psnr_given"] == pytest.approx(np.mean(expected))
    assert math.isfinite(scores["photo_psnr"]) and scores["photo_psnr_own"] > 35
    assert "photo_psnr" not in validate(network, pairs[:1], [], World())


@pytest.mark.parametrize("size", [(48, 64), (41, 37), (17, 90)])
def test_whole_pictures_of_any_size_keep_it(tmp_path: Path, size: tuple[int, int]) -> None:
    network = make_trainer(tiny_recipe(), tmp_path).state.ema.eval()
    low = darker(scene(0, *size))
    assert enhance_whole(network, low, None).shape == low.shape
