"""The interface of a format's module: `decode`, `encode`, and their options."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO, Final, Protocol, cast

from lumen.config import Subsampling
from lumen.imaging.formats import Codec, Format
from lumen.imaging.picture import Chroma, Picture

_FULL_CHROMA_QUALITY: Final = 90


class CameraRawError(Exception):
    """The TIFF file holds camera raw data."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Options for reading a file.

    Attributes:
        max_pixels: Larger pictures are refused before memory is allocated for them.
        first_frame: Use the first picture of several, which are refused otherwise.
    """

    max_pixels: int
    first_frame: bool = False


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Options for writing a result.

    Attributes:
        quality: 1 to 100, for lossy formats.
        subsampling: Chroma subsampling, for formats that offer it.
        is_own: The quality is that of the picture's file; `auto` means the subsampling of the file, too.
    """

    quality: int
    subsampling: Subsampling
    is_own: bool = False

    def chroma(self, picture: Picture, *, full: bool = True) -> Chroma:
        """Return the chroma subsampling for a picture; `full`: `auto` means full colour resolution at high quality."""
        if self.subsampling == "444":
            return "4:4:4"
        if self.subsampling == "420":
            return "4:2:0"
        if (self.subsampling == "keep" or self.is_own) and picture.chroma is not None:
            return picture.chroma
        return "4:4:4" if full and self.quality >= _FULL_CHROMA_QUALITY else "4:2:0"


class Decoder(Protocol):
    """A module that reads one format."""

    def decode(self, stream: BinaryIO, decoding: Decoding, /) -> Picture:
        """Decode the file in a seekable stream completely.

        Raises:
            UnsupportedError: The file is sound, but of a kind that is not handled, or larger than allowed.
            Exception: One of `_DAMAGE` in `lumen.codecs.codec`: the file is damaged or truncated.
        """


class Encoder(Protocol):
    """A module that writes one format."""

    def encode(self, picture: Picture, encoding: Encoding, /) -> bytes:
        """Return the bytes of the file for a picture that `lumen.codecs.limits` has fitted to the format.

        Raises:
            Exception: One of `_DAMAGE` in `lumen.codecs.codec`: the library refuses the size or the metadata.
        """


def decoder(kind: Format) -> Decoder:
    """Return the module that reads a format."""
    return cast(Decoder, _module(kind))


def encoder(kind: Format) -> Encoder:
    """Return the module that writes a format; only for formats whose results are stored as themselves."""
    return cast(Encoder, _module(kind))


def why_not_writable(codec: Codec) -> str:
    """Return why a format cannot be written on this machine and what to do, or an empty string if it can."""
    if codec.package and not codec.package.is_installed():
        return codec.package.hint(codec.label, "choose another --format")
    return str(_module(codec.name).why_not_writable()) if codec.optional_encoder else ""


def _module(kind: Format) -> Any:
    return import_module(f"{__package__}.{kind}")
