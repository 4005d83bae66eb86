"""The file formats, one record each: suffixes, first bytes, limits, and what results are stored as.

A format is one record here and one module of the same name in `lumen.codecs`, with `decode` and, unless results are
stored in another format, `encode` (see `lumen.codecs.interface`). Those modules are not loaded here, because files are
found and results planned before any picture library is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from types import MappingProxyType
from typing import Final, Literal

from lumen.config import Frames, OutputFormat
from lumen.extras import Package

Format = Literal["jpeg", "png", "webp", "tiff", "bmp", "avif", "heif", "jxl", "gif", "raw"]
MetadataKind = Literal["exif", "icc", "xmp", "dpi", "aspect", "iptc", "comment"]


@dataclass(frozen=True, kw_only=True)
class Codec:
    """One format.

    Attributes:
        name: Name of the format and of its module in `lumen.codecs`.
        label: Name for people.
        suffixes: Lower-case suffixes; results get the first one.
        marks: First bytes of its files, as (offset, bytes).
        brands: Brands in the `ftyp` box, for files made of boxes (ISO 14496-12).
        stored_as: Format of the results, if this one is only read.
        choice: Its name for `--format`, if it is offered there.
        bits: Largest number of bits per sample.
        alpha: Whether it holds transparency.
        extra_channel: Whether it holds a channel that is neither colour nor transparency.
        gray: Whether it holds pictures of one channel.
        side_px: Longest side in pixels; None if only memory limits it.
        most_px: Most pixels in all; None if only memory limits it.
        metadata: Kinds of metadata it holds, by the fields of `lumen.imaging.picture.Metadata`.
        most_bytes: Largest size of single kinds of metadata.
        exif_by_tag: Whether it keeps only the descriptive tags of an EXIF block instead of the block.
        package: The optional package it needs.
        otherwise: What to do with a file if that package is not installed.
        optional_encoder: Whether some builds of its library lack the encoder; its module then has `why_not_writable`.
    """

    name: Format
    label: str
    suffixes: tuple[str, ...]
    marks: tuple[tuple[int, bytes], ...] = ()
    brands: frozenset[bytes] = frozenset()
    stored_as: Format | None = None
    choice: OutputFormat | None = None
    bits: int = 8
    alpha: bool = True
    extra_channel: bool = False
    gray: bool = True
    side_px: int | None = None
    most_px: int | None = None
    metadata: frozenset[MetadataKind] = frozenset()
    most_bytes: Mapping[MetadataKind, int] = field(default_factory=dict)
    exif_by_tag: bool = False
    package: Package | None = None
    otherwise: str = ""
    optional_encoder: bool = False


_ALL: Final = (
    Codec(
        name="jpeg",
        label="JPEG",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        marks=((0, b"\xff\xd8\xff"),),
        choice="jpg",
        alpha=False,
        side_px=65_535,
        metadata=frozenset({"exif", "icc", "xmp", "dpi", "aspect", "iptc", "comment"}),
        most_bytes={"exif": 65_527, "xmp": 65_502, "icc": 255 * 65_519, "comment": 65_533},  # limits of its segments
    ),
    Codec(
        name="png",
        label="PNG",
        suffixes=(".png", ".apng"),
        marks=((0, b"\x89PNG\r\n\x1a\n"),),
        choice="png",
        bits=16,
        side_px=1_000_000,  # limit of libpng
        metadata=frozenset({"exif", "icc", "xmp", "dpi", "aspect", "comment"}),
    ),
    Codec(
        name="webp",
        label="WebP",
        suffixes=(".webp",),
        marks=((8, b"WEBP"),),
        choice="webp",
        gray=False,
        side_px=16_383,
        metadata=frozenset({"exif", "icc", "xmp"}),
    ),
    Codec(
        name="tiff",
        label="TIFF",
        suffixes=(".tiff", ".tif"),
        marks=((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")),
        choice="tiff",
        bits=16,
        extra_channel=True,
        metadata=frozenset({"exif", "icc", "xmp", "dpi", "aspect", "iptc"}),
        exif_by_tag=True,
    ),
    Codec(
        name="bmp",
        label="BMP",
        suffixes=(".bmp", ".dib"),
        marks=((0, b"BM"), (0, b"BA\x28\0\0\0"), (0, b"BA\x5c\0\0\0")),  # and arrays of OS/2
        metadata=frozenset({"dpi"}),
    ),
    Codec(
        name="avif",
        label="AVIF",
        suffixes=(".avif", ".avifs"),
        brands=frozenset({b"avif", b"avis"}),
        choice="avif",
        bits=12,
        side_px=32_768,  # beyond it libavif reads nothing
        most_px=1 << 28,  # the same
        metadata=frozenset({"exif", "icc", "xmp"}),
        optional_encoder=True,
    ),
    Codec(  # after AVIF, whose files carry the general brands of HEIF too
        name="heif",
        label="HEIF",
        suffixes=(".heic", ".heif", ".hif"),
        brands=frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}),
        choice="heic",
        bits=12,
        side_px=65_535,
        metadata=frozenset({"exif", "icc", "xmp"}),
        package=Package(name="pillow-heif", module="pillow_heif", extra="heif"),
        otherwise="save it as JPEG",
        optional_encoder=True,
    ),
    Codec(
        name="jxl",
        label="JPEG XL",
        suffixes=(".jxl",),
        marks=((0, b"\xff\x0a"), (4, b"JXL \r\n")),
        choice="jxl",
        bits=16,
        metadata=frozenset({"exif", "icc", "xmp"}),
        package=Package(name="pylibjxl", module="pylibjxl", extra="jxl"),
        otherwise="save it as PNG",
    ),
    Codec(
        name="gif",
        label="GIF",
        suffixes=(".gif",),
        marks=((0, b"GIF87a"), (0, b"GIF89a")),
        stored_as="png",  # but for animations
        side_px=65_535,
        metadata=frozenset({"comment"}),
    ),
    Codec(
        name="raw",
        label="camera raw data",
        suffixes=(
            *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"),
            *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
        ),
        marks=(
            (8, b"CR\x02"),
            (6, b"HEAPCCDR"),
            (4, b"ftypcrx "),
            *((0, mark) for mark in (b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FUJIFILM", b"FOVb", b"\0MRM")),
        ),
        stored_as="tiff",
        package=Package(name="rawpy", module="rawpy", extra="raw"),
        otherwise="export it as a 16-bit TIFF",
    ),
)

CODECS: Final[Mapping[Format, Codec]] = MappingProxyType({codec.name: codec for codec in _ALL})
"""All formats, by their names."""

SUFFIXES: Final[Mapping[str, Format]] = MappingProxyType(
    {suffix: codec.name for codec in _ALL for suffix in codec.suffixes}
)
"""Format of each lower-case suffix; folders are searched for these."""

_CHOICES: Final = MappingProxyType({codec.choice: codec.name for codec in _ALL if codec.choice})


def stored_as(kind: Format) -> Format:
    """Return the format of a result if no other is requested: TIFF for camera raw, PNG for GIF, else the same."""
    return CODECS[kind].stored_as or kind


def format_of(name: str | PurePath) -> Format | None:
    """Return the format of a file's suffix, or None if it is unknown."""
    return SUFFIXES.get(PurePath(name).suffix.lower())


def result_suffix(suffix: str, asked: OutputFormat = "same", frames: Frames = "refuse") -> str:
    """Return the suffix of a file's result.

    It stays if it already names the format of the result, or if it is unknown and no format is requested. With all
    `frames`, the result of a GIF is a GIF.

    >>> result_suffix(".JPG"), result_suffix(".JPG", "png"), result_suffix(".jpeg", "jpg"), result_suffix(".NEF")
    ('.JPG', '.png', '.jpeg', '.tiff')
    """
    found = SUFFIXES.get(suffix.lower())
    if frames == "all" and asked == "same" and found == "gif":
        return suffix
    wanted = _CHOICES[asked] if asked != "same" else found and stored_as(found)
    return suffix if wanted is None or wanted == found else CODECS[wanted].suffixes[0]
