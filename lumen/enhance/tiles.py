"""The tile loop: cut, enhance and paste windows; use smaller ones if memory is short."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import numpy as np

from lumen.color.tone import Tone
from lumen.config import EnhanceOptions
from lumen.enhance.ensemble import run_passes
from lumen.enhance.model_choice import check_shadows
from lumen.enhance.progress import PictureProgress, TileProgress
from lumen.enhance.tile_size import check_memory, plan_windows, smallest_window_px, window_px
from lumen.errors import OutOfMemoryError
from lumen.imaging.thumbnail import thumbnail_for
from lumen.imaging.tiling import Tile, TilePlan, box_of, cut, paste
from lumen.runtime.protocols import Floats, Model, Pixels
from lumen.runtime.runs import TICK_S, terminate_runs

log = logging.getLogger(__name__)

SHRINK = 0.7  # factor of the side: about half the memory


def enhance_pixels(
    pixels: Pixels,
    model: Model,
    options: EnhanceOptions,
    progress: PictureProgress,
    tone: Tone | None = None,
    *,
    fixed_tone: Floats | None = None,
    thumbnail: Floats | None = None,
    runs: int = 1,
) -> Pixels:
    """Enhance pixels window by window. If memory is short, the windows shrink and finished rows are kept.

    Args:
        pixels: `model.spec.sample` [H, W, 3], or uint8 with a `tone` that converts them to 16 bits.
        model: The model for every window.
        options: Exposure, shadows, strength, passes and memory.
        progress: Called with the fraction done, in (0, 1], after each model run, on any thread.
        tone: Conversion of the picture's levels to sRGB, if they need one.
        fixed_tone: float32 [K], used instead of the tone that the model decides on for this picture.
        thumbnail: What the model sees as the whole picture, [h, w, 3]; by default that of `pixels`.
        runs: How many windows to enhance at once.

    Returns:
        Shape and dtype of `pixels`.

    Raises:
        OutOfMemoryError: Even the smallest window does not fit into memory.
        UsageError: The options are not for this model.
    """
    if options.strength == 0:
        progress(1.0)
        return pixels.copy()
    check_shadows(model, options)
    spec, (height, width) = model.spec, pixels.shape[:2]
    seen = None if tone is None else tone.seen
    thumbnail = thumbnail_for(pixels, spec, seen) if thumbnail is None else thumbnail
    ev, shadows = (np.array([each], np.float32) for each in (options.ev, options.shadows))
    tones = None if fixed_tone is None else fixed_tone[None]
    run = partial(run_passes, model, thumbnail=thumbnail, ev=ev, passes=options.quality_passes, shadows=shadows)
    result, rows_done = np.empty_like(pixels), 0  # rows stay valid when the window shrinks: its size changes no result
    while rows_done < height:
        plan = plan_windows(height, width, spec, window_px(model, options))
        check_memory(plan, model, options)
        told = TileProgress(progress, plan, rows_done)

        def enhance(tile: Tile, plan: TilePlan = plan, told: TileProgress = told) -> None:
            window = cut(pixels, plan, tile)  # [h, w, 3]
            restored = partial(run, progress=told.of(tile), box=box_of(plan, tile), tones=tones)
            enhanced = restored(window) if tone is None else tone.stored(restored(tone.seen(window)), window)
            paste(result, plan, tile, _blend(window, enhanced, options.strength))

        try:
            for tile in _each(enhance, [tile for tile in plan.tiles if tile.y1 > rows_done], runs):
                if tile.x1 == width:
                    rows_done = tile.y1
        except OutOfMemoryError:
            if not _shrink(model, math.isqrt(plan.window_h * plan.window_w)):
                raise
    return result


def _each(enhance: Callable[[Tile], None], tiles: Sequence[Tile], runs: int) -> Iterator[Tile]:
    """Enhance tiles, some at once, and yield each when it and all before it are done.

    After an exception, such as KeyboardInterrupt, the others in work are cancelled.
    """
    if runs == 1:
        for tile in tiles:
            enhance(tile)
            yield tile
        return
    threads = set[int]()

    def noted(tile: Tile) -> None:
        threads.add(threading.get_ident())
        enhance(tile)

    with ThreadPoolExecutor(runs, "tile") as pool:
        futures = [pool.submit(noted, tile) for tile in tiles]
        try:
            for tile, future in zip(tiles, futures, strict=True):
                while not wait([future], TICK_S).done:  # a wait without end would miss signals on Windows
                    pass
                future.result()
                yield tile
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            while busy := [future for future in futures if not future.done()]:
                terminate_runs(threads)  # again and again: the next pass of a window may have begun just before
                wait(busy, TICK_S)


def _blend(window: Pixels, enhanced: Pixels, strength: float) -> Pixels:
    """Return the levels at `strength`, in (0, 1], of the way from a window to its result, rounded."""
    if strength == 1:
        return enhanced
    before = window.astype(np.float32)
    return np.rint(before + np.float32(strength) * (enhanced - before)).astype(window.dtype)


def _shrink(model: Model, failed_px: int) -> bool:
    """Use smaller windows for the rest of the run; return False if it cannot be smaller."""
    least = smallest_window_px(model)
    if failed_px <= least or model.spec.whole:
        return False
    smaller = max(least, int(failed_px * SHRINK))
    model.release()
    limit = model.window_limit_px  # another picture may have met it first
    model.window_limit_px = smaller if limit is None else min(smaller, limit)
    log.warning("not enough memory for windows of %d px; continuing with at most %d px", failed_px, smaller)
    return True
