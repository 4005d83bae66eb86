"""Pictures that were fine as they are: no file is encoded again for a change that nobody sees.

Two pictures look the same here if in every square of 16 pixels their levels differ by at most 6 of 255 on average. In
mid grey 6 levels are 2.3 units of CIELAB's lightness, the difference that people just notice side by side. One square
decides: a face in the shade of an otherwise bright picture is a change.

Reference:
    Mahy, Van Eycken, Oosterlinck: Evaluation of uniform color spaces developed after the adoption of CIELAB and CIELUV.
    Color Research and Application 19 (1994).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from lumen.color.tone import tone_of
from lumen.config import EnhanceOptions
from lumen.enhance.file_io import LOSSLESS, result_kind
from lumen.errors import PictureError
from lumen.files.inputs import Identity, Input
from lumen.imaging.picture import Picture

SQUARE_PX: Final = 16
LEVELS: Final = 6.0  # of 255; well-lit photographs of Kodak and BSDS500 change by 1 to 5, darker ones by 14 to 90


def is_left(before: Picture, after: Picture, source: Path, target: Path, options: EnhanceOptions) -> bool:
    """Tell whether a file stays as it is: the options want that, and nobody would see the change.

    A picture that shall become another file is not left with `copy`: one of another format, quality or subsampling,
    without its metadata, or with its first frame alone. A damaged one is written anew, as far as it was read.
    """
    if options.unchanged == "encode":
        return False
    if options.unchanged == "copy" and not _is_same_file(before, source, target, options):
        return False
    return looks_same(before, after)


def looks_same(before: Picture, after: Picture) -> bool:
    """Tell whether nobody sees a difference between two pictures of the same size, depth and colour profile."""
    return all(float(change.max()) <= LEVELS for change in _changes(before, after))


def content_of(open_again: Callable[[], Input], identity: Identity) -> bytes | None:
    """Return the content of a file, or None if it cannot be read any more or is not what it was when it was decoded.

    Args:
        open_again: Opens it.
        identity: What it was.
    """
    with suppress(OSError, ValueError, PictureError):
        opened = open_again()
        with opened.stream as stream:
            data = stream.read() if opened.identity.has_content_of(identity) else None
            return None if opened.has_changed() else data
    return None


def _is_same_file(picture: Picture, source: Path, target: Path, options: EnhanceOptions) -> bool:
    kind, _ = result_kind(picture, source, target, options)
    is_lossless = kind in LOSSLESS or picture.lossless
    return (
        kind == picture.format
        and options.metadata == "keep"
        and (is_lossless or (options.quality == "keep" and options.subsampling in ("auto", "keep")))
        and not (options.frames == "first" and picture.notes)
        and picture.damage is None
    )


def _changes(before: Picture, after: Picture) -> Iterator[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Yield for each row of squares the mean change in levels of 255 of each, as sRGB shows them."""
    tone = tone_of(before.metadata, before.pixels.dtype)
    height, width = before.height, before.width
    rows, columns = (min(SQUARE_PX, side) for side in (height, width))
    left = np.array(_starts(width, columns))
    for y in _starts(height, rows):
        first, second = (each.pixels[y : y + rows] for each in (before, after))
        if tone is not None:
            first, second = tone.seen(first), tone.seen(second)
        scale = np.iinfo(first.dtype).max / 255
        change = np.abs(first.astype(np.int32) - second).sum(axis=(0, 2))  # [W]
        sums = np.concatenate([[0], np.cumsum(change, dtype=np.int64)])
        yield (sums[left + columns] - sums[left]) / (rows * columns * 3 * scale)


def _starts(side: int, square: int) -> list[int]:
    """Return where squares start that cover a side; the last one ends with it."""
    return sorted({*range(0, side - square + 1, square), side - square})
