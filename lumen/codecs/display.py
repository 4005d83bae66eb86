"""A picture as notebooks show it: upright, 8 bits, in sRGB, no larger than a screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lumen.codecs import exif
from lumen.codecs.codec import encode_picture
from lumen.color.icc import to_srgb
from lumen.imaging.picture import Metadata, Picture, Samples, to_8bit
from lumen.imaging.thumbnail import area_thumbnail

SIDE_PX = 1024


def png_for_display(picture: Picture, side_px: int = SIDE_PX) -> bytes:
    """Return a PNG file of a picture as it is displayed, with no side longer than `side_px`, without metadata.

    Larger pictures are averaged over areas. Transparency stays.
    """
    scale = min(1.0, side_px / max(picture.height, picture.width))
    sides = max(1, round(picture.height * scale)), max(1, round(picture.width * scale))

    def reduced(plane: Samples) -> Samples:
        if scale == 1:
            return plane
        levels = area_thumbnail(plane if plane.ndim == 3 else np.dstack([plane] * 3), sides) * np.float32(65535)
        return np.asarray(np.rint(levels if plane.ndim == 3 else levels[..., 0]), np.uint16)

    small = replace(picture, extra_channel=None).mapped(reduced)
    small = replace(small, pixels=to_srgb(small.pixels, picture.metadata.icc)).mapped(to_8bit)
    shown = replace(small.turned(exif.orientation(picture.metadata.exif)), metadata=Metadata(), bits=None)
    return encode_picture(shown, "png")[0]
