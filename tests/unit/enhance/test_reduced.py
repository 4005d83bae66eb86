"""Results in small: with the light of the full picture, in its depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lumen.config import EnhanceOptions
from lumen.enhance.reduced import reduced, reduced_results
from lumen.imaging.picture import Picture
from lumen.imaging.thumbnail import thumbnail_for
from lumen.spec import SampleType
from tests.support.fakes import FakeModels


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_the_model_sees_the_light_of_the_full_picture(sample: SampleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(1).integers(0, 6, (90, 120, 3)).astype(sample)
    models = FakeModels(gain=2.0)
    model, seen = models.for_sample(sample), list[NDArray[Any]]()
    run = model.run

    def remember(tiles: NDArray[Any], thumbnails: NDArray[Any], ev: NDArray[Any], **more: Any) -> NDArray[Any]:
        seen.append(thumbnails)
        return run(tiles, thumbnails, ev, **more)

    monkeypatch.setattr(model, "run", remember)
    variants = [EnhanceOptions(ev=ev) for ev in (0.0, 1.0)]
    small = reduced_results(Picture(pixels=pixels, format="png"), models, variants, 40)
    assert [each.pixels.shape for each in small] == [(30, 40, 3)] * 2
    assert all(each.pixels.dtype == sample for each in small)
    full = thumbnail_for(pixels, model.spec)
    assert len(seen) == 2 and all(np.array_equal(each[0], full) for each in seen)
    assert not np.array_equal(full, thumbnail_for(reduced(Picture(pixels=pixels, format="png"), 40).pixels, model.spec))


def test_small_pictures_stay_and_others_keep_their_opacity() -> None:
    pixels = np.full((10, 20, 3), 7, np.uint8)
    clear = Picture(pixels=pixels, alpha=np.full((10, 20), 99, np.uint8), format="png")
    assert reduced(clear, 20) is clear
    small = reduced(clear, 10)
    assert small.alpha is not None
    assert (small.pixels.shape, small.alpha.shape) == ((5, 10, 3), (5, 10))
    assert {int(each) for each in np.unique(small.alpha)} == {99}
