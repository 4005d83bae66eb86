"""Names of results."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePath

from lumen.config import Frames, OutputFormat, VideoCodec
from lumen.imaging.clip_formats import CLIP_SUFFIXES, clip_suffix
from lumen.imaging.formats import SUFFIXES, result_suffix


def result_name(
    name: PurePath | str,
    suffix: str,
    kind: OutputFormat,
    codec: VideoCodec = "auto",
    *,
    frames: Frames = "refuse",
) -> str:
    """Return the name of a file's result.

    Args:
        name: The source, or its name alone.
        suffix: Inserted before the extension.
        kind: Format of the result, if it is a picture. An extension that already names it stays (`.jpeg` for `jpg`).
            Formats that are only read have results in another format: `.tiff` for camera raw files, `.png` for GIF.
        codec: What the result is encoded with, if it is a clip, which decides whether it keeps its container.
        frames: With `all`, the result of a GIF is a GIF.
    """
    if isinstance(name, PurePath):
        name = name.name
    stem, dot, rest = name.rpartition(".")
    old = dot + rest if stem and rest else ""
    new, is_part = _ending(old, kind, codec, frames)
    if new == old and not suffix:
        return name
    return (name if is_part or not old else stem) + suffix + new


@lru_cache
def _ending(old: str, kind: OutputFormat, codec: VideoCodec, frames: Frames) -> tuple[str, bool]:
    """Return the extension of a result, and whether that of the source is a part of its name."""
    if old.lower() in CLIP_SUFFIXES:
        return clip_suffix(old, codec), False
    # An unknown extension is a part of the name: `1.a` and `1.b` must not both become `1.png`.
    return result_suffix(old, kind, frames), kind != "same" and old.lower() not in SUFFIXES
