"""Clips by their names: which suffixes they have, and which container a result gets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

from lumen.config import VideoCodec
from lumen.extras import Package

PACKAGE: Final = Package(name="av", module="av", extra="video")
"""PyAV, whose wheels contain FFmpeg."""

_HINT: Final = ("a clip", "save its frames as pictures")
MATROSKA: Final = ".mkv"

_ALL: Final[frozenset[VideoCodec]] = frozenset({"auto", "h264", "hevc", "av1", "ffv1"})
_MP4: Final = _ALL - {"ffv1"}
# Which codecs a container of this suffix holds; one with none is only read, and its result is Matroska.
_HELD: Final[Mapping[str, frozenset[VideoCodec]]] = MappingProxyType(
    {
        **dict.fromkeys((".mp4", ".m4v", ".mov"), _MP4),
        MATROSKA: _ALL,
        ".webm": frozenset({"av1"}),
        ".3gp": frozenset({"auto", "h264"}),
        ".avi": frozenset({"auto", "h264", "ffv1"}),
        **dict.fromkeys((".ts", ".mts", ".m2ts"), frozenset({"auto", "h264", "hevc"})),
        **dict.fromkeys((".asf", ".flv", ".mpeg", ".mpg", ".mxf", ".ogv", ".vob", ".wmv"), frozenset()),
    }
)

CLIP_SUFFIXES: Final = frozenset(_HELD)
"""Lower-case suffixes of clips."""


def is_clip(name: str | PurePath) -> bool:
    """Return whether a name is that of a clip.

    >>> is_clip("a/b.MP4"), is_clip("b.jpg")
    (True, False)
    """
    text = name if isinstance(name, str) else name.name
    stem, dot, rest = text.rpartition(".")  # a path would take long for each of a million names
    return bool(stem) and not stem.endswith("/") and (dot + rest).lower() in CLIP_SUFFIXES


def clip_suffix(suffix: str, codec: VideoCodec = "auto") -> str:
    """Return the suffix of a clip's result: its own where that container holds the codec, else that of Matroska.

    >>> clip_suffix(".MP4"), clip_suffix(".webm"), clip_suffix(".webm", "av1")
    ('.MP4', '.mkv', '.webm')
    """
    return suffix if codec in _HELD[suffix.lower()] else MATROSKA


def require_package() -> None:
    """Raise `MissingExtraError`, with the line that installs it, if clips cannot be read."""
    PACKAGE.require(*_HINT)


def why_not_readable() -> str:
    """Return why clips cannot be read, with the line that installs what is missing; empty if they can."""
    return "" if PACKAGE.is_installed() else PACKAGE.hint(*_HINT)
