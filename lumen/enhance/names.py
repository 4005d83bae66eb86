"""What the result of a file is called."""

from __future__ import annotations

from pathlib import PurePath

from lumen.config import OutputFormat
from lumen.imaging.formats import SUFFIXES, result_suffix


def result_name(name: PurePath, suffix: str, kind: OutputFormat) -> str:
    """Return what the result of a file is called.

    Args:
        name: The source.
        suffix: Put before the extension.
        kind: Format of the result; an extension that says so already stays (`.jpeg` for `jpg`). Formats that are only
            read have results of others: camera raw files `.tif`, GIF files `.png`.
    """
    ending = result_suffix(name.suffix, kind)
    # What is no extension of a picture is a part of the name: `1.a` and `1.b` must not both become `1.png`.
    is_part = kind != "same" and name.suffix.lower() not in SUFFIXES
    return (name.name if is_part else name.stem) + suffix + ending
