"""A decoded picture and what came with it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from lumen.config import EnhanceOptions, Quality, Subsampling
from lumen.errors import DecodeError, UnsupportedError, UsageError
from lumen.imaging.formats import CODECS, Format, format_of
from lumen.imaging.strips import strips
from lumen.spec import SampleType

log = logging.getLogger(__name__)

Chroma = Literal["4:4:4", "4:2:2", "4:2:0"]
Pair = tuple[float, float]
Samples = npt.NDArray[np.integer[Any]]

FILM: Final = b"film"
"""Kind of the extra that holds the video of a motion photo."""

# From stored to displayed pixels, for each EXIF orientation.
_TURNS: Final[Mapping[int, Callable[[Samples], Samples]]] = MappingProxyType(
    {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: a.swapaxes(0, 1)[::-1],
    }
)


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A piece of metadata that only one format can hold.

    Attributes:
        format: That format.
        kind: The format's name for it: the type of a PNG chunk, `APP1` of a JPEG, the number of a TIFF tag; or `FILM`.
        data: Its content.
        label: A name for people, such as `text` or `colour description`.
    """

    format: Format
    kind: bytes
    data: bytes
    label: str


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Metadata of a picture, as stored in the file.

    Attributes:
        exif: An EXIF block without the `Exif` prefix; holds the orientation.
        icc: An ICC profile.
        xmp: An XMP packet.
        dpi: Pixels per inch, horizontal and vertical.
        aspect: Pixels per length, horizontal and vertical, where the unit of length is unknown: only the ratio counts.
            None if they are equal, or if `dpi` is known.
        iptc: Photoshop resources (`8BIM`...), one of which holds the IPTC fields.
        comment: Plain text, as in JPEG and GIF files.
        extras: Metadata that only the file's own format can hold.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    dpi: Pair | None = None
    aspect: Pair | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    extras: tuple[Extra, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What is wrong with a file that could be decoded, apart from its metadata.

    Attributes:
        reason: One line.
        in_picture: Whether pixels are wrong or missing. Otherwise the picture seems whole, but its file is not, or
            cannot be checked; nobody should delete it.
    """

    reason: str
    in_picture: bool


@dataclass(frozen=True, kw_only=True)
class Animation:
    """How the frames of a picture are shown, which lie below each other in its pixels.

    Attributes:
        durations_ms: How long each is shown.
        loop: How often all are shown, 0 for ever; None if the file does not tell.
        has_still: Whether the first one is the still picture of an animated PNG, and no part of the animation.
    """

    durations_ms: tuple[int, ...]
    loop: int | None = None
    has_still: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """Pixels in stored orientation; `metadata.exif` holds the orientation for display.

    Attributes:
        pixels: RGB `[H, W, 3]`, uint8 or uint16 at full range, whatever the file's own layout.
        alpha: Opacity `[H, W]` of the same dtype, not multiplied into the pixels; None when opaque.
        extra_channel: A channel `[H, W]` of the same dtype that is not opacity, such as a saved selection or near
            infrared; it is carried along as it is.
        gray: The file held one channel, repeated three times in `pixels`; results are stored as one channel again.
        metadata: EXIF, ICC, XMP and resolution.
        format: The file's format by its content, whatever its name.
        bits: 10 or 12 if the file held that many bits per sample (scaled to uint16 here); otherwise None.
        lossless: The file was a lossless WebP; a WebP result is lossless again.
        chroma: Chroma subsampling of a JPEG, AVIF or HEIC; None if it is another one, and for other files.
        tables: Quantisation tables of a JPEG, one per channel or one for all, 64 values each in natural order; empty if
            they are not for Y, Cb and Cr, or grey, and for other files.
        quality: Estimates the quality of another lossy file, 1 to 100, when it is called; None if it is not known how.
        notes: What could not be read from the file as it was, one line each.
        damage: What is wrong with the file, apart from its metadata; None if nothing is known.
        animation: If all frames of an animation were asked for: `pixels` and `alpha` hold them below each other.
    """

    pixels: Samples
    alpha: Samples | None = None
    extra_channel: Samples | None = None
    gray: bool = False
    metadata: Metadata = Metadata()
    format: Format
    bits: int | None = None
    lossless: bool = False
    chroma: Chroma | None = None
    tables: tuple[tuple[int, ...], ...] = ()
    quality: Callable[[], int] | None = None
    notes: tuple[str, ...] = ()
    damage: Damage | None = None
    animation: Animation | None = None

    def __post_init__(self) -> None:
        pixels, alpha = self.pixels, self.alpha
        if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size or pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"expected uint8 or uint16 pixels [H, W, 3], got {pixels.dtype} {pixels.shape}")
        for name, plane in (("alpha", alpha), ("extra channel", self.extra_channel)):
            if plane is not None and (plane.shape != pixels.shape[:2] or plane.dtype != pixels.dtype):
                raise ValueError(f"expected {pixels.dtype} {name} {pixels.shape[:2]}, got {plane.dtype} {plane.shape}")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people should know of the file, one line each: its damage, then what could not be read from it."""
        return (*(() if self.damage is None else (self.damage.reason,)), *self.notes)

    @property
    def sample(self) -> SampleType:
        """Integer type of the pixels."""
        return "uint8" if self.pixels.dtype == np.uint8 else "uint16"

    @property
    def megapixels(self) -> float:
        """Width times height, in millions."""
        return self.width * self.height / 1e6

    @property
    def count(self) -> int:
        """Number of frames."""
        return 1 if self.animation is None else len(self.animation.durations_ms)

    @property
    def first(self) -> Picture:
        """The first frame of an animation; the picture itself if it is none."""
        if self.animation is None:
            return self
        height = self.height // self.count
        return replace(self.mapped(lambda plane: plane[:height]), animation=None)

    @property
    def height(self) -> int:
        """Rows, as stored; of all frames."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns, as stored."""
        return int(self.pixels.shape[1])

    @classmethod
    def from_channels(cls, samples: Samples, *, kind: Format, metadata: Metadata, **facts: Any) -> Picture:
        """Make a picture from decoded samples `[H, W]` or `[H, W, 1 to 4]`: grey, grey + alpha, RGB or RGB + alpha."""
        planes = samples[..., np.newaxis] if samples.ndim == 2 else samples
        count = planes.shape[2]
        gray = count < 3
        pixels = np.repeat(planes[..., :1], 3, axis=2) if gray else planes[..., :3]
        return cls(
            pixels=np.ascontiguousarray(pixels),
            alpha=np.ascontiguousarray(planes[..., -1]) if count in (2, 4) else None,
            gray=gray,
            metadata=metadata,
            format=kind,
            **facts,
        )

    def refuse_damaged(self) -> None:
        """Refuse a picture of which pixels are known to be wrong or missing.

        Raises:
            DecodeError: It is damaged.
        """
        if self.damage is not None and self.damage.in_picture:
            raise DecodeError(self.damage.reason)

    def to_channels(self) -> Samples:
        """Return the samples for storing: `[H, W]` if grey and opaque, otherwise `[H, W, 2 to 4]`."""
        color = gray_of(self.pixels) if self.gray else self.pixels
        if self.alpha is None:
            return np.ascontiguousarray(color)
        return np.dstack([color, self.alpha])

    def turned(self, orientation: int) -> Picture:
        """Return the picture with its pixels turned as EXIF `orientation` (1 to 8) says; the tag stays unchanged."""
        turn, metadata = _TURNS[orientation], self.metadata

        def turned(plane: Samples) -> Samples:
            return np.concatenate([turn(frame) for frame in np.split(plane, self.count)])

        if orientation >= 5:
            dpi, aspect = (None if pair is None else (pair[1], pair[0]) for pair in (metadata.dpi, metadata.aspect))
            metadata = replace(metadata, dpi=dpi, aspect=aspect)
        return replace(self.mapped(turned), metadata=metadata)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        quality: Quality = EnhanceOptions.quality,
        subsampling: Subsampling = EnhanceOptions.subsampling,
        allow_8bit: bool = False,
    ) -> None:
        """Store the picture with its metadata, in the format of the name; the file appears whole or not at all.

        What the format cannot hold of the metadata is logged as a warning of the logger `lumen`.

        Args:
            path: The file; one that exists is replaced. Its folder must exist.
            quality: 1 to 100, for JPEG, WebP, AVIF, HEIC and JPEG XL; `keep` is that of the file it was read from.
            subsampling: Chroma subsampling of JPEG, AVIF and HEIC: `444`, `420`, `keep` or `auto`.
            allow_8bit: Allow 16-bit pictures in 8-bit formats, which is refused otherwise.

        Raises:
            UsageError: The name has no suffix of a known format, or an option is out of range.
            EncodeError: The format cannot hold the picture: its depth, transparency or size.
            OutputError: The file cannot be written.
        """
        from lumen.codecs.codec import write_picture

        options = EnhanceOptions(quality=quality, subsampling=subsampling, allow_8bit=allow_8bit)
        kind = format_of(os.fspath(path))
        if kind is None:
            known = ", ".join(codec.suffixes[0] for codec in CODECS.values() if codec.stored_as is None)
            raise UsageError(f"expected a name that ends in one of {known}, got {os.fspath(path)!r}")
        for warning in write_picture(
            self, path, quality=options.quality, subsampling=options.subsampling, allow_8bit=allow_8bit, kind=kind
        ):
            log.warning("%s: %s", os.fspath(path), warning)

    def _repr_png_(self) -> bytes:
        """Return the picture for a notebook: upright, 8 bits, in sRGB, no side longer than 1024 pixels."""
        from lumen.codecs.display import png_for_display

        return png_for_display(self)

    def mapped(self, function: Callable[[Samples], Samples]) -> Picture:
        """Return the picture with `function` applied to its pixels, and to each of its other channels."""
        alpha, extra = (None if each is None else function(each) for each in (self.alpha, self.extra_channel))
        return replace(self, pixels=function(self.pixels), alpha=alpha, extra_channel=extra)


