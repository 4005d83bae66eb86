"""What a notebook shows of a picture."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lumen.codecs.display import png_for_display
from lumen.imaging.picture import Metadata, Picture
from tests.support.corpus import ADOBE
from tests.support.files import exif, ramp


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    assert not {"icc_profile", "exif"} & image.info.keys()
    return image


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_small_pictures_are_shown_as_they_are(channels: int, mode: str) -> None:
    samples = ramp(channels=channels)
    image = shown(Picture.from_channels(samples, kind="jpeg", metadata=Metadata())._repr_png_())
    assert image.mode == mode
    assert np.array_equal(np.asarray(image), samples)


def test_large_deep_and_turned_pictures_are_small_upright_and_of_8_bits() -> None:
    """Orientation 6: displayed after a quarter turn clockwise."""
    pixels = np.zeros((40, 60, 3), np.uint16)
    pixels[:, 30:] = 40_000
    alpha = np.full((40, 60), 65535, np.uint16)
    picture = Picture(pixels=pixels, alpha=alpha, extra_channel=alpha, metadata=Metadata(exif=exif(6)), format="tiff")
    image = shown(png_for_display(picture, side_px=30))
    assert (image.size, image.mode) == ((20, 30), "RGBA")
    levels = np.asarray(image)
    assert (levels[:14, :, :3] == 0).all()
    assert (levels[16:, :, :3] == round(40_000 / 257)).all()
    assert (levels[..., 3] == 255).all()


def test_colours_are_those_of_srgb() -> None:
    """A green of Adobe RGB is stronger in sRGB; a profile that is none changes nothing."""
    green = np.full((4, 4, 3), (90, 160, 90), np.uint8)
    picture = Picture(pixels=green, metadata=Metadata(icc=ADOBE), format="png")
    red = np.asarray(shown(png_for_display(picture)))[0, 0, 0]
    assert red < 80
    broken = replace(picture, metadata=Metadata(icc=b"no profile"))
    assert np.array_equal(np.asarray(shown(png_for_display(broken))), green)
