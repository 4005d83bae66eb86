"""The second stage."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from msgspec.structs import replace

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


def test_blank_frames_are_to_stay() -> None:
    thumbnails, wanted = thumbnail_bank(sampler(), replace(CONFIG, blank=0.5))
    mean = thumbnails.mean(dim=(1, 2, 3))
    assert torch.allclose(mean[30:], wanted[30:], atol=1e-6) and float(mean[30:].max()) < 60 / 255


def test_what_was_picked_from_a_bracket_is_moved_to_the_usual_level() -> None:
    pairs = make_pairs(6)
    brackets = Sampler(
        [dataclasses.replace(pair, clean=True) for pair in pairs], [], DataConfig(crop_px=16), thumbnail_px=32, seed=1
    )
    shares = replace(CONFIG, identity=0)
    (_, own), (_, half), (_, usual) = (thumbnail_bank(brackets, replace(shares, usual=usual)) for usual in (0, 0.5, 1))
    level = BrightnessHead.USUAL_LEVEL
    assert torch.allclose(half, (own * level).sqrt()) and torch.allclose(usual, torch.full_like(own, level))
    lit_alike = Sampler(pairs, [], DataConfig(crop_px=16), thumbnail_px=32, seed=1)
    assert torch.equal(thumbnail_bank(lit_alike, replace(shares, usual=1))[1], own)


def test_dark_photographs_say_nothing() -> None:
    photos = make_photos(6)
    level = sorted(float(photo.high.mean()) / 255 for photo in photos)[3]
    source = Sampler([], photos, DataConfig(crop_px=16, framing=0), thumbnail_px=32, seed=1)
    _, wanted = thumbnail_bank(source, replace(CONFIG, darkest=level))
    assert float(wanted.min()) >= level - 1e-6 and len(set(wanted.tolist())) == 3


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
