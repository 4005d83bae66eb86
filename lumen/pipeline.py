"""The main path: a picture as a thumbnail and as windows, through the model, and together again.

::

    read_picture -> area_thumbnail + plan_tiles -> cut -> model.run -> blend -> paste -> encode_result
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumen.config import EnhanceOptions
from lumen.errors import EncodeError, ModelError, OutOfMemoryError, UsageError
from lumen.imaging.atomic import write_atomically
from lumen.imaging.codec import Format, Picture, encode_picture, read_picture
from lumen.imaging.exif import without_thumbnail
from lumen.imaging.formats import format_of, stored_as
from lumen.imaging.holding import check_storable, stripped
from lumen.imaging.thumbnail import thumbnail_for
from lumen.imaging.tiling import Tile, TilePlan, cut, paste, plan_tiles
from lumen.imaging.tone import Tone, tone_of
from lumen.runtime.memory import CPU_WINDOW_PX, GPU_WINDOW_PX, MIN_WINDOW_PX, window_side_px
from lumen.runtime.model import Floats, Model, Models, Pixels
from lumen.spec import ModelSpec

log = logging.getLogger(__name__)

Progress = Callable[[float], None]

SHRINK = 0.7  # of the side: about half the memory


@dataclass(frozen=True, kw_only=True)
class FileResult:
    """One file that was written.

    Attributes:
        source: The file that was read.
        target: The file that was written.
        width: Columns.
        height: Rows.
        seconds: From before decoding until the result was on disk.
        warnings: Metadata that could not be kept, one line each.
    """

    source: Path
    target: Path
    width: int
    height: int
    seconds: float
    warnings: tuple[str, ...] = ()


def enhance_picture(
    picture: Picture, models: Models, options: EnhanceOptions | None = None, progress: Progress | None = None
) -> Picture:
    """Enhance one picture; size, depth, alpha and metadata stay as they are, but for the EXIF block's dark thumbnail.

    Args:
        picture: uint8 or uint16 pixels [H, W, 3] of any size.
        models: The 8-bit and 16-bit twins; the picture's depth decides, and its colour space: where that has another
            tone curve than sRGB (see `lumen.imaging.tone`), the 16-bit one is needed for both.
        options: Exposure, strength, passes and memory.
        progress: Called with the fraction done, in (0, 1], after each run of the model.

    Raises:
        OutOfMemoryError: Even the smallest window does not fit in memory.
        UsageError: The asked window or memory is too small for the model.
    """
    options = options or EnhanceOptions()
    model, tone = _model_for(picture, models)
    return with_pixels(picture, _enhance_pixels(picture.pixels, model, options, progress or _ignore, tone))


def with_pixels(picture: Picture, pixels: Pixels) -> Picture:
    """Return what was made of a picture: new pixels of its size, and its metadata but for the preview, now too dark."""
    metadata = replace(picture.metadata, exif=without_thumbnail(picture.metadata.exif))
    return replace(picture, pixels=pixels, metadata=metadata)


def chosen_brightness(picture: Picture, models: Models) -> float:
    """Return the mean sRGB level in [0, 1] that the model aims at by itself."""
    model, tone = _model_for(picture, models)
    seen = None if tone is None else tone.seen
    return model.brightness(thumbnail_for(picture.pixels, model.spec, seen))


def enhance_file(source: Path, target: Path, models: Models, options: EnhanceOptions | None = None) -> FileResult:
    """Enhance one file into another; the target appears whole or not at all.

    Raises:
        UsageError: Both are the same file.
        PictureError: The source cannot be decoded, enhanced, or stored in the target's format.
        OutputError: The target cannot be written.
    """
    options = options or EnhanceOptions()
    if target.exists() and target.samefile(source):
        raise UsageError(f"expected another file than the input {source} as the result")
    started = time.monotonic()
    modified_ns = source.stat().st_mtime_ns if source.exists() else None
    picture = read_source(source, options, target)
    data, warnings = encode_result(enhance_picture(picture, models, options), source, target, options)
    write_atomically(target, data, modified_ns=modified_ns)
    return FileResult(
        source=source,
        target=target,
        width=picture.width,
        height=picture.height,
        seconds=time.monotonic() - started,
        warnings=warnings,
    )


def read_source(source: Path, options: EnhanceOptions, target: Path | None = None) -> Picture:
    """Decode one input as the options ask for.

    Args:
        source: The file.
        options: What is read of it.
        target: Where the result will go; what its format cannot hold is refused here, before any work is done.

    Raises:
        PictureError: The source cannot be decoded, is of a kind that the options do not allow, or cannot be stored.
    """
    picture = read_picture(source, max_pixels=options.max_pixels, first_frame=options.frames == "first")
    if target is not None:
        _result_kind(picture, source, target, options)
    return picture


def encode_result(
    picture: Picture, source: Path, target: Path, options: EnhanceOptions
) -> tuple[bytes, tuple[str, ...]]:
    """Return the file that was made of `source`, in the format that the target is named after.

    Where the name never said what the file is (a transparent PNG called .jpg) and its format cannot hold the picture,
    the result is what the source is, under the same suffix.

    Returns:
        The bytes of the file; a warning for that, for what could not be taken from the source, and for each kind of
        metadata that could not be kept.

    Raises:
        EncodeError: The format cannot hold the picture.
    """
    kind, why = _result_kind(picture, source, target, options)
    if options.metadata == "strip":
        picture = stripped(picture)
    data, warnings = encode_picture(
        picture, kind, quality=options.quality, subsampling=options.subsampling, allow_8bit=options.allow_8bit
    )
    return data, (*why, *picture.notes, *warnings)


def _result_kind(
    picture: Picture, source: Path, target: Path, options: EnhanceOptions
) -> tuple[Format, tuple[str, ...]]:
    """Return the format that a result is stored in, and a line where that is not what the target's name says."""
    named, own = format_of(target), stored_as(picture.format)
    if named is None:
        named = own
    try:
        check_storable(picture, named, allow_8bit=options.allow_8bit)
    except EncodeError as error:
        if target.suffix.lower() != source.suffix.lower() or own == named or own != picture.format:
            raise
        check_storable(picture, own, allow_8bit=options.allow_8bit)
        return own, (f"the result is a {own} file, as the input is whatever its name says: {error}",)
    return named, ()


