"""AVIF, by Pillow; samples of 10 and 12 bits by imagecodecs, because Pillow knows only 8 bits."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import AvifImagePlugin, features

from lumen.codecs.avif_deep import encode_deep
from lumen.codecs.avif_grid import allows, encode_grid, is_large
from lumen.codecs.density import shape_in_boxes
from lumen.codecs.exif import is_sound, without_prefix
from lumen.codecs.interface import Decoding, Encoding
from lumen.codecs.item_damage import damage_of_items, description
from lumen.codecs.motion import LEFT_OUT, film_in_box, films, is_said
from lumen.codecs.pillow_codecs import quiet, save
from lumen.color.icc import profile_or_coded, refuse_hdr
from lumen.errors import UnsupportedError
from lumen.imaging.formats import CODECS
from lumen.imaging.picture import Chroma, Metadata, Picture, Samples, check_size, first_of, to_16bit

SPEED = 8  # of 10; 6 takes twice the time for 2 % smaller files: see benchmarks/encoders.py
_SMALL_PX, _SMALL_SPEED = 1 << 18, 6  # for which the slower, better setting takes no time
_CONFIG = re.compile(rb"av1C[\x80-\xff].(.)", re.DOTALL)
_CHROMA: dict[int, Chroma] = {0: "4:4:4", 2: "4:2:2", 3: "4:2:0"}  # halved in x, and in y
_COLORS = re.compile(rb"colrnclx(.{4})", re.DOTALL)  # codes of primaries and transfer curve
_SIZE = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)
_SAID = re.compile(r"returned '([^']+)'(?: \((.+)\))?$")
_MALFORMED = "BMFF parsing failed"
_DEPARTURES = ("Not implemented", "Invalid image grid", "Invalid tone mapped image item")
_TOO_SHORT = re.compile(r"truncated|failed to|too small|too short|overflow|exceed", re.IGNORECASE)
_MOST_PIXELS = CODECS["avif"].most_px or 0
_MOST_DEEP_PIXELS = 1 << 26  # of all frames of a deep animation


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode a file completely, at full depth."""
    if reason := why_not_writable():  # nor readable
        raise UnsupportedError(reason)
    head = description(stream)
    coded = _COLORS.search(head)
    primaries, transfer = struct.unpack(">HH", coded[1]) if coded else (2, 2)  # 2 is unspecified
    refuse_hdr(transfer)
    _check_claimed_size(head, decoding.max_pixels)
    stream.seek(0)
    with _opened(stream) as image:
        check_size(*image.size, decoding.max_pixels)
        notes = first_of(image.n_frames, "an animation of {} frames", first=decoding.first_frame)
        info, bits = image.info, _bits(head)
        if bits == 8:
            image.load()
            samples = np.asarray(image)
        else:
            stream.seek(0)
            samples = to_16bit(_first(stream.read(), image), bits)
    icc, faults = profile_or_coded(info.get("icc_profile"), primaries, transfer)
    notes = (*notes, *faults)
    block, xmp, film = without_prefix(info.get("exif")), info.get("xmp"), film_in_box(stream, "avif")
    if not film and is_said(xmp or b""):
        notes = (*notes, LEFT_OUT)
    metadata = Metadata(exif=block, icc=icc, xmp=xmp, aspect=shape_in_boxes(head), extras=film)
    bits_kept, damage = bits if bits > 8 else None, damage_of_items(stream)
    return Picture.from_channels(
        samples, kind="avif", metadata=metadata, bits=bits_kept, chroma=_chroma(head), notes=notes, damage=damage
    )


def encode(picture: Picture, encoding: Encoding) -> bytes:
    """Return a picture of 8, 10 or 12 bits as an AVIF file."""
    if picture.metadata.exif and not is_sound(picture.metadata.exif):  # Pillow parses it
        raise ValueError("the EXIF block is malformed")
    pixels, chroma = picture.width * picture.height, _chroma_of(picture, encoding)
    speed = SPEED if pixels > _SMALL_PX else _SMALL_SPEED

    def encoded(part: Picture) -> bytes:
        if part.sample == "uint16":
            return encode_deep(part, quality=encoding.quality, speed=speed, chroma=chroma)
        return save(part, "AVIF", quality=encoding.quality, speed=speed, subsampling=chroma)

    in_tiles = is_large(picture) and allows(picture, chroma)
    data = encode_grid(picture, encoded) if in_tiles else encoded(picture)
    return data + films(picture.metadata.extras, "avif")


