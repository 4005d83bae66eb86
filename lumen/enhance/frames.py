"""Several small pictures of equal size in one model run, which is faster when many frames of a camera wait."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumen.color.tone import tone_facts, tone_of
from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import with_pixels
from lumen.enhance.sharing import Share
from lumen.enhance.tile_size import plan_windows, window_px
from lumen.imaging.picture import Picture
from lumen.imaging.thumbnail import thumbnail_for
from lumen.imaging.tiling import box_of, cut, paste
from lumen.runtime.protocols import Floats, Models

MOST_FRAMES = 16


def are_alike(first: Picture, second: Picture) -> bool:
    """Return whether two pictures have the same size, depth and tone curve."""
    if first.pixels.shape != second.pixels.shape or first.sample != second.sample or second.animation is not None:
        return False
    return tone_facts(first.metadata) == tone_facts(second.metadata)


def frames_per_run(picture: Picture, models: Models, options: EnhanceOptions) -> int:
    """Return how many pictures like this one the model takes in one run: as many as fill one window, at least one.

    Raises:
        UsageError: The requested window or memory is too small for the model.
    """
    plain = options.strength == 1 and options.quality_passes == 1 and picture.animation is None
    if not plain or tone_of(picture.metadata, picture.pixels.dtype) is not None:
        return 1
    model = models.for_sample(picture.sample)
    side = window_px(model, options)
    plan = plan_windows(picture.height, picture.width, model.spec, side)
    if len(plan.tiles) > 1 or model.spec.whole:
        return 1
    return max(1, min(MOST_FRAMES, side * side // (plan.window_h * plan.window_w)))


def enhance_frames(
    pictures: Sequence[Picture],
    models: Models,
    options: EnhanceOptions,
    share: Share | None = None,
    *,
    fixed_tones: Sequence[Floats] | None = None,
) -> list[Picture]:
    """Enhance at most `frames_per_run` pictures that are alike, with the result of `enhance_picture` for each.

    Args:
        pictures: uint8 or uint16 pixels [H, W, 3], of the same size and depth, each within one window.
        models: The 8-bit and 16-bit models.
        options: Exposure and memory.
        share: CPU threads that they may use; None is all.
        fixed_tones: float32 [K] for each picture, used instead of its own, see `lumen.enhance.steady`.

    Raises:
        OutOfMemoryError: There is too little memory for so many pictures.
        NotFiniteError: The result of one of them is NaN or infinite.
        ModelError: The model failed.
    """
    model = models.for_sample(pictures[0].sample)
    if share is not None and share.threads != model.threads:
        model = models.with_threads(share.threads).for_sample(pictures[0].sample)
    plan = plan_windows(pictures[0].height, pictures[0].width, model.spec, window_px(model, options))
    (tile,) = plan.tiles
    windows = np.stack([cut(picture.pixels, plan, tile) for picture in pictures])  # [N, h, w, 3]
    thumbnails = np.stack([thumbnail_for(each.pixels, model.spec) for each in pictures])  # [N, h, w, 3]
    ev, shadows = (np.full(len(pictures), value, np.float32) for value in (options.ev, options.shadows))
    tones = None if fixed_tones is None else np.stack(fixed_tones)
    boxes = np.tile(box_of(plan, tile), (len(pictures), 1))
    enhanced = model.run(windows, thumbnails, ev, boxes=boxes, shadows=shadows, tones=tones)
    results = []
    for picture, window in zip(pictures, enhanced, strict=True):
        pixels = np.empty_like(picture.pixels)
        paste(pixels, plan, tile, window)
        results.append(with_pixels(picture, pixels))
    return results
