"""The main path: read a file, run the model on its thumbnail and windows, write the result.

::

    read_source -> thumbnail_for + plan_windows -> cut -> run_passes -> paste -> encode_result

The middle part is in `lumen.enhance.tiles`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from lumen.codecs.exif import without_thumbnail
from lumen.config import EnhanceOptions
from lumen.enhance.animation import enhance_animation
from lumen.enhance.file_io import encode_result, read_source
from lumen.enhance.model_choice import model_for
from lumen.enhance.progress import PictureProgress, ignore_progress
from lumen.enhance.sharing import Share, whole_share
from lumen.enhance.tiles import enhance_pixels
from lumen.enhance.unchanged import is_left
from lumen.errors import UsageError
from lumen.files.atomic import user_attributes, write_atomically
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Floats, Models, Pixels


@dataclass(frozen=True, kw_only=True)
class FileResult:
    """The result of one file.

    Attributes:
        source: The file that was read.
        target: The file that was written.
        width: Columns.
        height: Rows.
        seconds: Time from before decoding until the result was on disk.
        warnings: Metadata that could not be kept, one line each.
        is_unchanged: The picture was fine: the target is a copy of the source, or with `skip` was not written.
    """

    source: Path
    target: Path
    width: int
    height: int
    seconds: float
    warnings: tuple[str, ...] = ()
    is_unchanged: bool = False


def enhance_picture(
    picture: Picture,
    models: Models,
    options: EnhanceOptions | None = None,
    progress: PictureProgress | None = None,
    share: Share | None = None,
    *,
    fixed_tone: Floats | None = None,
) -> Picture:
    """Enhance one picture; size, depth, alpha and metadata stay, except for the dark thumbnail in the EXIF block.

    Args:
        picture: uint8 or uint16 pixels [H, W, 3] of any size.
        models: The 8-bit and 16-bit models; `model_for` chooses.
        options: Exposure, strength, passes and memory.
        progress: Called with the fraction done, in (0, 1], after each model run, on any thread.
        share: CPU threads and memory that it may use; None is all.
        fixed_tone: float32 [K], used instead of the picture's own, see `lumen.enhance.steady`.

    Raises:
        OutOfMemoryError: Even the smallest window does not fit into memory.
        UsageError: The requested window or memory is too small for the model.
    """
    options = options or EnhanceOptions()
    model, tone = model_for(picture, models)
    progress, share = progress or ignore_progress, share or whole_share([model], [options])
    runs = share.runs_for(picture, model, options)
    threads = share.threads // runs
    if threads != model.threads:
        model = models.with_threads(threads).for_sample(model.spec.sample)
    if picture.animation is not None:
        return with_pixels(picture, enhance_animation(picture, model, options, progress, tone, fixed_tone))
    pixels = enhance_pixels(picture.pixels, model, options, progress, tone, fixed_tone=fixed_tone, runs=runs)
    return with_pixels(picture, pixels)


def with_pixels(picture: Picture, pixels: Pixels) -> Picture:
    """Return a picture with new pixels and its metadata, but without the thumbnail, which would be too dark now."""
    metadata = replace(picture.metadata, exif=without_thumbnail(picture.metadata.exif))
    return replace(picture, pixels=pixels, metadata=metadata)


def enhance_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    models: Models,
    options: EnhanceOptions | None = None,
) -> FileResult:
    """Enhance one file into another; the target is written completely or not at all.

    Raises:
        UsageError: Both are the same file.
        PictureError: The source cannot be decoded, enhanced, or stored in the target's format.
        OutputError: The target cannot be written.
    """
    source, target, options = Path(source), Path(target), options or EnhanceOptions()
    if target.exists() and target.samefile(source):
        raise UsageError(f"expected a target other than the input, got {source} for both")
    started = time.monotonic()
    modified_ns = source.stat().st_mtime_ns if source.exists() else None
    picture = read_source(source, options, target)
    with source.open("rb") as stream:
        extended = user_attributes(stream) if options.metadata == "keep" else {}
    enhanced = enhance_picture(picture, models, options)
    is_unchanged = is_left(picture, enhanced, source, target, options)
    warnings: tuple[str, ...] = ()
    if is_unchanged:
        data = source.read_bytes()
    else:
        data, warnings = encode_result(enhanced, source, target, options)
    if not (is_unchanged and options.unchanged == "skip"):
        write_atomically(target, data, modified_ns=modified_ns, extended=extended)
    return FileResult(
        source=source,
        target=target,
        width=picture.width,
        height=picture.height,
        seconds=time.monotonic() - started,
        warnings=warnings,
        is_unchanged=is_unchanged,
    )
