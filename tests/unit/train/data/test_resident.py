"""Pictures in the memory of a device: the same batches as from this machine's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lumen.errors import DataError
from lumen.train.data.resident import ResidentSampler
from lumen.train.data.sampler import Sampler
from lumen.train.recipe.sections import DataConfig
from tests.support.training import make_pairs, make_photos

CPU = torch.device("cpu")


def both(thumbnail_px: int = 32, **config: Any) -> tuple[Sampler, ResidentSampler]:
    settings = DataConfig(crop_px=16, **config)
    sampler = Sampler(make_pairs(3), make_photos(3), settings, thumbnail_px=thumbnail_px, seed=3)
    return sampler, ResidentSampler(sampler, CPU)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"synthetic": 0, "identity": 0, "mixup": 1.0},
        {"night": 1.0, "saturation": 1.0},
        {"poses": False},
        {"camera": 0.5},
    ],
)
def test_the_same_samples_are_drawn(config: dict[str, Any]) -> None:
    sampler, resident = both(**config)
    places = range(3, 11)
    low, high, thumbnails, brightness, boxes = resident.batch(7, places)
    assert low.shape == high.shape == (8, 3, 16, 16) and thumbnails.shape == (8, 3, 32, 32)
    for index, place in enumerate(places):
        sample = sampler.draw(7, place)
        for tensor, array in ((low, sample.low), (high, sample.high), (thumbnails, sample.thumbnail)):
            assert np.abs(tensor[index].permute(1, 2, 0).numpy() - array).max() < 1e-6
        assert float(brightness[index]) == pytest.approx(sample.brightness, abs=1e-6)
        assert np.abs(boxes[index].numpy() - sample.box).max() < 1e-6


def test_pixels_are_the_files_own() -> None:
    sampler, resident = both(synthetic=0, identity=0, framing=0)
    low = resident.batch(0, [0])[0]
    assert np.array_equal(low[0].permute(1, 2, 0).numpy(), sampler.draw(0, 0).low)


def test_without_thumbnails_none_are_made() -> None:
    _, _, thumbnails, brightness, _ = both(thumbnail_px=0)[1].batch(0, range(4))
    assert thumbnails.shape == (4, 3, 1, 1) and brightness.tolist() == [0] * 4


def test_pictures_are_kept_once() -> None:
    sampler, first = both()
    pairs, photos = sampler.pairs[:2], sampler.photos[:1]
    second = ResidentSampler(Sampler(pairs, photos, sampler.config, thumbnail_px=32, seed=3), CPU, beside=first)
    assert len(first.stored) == 2 * 6 and len(second.stored) == 2 * 3
    assert all(second.stored[key] is first.stored[key] for key in second.stored)


def test_too_little_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(torch, "tensor", full)
    with pytest.raises(DataError, match=r"do not fit in the memory of cpu; leave out --resident"):
        both()