def window_px(model: Model, options: EnhanceOptions) -> int:
    """Return the largest window side in pixels that the options and the memory allow.

    Raises:
        UsageError: What the user asked for leaves no pixel between two halos, or no window at all.
    """
    spec = model.spec
    if options.tile_px is not None:
        least = 2 * spec.halo_px + spec.align
        if options.tile_px < least:
            raise UsageError(f"expected --tile of at least {least} pixels for {spec.name}, got {options.tile_px}")
        side = options.tile_px
    else:
        side = _side_by_memory(model, options.max_memory_bytes)
    return side if model.window_limit_px is None else min(side, model.window_limit_px)


def plan_windows(height: int, width: int, spec: ModelSpec, side_px: int) -> TilePlan:
    """Return how a picture is cut into windows of at most `side_px` for a model."""
    return plan_tiles(
        height, width, align=spec.align, halo_px=spec.halo_px, edge_px=spec.edge_px, max_window_px=side_px
    )


def smallest_window_px(model: Model) -> int:
    """Return the smallest side worth running: below it nearly everything is halo."""
    return max(MIN_WINDOW_PX, 3 * model.spec.halo_px + model.spec.align)


def _side_by_memory(model: Model, asked_bytes: int | None) -> int:
    least = smallest_window_px(model)
    # A thumbnail of the picture's own size takes as much memory as a window.
    needed = max(least, model.spec.thumbnail_px * (model.spec.thumbnail == "fit")) ** 2 * model.spec.bytes_per_px
    if asked_bytes is not None and asked_bytes < needed:
        raise UsageError(
            f"expected --max-memory of at least {-(-needed // 10**6)}M for {model.spec.name}, got {asked_bytes} bytes"
        )
    largest = CPU_WINDOW_PX if model.device == "cpu" else GPU_WINDOW_PX
    budget = model.budget_bytes if asked_bytes is None else asked_bytes
    return max(least, window_side_px(budget, model.spec.bytes_per_px, largest_px=largest))


def _model_for(picture: Picture, models: Models) -> tuple[Model, Tone | None]:
    """Return the model for a picture, and how its levels become sRGB's where they are not."""
    tone = tone_of(picture.metadata, picture.pixels.dtype)
    if tone is not None:
        try:
            return models.for_sample("uint16"), tone  # in 8 bits the dark levels of other curves would fall together
        except ModelError as error:
            log.warning("the picture's colour space is taken for sRGB, as the 16-bit model is missing: %s", error)
    return models.for_sample(picture.sample), None


