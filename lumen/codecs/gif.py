"""GIF, which is only read."""

from __future__ import annotations

from typing import BinaryIO

from PIL import GifImagePlugin

from lumen.codecs.interface import Decoding
from lumen.codecs.pillow_codecs import load, metadata_of
from lumen.imaging.picture import Picture

_PIXELS_PER_BYTE = 8192  # LZW, and a frame may be smaller than the picture


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode the picture, or the first frame, of a file."""
    stream.seek(0)
    with GifImagePlugin.GifImageFile(stream) as image:
        samples, notes = load(image, stream, decoding, pixels_per_byte=_PIXELS_PER_BYTE)
        return Picture.from_channels(samples, kind="gif", metadata=metadata_of(image), notes=notes)
