"""The file formats: their suffixes, what is stored as what, and how large a picture each can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Final, Literal

from lumen.config import OutputFormat

Format = Literal["jpeg", "png", "webp", "tiff", "bmp", "avif", "heif", "gif", "raw"]

SUFFIXES: Final[Mapping[str, Format]] = MappingProxyType(
    {
        ".jpg": "jpeg",
        ".jpeg": "jpeg",
        ".jpe": "jpeg",
        ".jfif": "jpeg",
        ".png": "png",
        ".apng": "png",
        ".webp": "webp",
        ".tif": "tiff",
        ".tiff": "tiff",
        ".bmp": "bmp",
        ".dib": "bmp",
        ".avif": "avif",
        ".avifs": "avif",
        ".heic": "heif",
        ".heif": "heif",
        ".hif": "heif",
        ".gif": "gif",
        **dict.fromkeys(
            (
                ".3fr",
                ".arw",
                ".cr2",
                ".cr3",
                ".crw",
                ".dcr",
                ".dng",
                ".erf",
                ".fff",
                ".iiq",
                ".kdc",
                ".mef",
                ".mos",
                ".mrw",
                ".nef",
                ".nrw",
                ".orf",
                ".pef",
                ".raf",
                ".rw2",
                ".rwl",
                ".sr2",
                ".srf",
                ".srw",
                ".x3f",
            ),
            "raw",
        ),
    }
)
"""Lower-case suffixes of the files that folders are searched for, and what each promises to hold."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What files of a format can hold.

    Attributes:
        suffix: The usual one.
        bits: Largest number of bits a sample.
        alpha: Whether it holds transparency.
        side_px: Longest side in pixels; None where memory ends first.
    """

    suffix: str
    bits: int
    alpha: bool
    side_px: int | None = None


STORABLE: Final[Mapping[Format, Storage]] = MappingProxyType(
    {
        "jpeg": Storage(suffix=".jpg", bits=8, alpha=False, side_px=65_535),
        "png": Storage(suffix=".png", bits=16, alpha=True, side_px=1_000_000),  # of libpng
        "webp": Storage(suffix=".webp", bits=8, alpha=True, side_px=16_383),
        "tiff": Storage(suffix=".tiff", bits=16, alpha=True),
        "bmp": Storage(suffix=".bmp", bits=8, alpha=True),
        "avif": Storage(suffix=".avif", bits=8, alpha=True, side_px=65_536),
        "heif": Storage(suffix=".heic", bits=12, alpha=True, side_px=65_535),
    }
)
"""The formats that results are stored in."""

_STORED_AS: Final[Mapping[Format, Format]] = MappingProxyType({"gif": "png", "raw": "tiff"})
_ASKED: Final[Mapping[OutputFormat, Format]] = MappingProxyType(
    {"png": "png", "jpg": "jpeg", "webp": "webp", "tiff": "tiff", "avif": "avif"}
)


def stored_as(kind: Format) -> Format:
    """Return what a result is stored as where no other format is asked for: camera raw as TIFF, GIF as PNG."""
    return _STORED_AS.get(kind, kind)


def format_of(name: str | PurePath) -> Format | None:
    """Return the format that a file's suffix promises; None for an unknown suffix."""
    return SUFFIXES.get(PurePath(name).suffix.lower())


def result_suffix(suffix: str, asked: OutputFormat = "same") -> str:
    """Return the suffix of the result of a file.

    It stays where it names the format of the result already, or where it is unknown and no format is asked for.

    >>> result_suffix(".JPG"), result_suffix(".JPG", "png"), result_suffix(".jpeg", "jpg"), result_suffix(".NEF")
    (".JPG", ".png", ".jpeg", ".tiff")
    """
    found = SUFFIXES.get(suffix.lower())
    if asked == "same":
        return suffix if found is None or found == stored_as(found) else STORABLE[stored_as(found)].suffix
    return suffix if found == _ASKED[asked] else STORABLE[_ASKED[asked]].suffix