def _enhance_pixels(
    pixels: Pixels, model: Model, options: EnhanceOptions, progress: Progress, tone: Tone | None = None
) -> Pixels:
    if options.strength == 0:
        progress(1.0)
        return pixels.copy()
    spec = model.spec
    height, width = pixels.shape[:2]
    thumbnail = thumbnail_for(pixels, spec, None if tone is None else tone.seen)  # [h, w, 3]
    ev = np.array([options.ev], np.float32)
    result = np.empty_like(pixels)
    rows_done = 0  # cores above stay valid when the window shrinks: its size never changes the result
    while rows_done < height:
        plan = plan_windows(height, width, spec, window_px(model, options))
        try:
            for tile in plan.tiles:
                if tile.y1 <= rows_done:
                    continue
                window = cut(pixels, plan, tile)  # [h, w, 3]
                step = partial(_step, progress, plan, tile)
                seen = window if tone is None else tone.seen(window)
                enhanced = _run_passes(model, seen, thumbnail, ev, options.quality_passes, step)
                enhanced = enhanced if tone is None else tone.stored(enhanced, window)
                paste(result, plan, tile, _blend(window, enhanced, options.strength))
                if tile.x1 == width:
                    rows_done = tile.y1
        except OutOfMemoryError:
            if not _shrink(model, max(plan.window_h, plan.window_w)):
                raise
    return result


def _run_passes(model: Model, window: Pixels, thumbnail: Floats, ev: Floats, passes: int, progress: Progress) -> Pixels:
    """Return the mean, to the nearest level, of what the model makes of a window in its first `passes` turns.

    The thumbnail is turned with the window, as if the whole padded picture were turned. The sides of that picture are
    multiples of `align`, and so are origin and sides of every window: a turned window starts on such a multiple again,
    and tiles stay exact.

    Args:
        model: What is run, one turn at a time.
        window: `spec.sample` [h, w, 3].
        thumbnail: float32 [h, w, 3] of the whole picture.
        ev: float32 [1].
        passes: 1, 4 or 8.
        progress: Called with the share of the passes done, in (0, 1], after each.
    """

    def run(turn: int) -> Pixels:
        tiles, thumbnails = (np.ascontiguousarray(_turned(array, turn))[None] for array in (window, thumbnail))
        enhanced = _turned_back(model.run(tiles, thumbnails, ev)[0], turn)
        progress((turn + 1) / passes)
        return enhanced

    if passes == 1:
        return run(0)
    total = np.zeros(window.shape, np.float32)  # exact: 8 * 65535 < 2**24
    for turn in range(passes):
        total += run(turn)
    total /= passes
    return np.rint(total, out=total).astype(window.dtype)


def _turned(array: NDArray[Any], turn: int) -> NDArray[Any]:
    """Return a view of [h, w, 3]: bit 0 of `turn` mirrors left and right, bit 1 up and down, then bit 2 transposes."""
    mirrored = array[:: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]
    return mirrored.swapaxes(0, 1) if turn & 4 else mirrored


def _turned_back(array: NDArray[Any], turn: int) -> NDArray[Any]:
    """Undo `_turned`."""
    mirrored = array.swapaxes(0, 1) if turn & 4 else array
    return mirrored[:: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]


def _blend(window: Pixels, enhanced: Pixels, strength: float) -> Pixels:
    """Return the levels that lie `strength`, in (0, 1], of the way from a window to its result, to the nearest."""
    if strength == 1:
        return enhanced
    before = window.astype(np.float32)
    return np.rint(before + np.float32(strength) * (enhanced - before)).astype(window.dtype)


def _step(progress: Progress, plan: TilePlan, tile: Tile, share: float) -> None:
    """Tell how much of the picture is done when all tiles before `tile`, and a share of it, are."""
    done_px = tile.y0 * plan.width + (tile.y1 - tile.y0) * (tile.x0 + (tile.x1 - tile.x0) * share)
    progress(done_px / (plan.height * plan.width))


def _shrink(model: Model, failed_px: int) -> bool:
    """Remember for the rest of the run that a window was too large; return False where none smaller is left."""
    least = smallest_window_px(model)
    if failed_px <= least:
        return False
    smaller = max(least, int(failed_px * SHRINK))
    model.release()
    model.window_limit_px = smaller
    log.warning("memory was short for windows of %d px; going on with at most %d px", failed_px, smaller)
    return True


def _ignore(fraction: float) -> None:
    """Stand in for a missing progress callback."""
