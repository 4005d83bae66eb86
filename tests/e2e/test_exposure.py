"""The bundled model obeys `ev`: a stop more is brighter, a stop less is darker, on every kind of picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lumen.codecs.codec import read_picture
from lumen.color.srgb import srgb_to_linear
from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.imaging.picture import Picture
from lumen.runtime.open import ModelSet

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.jpg"))
LARGEST_PX = 256
LUMA = np.array([0.2126, 0.7152, 0.0722])  # of linear light, Rec. 709
ROUNDING = 3e-4  # of luminance: one 8-bit level at black, a thirtieth of one at white


@pytest.fixture(scope="module")
def models() -> ModelSet:
    return ModelSet(RuntimeOptions(device="cpu"))


def reduced(path: Path) -> NDArray[np.uint8]:
    """Return a picture of at most `LARGEST_PX` a side, by area means."""
    image = Image.fromarray(read_picture(path).pixels)
    factor = -(-max(image.size) // LARGEST_PX)
    return np.asarray(image.reduce(factor))


def luminances(pixels: NDArray[np.uint8], models: ModelSet) -> tuple[float, float, float]:
    """Return the mean relative luminance, in [0, 1], of the results at -1, 0 and +1 stops."""
    picture = Picture(pixels=pixels, format="png")

    def at(ev: float) -> float:
        enhanced = enhance_picture(picture, models, EnhanceOptions(ev=ev)).pixels
        return float((srgb_to_linear(enhanced / 255.0) @ LUMA).mean())

    return at(-1.0), at(0.0), at(1.0)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_follow_the_exposure(path: Path, models: ModelSet) -> None:
    darker, automatic, brighter = luminances(reduced(path), models)
    assert darker < automatic < brighter


def test_noise_around_mid_grey_follows_the_exposure(models: ModelSet) -> None:
    noise = np.random.default_rng(0).normal(118.0, 20.0, (96, 128, 3))
    darker, automatic, brighter = luminances(np.clip(noise, 0, 255).astype(np.uint8), models)
    assert darker < automatic < brighter


@pytest.mark.parametrize("level", [0, 255], ids=["black", "white"])
def test_flat_ends_of_the_scale_never_move_the_wrong_way(level: int, models: ModelSet) -> None:
    # Black has no light to multiply and white is where the curve ends: there a stop more need not be brighter, only not
    # darker, and a stop less not brighter.
    darker, automatic, brighter = luminances(np.full((96, 128, 3), level, np.uint8), models)
    assert brighter >= automatic - ROUNDING
    assert darker <= automatic + ROUNDING
