"""Names of results."""

from __future__ import annotations

from pathlib import PurePath

from lumen.config import OutputFormat, VideoCodec
from lumen.imaging.clip_formats import clip_suffix, is_clip
from lumen.imaging.formats import SUFFIXES, result_suffix


def result_name(name: PurePath, suffix: str, kind: OutputFormat, codec: VideoCodec = "auto") -> str:
    """Return the name of a file's result.

    Args:
        name: The source.
        suffix: Inserted before the extension.
        kind: Format of the result, if it is a picture. An extension that already names it stays (`.jpeg` for `jpg`).
            Formats that are only read have results in another format: `.tiff` for camera raw files, `.png` for GIF.
        codec: What the result is encoded with, if it is a clip, which decides whether it keeps its container.
    """
    if is_clip(name):
        return name.stem + suffix + clip_suffix(name.suffix, codec)
    ending = result_suffix(name.suffix, kind)
    # An unknown extension is a part of the name: `1.a` and `1.b` must not both become `1.png`.
    is_part = kind != "same" and name.suffix.lower() not in SUFFIXES
    return (name.name if is_part else name.stem) + suffix + ending
