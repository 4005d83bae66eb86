"""A clip as it is: what it is, and its frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

import numpy as np

from lumen.config import EnhanceOptions
from lumen.imaging.picture import Picture
from lumen.runtime.cores import usable_cores
from lumen.video.facts import ClipFacts
from lumen.video.process import FFmpegProcess


def look_at(source: BinaryIO, options: EnhanceOptions) -> ClipFacts:
    """Return what a clip is.

    Args:
        source: The clip, opened.
        options: The limit of pixels.

    Raises:
        DecodeError: It is damaged, empty, or no clip.
        UnsupportedError: It is of a kind that lumen does not handle.
    """
    with FFmpegProcess(source) as ffmpeg:
        ffmpeg.ask("look", max_pixels=options.max_pixels)
        found: Any = ffmpeg.receive()[0]["facts"]
    return ClipFacts(**(found | {"matrix": tuple(found["matrix"]), "lost": tuple(found["lost"])}))


def known_codecs() -> tuple[list[str], list[str]]:
    """Return which codecs clips can be written with here, such as `h264 (libx264)`, and which not.

    Raises:
        DecodeError: FFmpeg does not run.
    """
    with FFmpegProcess() as ffmpeg:
        ffmpeg.ask("codecs")
        found, _ = ffmpeg.receive()
    return found["written"], found["lacking"]


def frames_of(ffmpeg: FFmpegProcess, facts: ClipFacts, options: EnhanceOptions) -> Iterator[tuple[float, Picture]]:
    """Yield time in seconds and picture of each frame of a clip, as it is.

    Args:
        ffmpeg: A process that has the clip.
        facts: What the clip is.
        options: The limit of pixels.

    Raises:
        PictureError: A part of it cannot be decoded.
    """
    asked = {"facts": asdict(facts), "max_pixels": options.max_pixels, "threads": usable_cores()}
    ffmpeg.ask("read", frame_bytes=facts.frame_bytes, **asked)
    while "frame" in (answer := ffmpeg.receive())[0]:
        message, data = answer
        yield message["time"], frame_picture(data, facts)


def frame_picture(data: bytearray, facts: ClipFacts) -> Picture:
    """Return a frame that FFmpeg's process has sent."""
    sample = "<u2" if facts.is_deep else "u1"
    pixels = np.frombuffer(data, sample).reshape(facts.height, facts.width, 3)
    # A frame has no file: as PNG it holds either depth, and nothing but its pixels.
    return Picture(pixels=pixels, format="png")