def _chroma_of(picture: Picture, encoding: Encoding) -> Chroma | None:
    """Return the chroma subsampling of a result; none if it is grey, which it cannot be with opacity."""
    if picture.gray and picture.alpha is None:
        return None
    chroma = "4:2:0" if picture.gray else encoding.chroma(picture)
    if encoding.subsampling == "auto" and is_large(picture) and not allows(picture, chroma):
        return "4:4:4"  # hardly larger, and much less memory
    return chroma


def why_not_writable() -> str:
    """Return what to do if Pillow was built without AVIF, or an empty string if it was built with it."""
    if features.check("avif"):
        return ""
    return "this build of Pillow has no AVIF support; install the one from PyPI: pip install -U pillow"


def _check_claimed_size(head: bytes, max_pixels: int) -> None:
    """Refuse a picture by the sizes in its header; libavif would call it damaged, or allocate memory for it."""
    for found in _SIZE.finditer(head):
        width, height = struct.unpack(">II", found[1])
        check_size(width, height, max_pixels)
        if width * height > _MOST_PIXELS:
            raise UnsupportedError(
                f"expected an AVIF of at most {_MOST_PIXELS / 1e6:.0f} megapixels, got {width}x{height}; save it as PNG"
            )


def _first(data: bytes, image: AvifImagePlugin.AvifImageFile) -> Samples:
    """Return the first frame at full depth: asked for one frame of several, imagecodecs writes beyond its memory."""
    pixels = image.n_frames * image.width * image.height
    if image.n_frames > 1 and pixels > _MOST_DEEP_PIXELS:
        raise UnsupportedError(
            f"expected an animation of {_MOST_DEEP_PIXELS / 1e6:.0f} megapixels in all its frames, or of 8 bits, got "
            f"{pixels / 1e6:.0f}; save its first frame as PNG"
        )
    samples: Samples = imagecodecs.avif_decode(data)
    first: Samples = samples[0] if image.n_frames > 1 else samples
    if first.shape[:2] != (image.height, image.width):
        raise ValueError("its frames cannot be told apart")
    return first


def _opened(stream: BinaryIO) -> AvifImagePlugin.AvifImageFile:
    """Open a file without Pillow's warnings about malformed EXIF blocks; lumen reports those itself."""
    with quiet():
        try:
            return AvifImagePlugin.AvifImageFile(stream)
        except (SyntaxError, RuntimeError):
            is_animated = b"trak" in description(stream)
            stream.seek(0)
            if not is_animated and (reason := _fault(stream.read())):
                raise UnsupportedError(
                    f"expected an AVIF by its standard, got one that libavif refuses ({reason}); save it as PNG"
                ) from None
            raise


def _fault(data: bytes) -> str:
    """Return in what a complete file departs from the standard, by libavif; Pillow does not pass it on."""
    try:
        imagecodecs.avif_decode(data)  # less strict than Pillow
    except imagecodecs.AvifError as error:
        found = _SAID.search(" ".join(str(error).split()))
        kind, detail = found.groups() if found else ("", None)
        departs = kind == _MALFORMED and detail and not _TOO_SHORT.search(detail)
        return detail or kind if departs or kind in _DEPARTURES else ""
    return "only its strict check does"


def _chroma(head: bytes) -> Chroma | None:
    """Return the chroma subsampling, from the same flags; none for a grey picture."""
    flags = _flags(head)
    return None if flags & 0x10 else _CHROMA.get(flags >> 2 & 3)


def _flags(head: bytes) -> int:
    """Return the flags of the decoder's configuration."""
    found = _CONFIG.search(head)
    return found[1][0] if found else 0x10


def _bits(head: bytes) -> int:
    """Return the bits per sample."""
    flags = _flags(head)
    return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