def gray_of(pixels: Samples) -> Samples:
    """Return the luma `[H, W]` (0.299 R + 0.587 G + 0.114 B, rounded) of RGB `[H, W, 3]`; exact where R = G = B."""
    gray = np.empty(pixels.shape[:2], pixels.dtype)
    weights = np.array([299, 587, 114], np.uint32)
    for rows in strips(*pixels.shape[:2]):  # products of a whole picture would take six times its memory
        gray[rows] = (pixels[rows] @ weights + 500) // 1000
    return gray


def first_of(count: int, what: str, *, first: bool) -> tuple[str, ...]:
    """Refuse a file that holds several pictures, unless the first one was requested.

    Args:
        count: Number of pictures.
        what: Kind of file, with `{}` for the number, such as `an animation of {} frames`.
        first: Use the first one.

    Returns:
        A note that only the first was used; empty for a single picture.

    Raises:
        UnsupportedError: There are several, and `first` is not set.
    """
    if count <= 1:
        return ()
    if not first:
        raise UnsupportedError(f"expected one picture, got {what.format(count)}; take the first with --frames first")
    return (f"only the first picture of {what.format(count)} was used",)


def unmultiplied(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Undo premultiplied alpha of `[H, W, C]` in place: divide the colours by the opacity in the last channel."""
    top = int(np.iinfo(samples.dtype).max)
    for row in samples:
        alpha = np.maximum(row[:, -1:].astype(np.uint64), 1)
        row[:, :-1] = np.minimum((row[:, :-1] * np.uint64(top) + alpha // 2) // alpha, top)
    return samples


def to_8bit(samples: Samples) -> npt.NDArray[np.uint8]:
    """Return 16-bit samples rounded to 8 bits; 8-bit samples unchanged."""
    if samples.dtype == np.uint8:
        return np.asarray(samples, np.uint8)
    rounded = np.empty(samples.shape, np.uint8)
    for rows in strips(*samples.shape[:2]):
        rounded[rows] = (samples[rows].astype(np.uint32) + 128) // 257
    return rounded


def to_16bit(samples: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint16]:
    """Return samples of 9 to 16 bits scaled to the full range of uint16."""
    wide = np.asarray(samples, np.uint16)
    return wide << np.uint16(16 - bits) | wide >> np.uint16(2 * bits - 16)


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture by the size in its header, before memory is allocated for it.

    Raises:
        UnsupportedError: The picture has more than `max_pixels` pixels.
    """
    if width * height > max_pixels:
        raise UnsupportedError(
            f"expected at most {max_pixels / 1e6:g} megapixels, got {width}x{height}; raise the limit with --max-pixels"
        )


def too_short(width: int, height: int) -> str:
    """Return the error text for a file that is too short for the size in its header."""
    return f"its header claims {width}x{height} pixels, but the file is too short for them"
