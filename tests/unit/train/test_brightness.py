"""The second stage."""

from __future__ import annotations

import numpy as np
import torch

from lumen.models.context import BrightnessHead
from lumen.train.brightness import fit_brightness, thumbnail_bank
from lumen.train.data.sampler import Sampler
from lumen.train.recipe.sections import BrightnessConfig, DataConfig
from tests.support.training import darker, make_pairs, make_photos, scene

CONFIG = BrightnessConfig(iterations=150, samples=60, batch=32, synthetic=0)


def sampler() -> Sampler:
    return Sampler(make_pairs(6), make_photos(6), DataConfig(crop_px=16), thumbnail_px=32, seed=1)


def test_the_bank_follows_the_shares_and_the_seed() -> None:
    thumbnails, wanted = thumbnail_bank(sampler(), CONFIG)
    again, _ = thumbnail_bank(sampler(), CONFIG)
    assert thumbnails.shape == (60, 3, 32, 32) and torch.equal(thumbnails, again)
    good = (thumbnails.mean(dim=(1, 2, 3)) > 0.9 * wanted).float().mean()
    assert 0.2 < float(good) < 0.6


def test_dark_pictures_are_lifted_and_good_ones_left() -> None:
    head = BrightnessHead()
    fit_brightness(head, sampler(), CONFIG, seed=0)
    assert not head.training

    def chosen(pixels: np.ndarray) -> tuple[float, float]:
        thumbnail = torch.from_numpy(pixels[:32, :32].astype(np.float32) / 255).permute(2, 0, 1)[None]
        return float(thumbnail.mean()), float(head.choose(thumbnail)[0])

    dark, lifted = chosen(darker(scene(40)))
    assert lifted > 5 * dark
    good, left = chosen(scene(41))
    assert left < 1.1 * good


def test_one_seed_gives_one_head() -> None:
    first, second, other = BrightnessHead(), BrightnessHead(), BrightnessHead()
    second.load_state_dict(first.state_dict())
    other.load_state_dict(first.state_dict())
    for head, seed in ((first, 0), (second, 0), (other, 1)):
        fit_brightness(head, sampler(), CONFIG, seed=seed)
    assert torch.equal(first.out.weight, second.out.weight)
    assert not torch.equal(first.out.weight, other.out.weight)
