"""GIF, which is only read."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

from PIL import GifImagePlugin

from lumen.codecs import density
from lumen.codecs.interface import Decoding
from lumen.codecs.pillow_codecs import load, metadata_of
from lumen.imaging.picture import Picture

_SHAPE = 12  # place of the shape of a pixel
_PIXELS_PER_BYTE = 8192  # LZW, and a frame may be smaller than the picture


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode the picture, or the first frame, of a file."""
    stream.seek(0)
    with GifImagePlugin.GifImageFile(stream) as image:
        samples, notes = load(image, stream, decoding, pixels_per_byte=_PIXELS_PER_BYTE)
        stream.seek(_SHAPE)
        shape = stream.read(1)[0]  # 64 times the width of a pixel over its height, less 15
        aspect = density.told((64, shape + 15), None)[1] if shape else None
        metadata = replace(metadata_of(image), aspect=aspect)
        return Picture.from_channels(samples, kind="gif", metadata=metadata, notes=notes)
