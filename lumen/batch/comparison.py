"""Before and after side by side in one picture for viewing: reduced, upright, 8-bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lumen.batch.job import Job, open_source
from lumen.codecs import exif
from lumen.codecs.codec import encode_picture
from lumen.config import EnhanceOptions
from lumen.enhance.file_io import read_source
from lumen.errors import PictureError
from lumen.files.inputs import Identity
from lumen.imaging.picture import Metadata, Picture, Samples, to_8bit

SIDE_PX = 1600
_QUALITY = 90
_GAP_PX = 8
_WHITE, _BACKDROP = 255, 128
_WIDE = 2  # wider pictures are stacked


def preview(picture: Picture, side_px: int = SIDE_PX) -> npt.NDArray[np.uint8]:
    """Return a picture as it is displayed, uint8 [h, w, 3], no side longer than `side_px`; on grey if transparent."""
    factor = -(-max(picture.height, picture.width) // side_px)
    turn = exif.orientation(picture.metadata.exif)
    pixels = _reduced(picture.pixels, factor)
    if picture.alpha is not None:
        opacity = _reduced(picture.alpha[..., np.newaxis], factor).astype(np.float32) / 255
        pixels = np.rint(pixels * opacity + _BACKDROP * (1 - opacity)).astype(np.uint8)
    shown = Picture(pixels=pixels, format=picture.format).turned(turn)
    return np.asarray(shown.pixels, np.uint8)


def comparison(before: npt.NDArray[np.uint8], after: Picture) -> bytes:
    """Return a JPEG file with what `preview` gave on the left and the result on the right; wide ones are stacked.

    Args:
        before: uint8 [h, w, 3], of the picture that `after` was made from.
        after: The result; its colour profile holds for both.

    Raises:
        PictureError: Their sizes differ: the result was cropped or exchanged since it was made.
        EncodeError: A side is too long for a JPEG, which cannot happen with the default `side_px`.
    """
    shown = preview(after)
    if shown.shape != before.shape:
        raise PictureError("the result has another size than its picture")
    height, width = before.shape[:2]
    stacked = width > _WIDE * height
    gap = np.full((_GAP_PX, width, 3) if stacked else (height, _GAP_PX, 3), _WHITE, np.uint8)
    joined = np.concatenate([before, gap, shown], axis=0 if stacked else 1)
    metadata = Metadata(icc=after.metadata.icc)
    return encode_picture(
        Picture(pixels=joined, gray=after.gray, metadata=metadata, format="jpeg"), "jpeg", quality=_QUALITY
    )[0]


def compare_existing(job: Job, options: EnhanceOptions, *, below: Path | None) -> tuple[bytes, Identity, float]:
    """Return the comparison of a picture with the result that it has already; nothing is enhanced.

    Args:
        job: The picture and its result.
        options: How the picture was read.
        below: The folder of the results, if no link may be followed there.

    Returns:
        The JPEG file, the identity of the picture's file, and the size of the picture in megapixels.

    Raises:
        PictureError: One of the two cannot be read, or they do not fit together.
    """
    reading = replace(options, frames="first", strict=False)
    picture = open_source(job)
    with picture.stream:
        before = preview(read_source(job.source, reading, stream=picture.stream))
    result = open_source(replace(job, source=job.target, below=below))
    with result.stream:
        after = read_source(job.target, reading, stream=result.stream)
    return comparison(before, after), picture.identity, after.megapixels


def _reduced(samples: Samples, factor: int) -> npt.NDArray[np.uint8]:
    """Return 8-bit means over squares of `factor` pixels (fewer at the far edges) of [H, W, C]."""
    if factor == 1:
        return np.asarray(to_8bit(samples), np.uint8)
    height, width = samples.shape[:2]
    columns = np.arange(0, width, factor)
    counts = np.diff(np.append(columns, width))[:, np.newaxis]
    rows = []
    for y in range(0, height, factor):
        strip = to_8bit(samples[y : y + factor])
        sums = np.add.reduceat(strip.sum(axis=0, dtype=np.uint64), columns, axis=0)
        area = counts * len(strip)
        rows.append((sums + area // 2) // area)
    return np.stack(rows).astype(np.uint8)
