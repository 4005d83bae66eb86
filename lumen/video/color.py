"""Frames as full-range RGB and back, by the matrix and the range that a clip names. In the process of FFmpeg only."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from lumen.video.facts import ClipFacts

Pixels = NDArray[np.integer[Any]]

_HD_ROWS: Final = 720
_SMOOTH: Final = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
# By the numbers of ISO 23091-2, in which 0 is RGB itself.
_SPACES: Final = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_RGB, _BT709, _BT601 = 0, 1, 6
LIMITED, FULL = 1, 2


def is_rgb(name: str) -> bool:
    """Return whether frames of this layout hold RGB, not YUV."""
    return bool(VideoFormat(name).is_rgb) or name.startswith(("gbr", "pal8"))


def tags(facts: ClipFacts, pix_fmt: str) -> tuple[int, int]:
    """Return range and matrix that frames stored as `pix_fmt` are tagged with: those of the clip, if it holds YUV."""
    if is_rgb(facts.pix_fmt) == is_rgb(pix_fmt):
        return facts.range, facts.space
    return LIMITED, _BT709 if facts.height >= _HD_ROWS else _BT601


def to_rgb(frame: VideoFrame, facts: ClipFacts) -> Pixels:
    """Return full-range RGB [H, W, 3], uint8, or uint16 if the clip has more than 8 bits."""
    full, space = _ways(facts.pix_fmt, facts.range, facts.space, facts.height)
    picture = frame.reformat(
        format="rgb48le" if facts.is_deep else "rgb24",
        src_colorspace=space,
        src_color_range=full,
        dst_color_range=ColorRange.JPEG,
        interpolation=_SMOOTH,
    )
    return np.ascontiguousarray(picture.to_ndarray())


def from_rgb(pixels: Pixels, facts: ClipFacts, pix_fmt: str) -> VideoFrame:
    """Return a frame in the layout `pix_fmt` from full-range RGB [H, W, 3], uint8 or uint16."""
    full, space = _ways(pix_fmt, *tags(facts, pix_fmt), facts.height)
    frame = VideoFrame.from_ndarray(pixels, "rgb48le" if pixels.dtype == np.uint16 else "rgb24")
    return frame.reformat(
        format=pix_fmt,
        src_color_range=ColorRange.JPEG,
        dst_colorspace=space,
        dst_color_range=full,
        interpolation=_SMOOTH,
    )


def _ways(pix_fmt: str, levels: int, space: int, height: int) -> tuple[ColorRange, Colorspace]:
    """Return range and matrix for the conversion; where a clip names none, the usual ones for its size."""
    usual = Colorspace.ITU709 if height >= _HD_ROWS else Colorspace.ITU601
    is_full = levels == FULL or is_rgb(pix_fmt)
    return ColorRange.JPEG if is_full else ColorRange.MPEG, _SPACES.get(space, usual)
