"""What other options would make of a picture, in small: to choose by, in a fraction of the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lumen.config import EnhanceOptions
from lumen.enhance.model_choice import model_for
from lumen.enhance.pipeline import with_pixels
from lumen.enhance.progress import ignore_progress
from lumen.enhance.tiles import enhance_pixels
from lumen.imaging.picture import Picture, Samples
from lumen.imaging.thumbnail import area_thumbnail, thumbnail_for
from lumen.runtime.protocols import Floats, Models


def reduced_results(
    picture: Picture,
    models: Models,
    variants: Sequence[EnhanceOptions],
    side_px: int,
    fixed_tones: Sequence[Floats | None] | None = None,
) -> list[Picture]:
    """Return the results of a picture for several options, each no side longer than `side_px`.

    The picture is reduced first, and the model then works on it with the light of the full picture. So they come near
    a full result in brightness and colour. Noise and fine texture are others: averaging has taken most of them.

    Args:
        picture: uint8 or uint16 pixels [H, W, 3] of any size.
        models: The 8-bit and 16-bit models.
        variants: Options, each as for `lumen.enhance.pipeline.enhance_picture`.
        side_px: Longest side of the results in pixels; smaller pictures keep their size.
        fixed_tones: float32 [K] for each of the options, used instead of the one that the model decides on.

    Raises:
        OutOfMemoryError: Even the smallest window does not fit into memory.
        UsageError: The options are not for this model.
    """
    model, tone = model_for(picture, models)
    thumbnail = thumbnail_for(picture.pixels, model.spec, None if tone is None else tone.seen)
    small = reduced(picture, side_px)
    results = []
    for options, fixed in zip(variants, fixed_tones or [None] * len(variants), strict=True):
        pixels = enhance_pixels(
            small.pixels, model, options, ignore_progress, tone, fixed_tone=fixed, thumbnail=thumbnail
        )
        results.append(with_pixels(small, pixels))
    return results


def reduced(picture: Picture, side_px: int) -> Picture:
    """Return a picture averaged over areas so that no side is longer than `side_px`, of the same depth and colours."""
    scale = side_px / max(picture.height, picture.width)
    if scale >= 1:
        return picture
    sides = max(1, round(picture.height * scale)), max(1, round(picture.width * scale))

    def averaged(plane: Samples) -> Samples:
        top = np.iinfo(plane.dtype).max
        means = area_thumbnail(plane if plane.ndim == 3 else np.dstack([plane] * 3), sides) * np.float32(top)
        return np.asarray(np.rint(means if plane.ndim == 3 else means[..., 0]), plane.dtype)

    return replace(picture, extra_channel=None).mapped(averaged)
