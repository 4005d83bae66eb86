"""The codecs that clips are written with, as far as this build of FFmpeg has them."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av
import av.logging
import numpy as np

ENCODERS: Final[dict[str, str]] = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "ffv1": "ffv1"}

_SIDE_PX: Final = 64


def describe_codecs() -> tuple[list[str], list[str]]:
    """Return what each codec that works is encoded by, such as `h264 (libx264)`, and the names of the others."""
    written: list[str] = []
    lacking: list[str] = []
    for name, encoder in ENCODERS.items():
        (written if _encodes(encoder) else lacking).append(f"{name} ({encoder})")
    return written, lacking


def _encodes(encoder: str) -> bool:
    """Encode a grey frame."""
    try:
        context = av.CodecContext.create(encoder, "w")
        context.width = context.height = _SIDE_PX
        context.pix_fmt, context.time_base, context.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
        if encoder == "libx265":
            context.options = {"x265-params": "log-level=none"}
        grey = np.full((_SIDE_PX, _SIDE_PX, 3), 60, np.uint8)
        frame = av.VideoFrame.from_ndarray(grey, "rgb24").reformat(format="yuv420p")
        frame.pts = 0
        return bool([*context.encode(frame), *context.encode(None)])
    except (av.error.FFmpegError, ValueError):
        return False
