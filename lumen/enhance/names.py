"""Names of results."""

from __future__ import annotations

from pathlib import PurePath

from lumen.config import OutputFormat
from lumen.imaging.formats import SUFFIXES, result_suffix


def result_name(name: PurePath, suffix: str, kind: OutputFormat) -> str:
    """Return the name of a file's result.

    Args:
        name: The source.
        suffix: Inserted before the extension.
        kind: Format of the result. An extension that already names it stays (`.jpeg` for `jpg`). Formats that are only
            read have results in another format: `.tiff` for camera raw files, `.png` for GIF files.
    """
    ending = result_suffix(name.suffix, kind)
    # An unknown extension is a part of the name: `1.a` and `1.b` must not both become `1.png`.
    is_part = kind != "same" and name.suffix.lower() not in SUFFIXES
    return (name.name if is_part else name.stem) + suffix + ending
