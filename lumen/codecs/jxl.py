"""JPEG XL: the optional pylibjxl (BSD) for profile, metadata and 8 bits; imagecodecs for 16, without a profile.

No library does all: imagecodecs has neither profiles nor metadata, pylibjxl has 8 bits only, and pillow-jxl-plugin
(GPL) has 8 bits and writes no profile. So a deep picture with another profile than that of sRGB is not stored.
"""

from __future__ import annotations

import re
import struct
from typing import Any, BinaryIO

import imagecodecs
import numpy as np

from lumen.codecs.exif import orientation, upright, without_prefix
from lumen.codecs.interface import Decoding, Encoding
from lumen.color.icc import refuse_hdr, srgb_profile
from lumen.errors import UnsupportedError
from lumen.imaging.picture import Metadata, Picture, Samples, check_size, to_16bit

_EFFORT = 6  # of 10; on photographs 7, the default, gave larger files of lower SSIM in half as much time again
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
_CODE = re.compile(rb"cicp\0{4}(..)", re.DOTALL)  # of a profile: codes of primaries and transfer curve
_SHADES = (10, 12)  # bits that other formats know, too; others are stored as 16


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode a file completely, at full depth. Its pixels come upright."""
    import pylibjxl

    stream.seek(0)
    data = stream.read()
    facts: dict[str, Any] = pylibjxl.probe(data)
    check_size(facts["width"], facts["height"], decoding.max_pixels)
    bits, notes = int(facts["bits_per_sample"]), tuple[str, ...]()
    if facts["exponent_bits_per_sample"] or bits > 16:
        raise UnsupportedError("expected a JPEG XL of at most 16 bits a sample, got floating point; save it as PNG")
    if facts["have_animation"]:
        if not decoding.first_frame:
            raise UnsupportedError("expected one picture, got an animation; take the first with --frames first")
        notes = ("only the first picture of an animation was used",)
    samples: Samples
    samples, found = pylibjxl.decode(data, metadata=True)
    if bits > 8 or notes:
        samples = imagecodecs.jpegxl_decode(data, index=0)
        samples = to_16bit(samples, bits) if bits > 8 else samples.astype(np.uint8)
    profile = found.get("icc")
    if profile and (code := _CODE.search(profile)):
        refuse_hdr(code[1][1])
    metadata = Metadata(exif=upright(without_prefix(found.get("exif"))), icc=profile, xmp=found.get("xmp"))
    kept = bits if bits in _SHADES else None
    return Picture.from_channels(samples, kind="jxl", metadata=metadata, bits=kept, notes=notes)


def encode(picture: Picture, encoding: Encoding) -> bytes:
    """Return a picture as a JPEG XL file; pixels are turned, because the format ignores the orientation in EXIF."""
    import pylibjxl

    picture = picture.turned(orientation(picture.metadata.exif))
    metadata, samples = picture.metadata, picture.to_channels()
    distance = _distance(encoding.quality)
    if samples.dtype == np.uint16 or (samples.ndim == 3 and samples.shape[2] == 2):
        if metadata.icc and metadata.icc != srgb_profile():
            raise ValueError("it can have no colour profile with 16 bits, or with grey and opacity")
        bits = picture.bits or 8 * samples.dtype.itemsize
        samples = samples >> (8 * samples.dtype.itemsize - bits)
        coded = imagecodecs.jpegxl_encode(
            samples, effort=_EFFORT, distance=distance, bitspersample=bits, lossless=not distance
        )
    else:
        coded = pylibjxl.encode(
            np.asarray(samples, np.uint8), effort=_EFFORT, distance=distance, lossless=not distance, icc=metadata.icc
        )
    return _with_boxes(bytes(coded), metadata)


def _distance(quality: int) -> float:
    """Return the distance that libjxl's own tools use for a quality; 0 is lossless.

    >>> _distance(100), round(_distance(95), 2), round(_distance(90), 2)
    (0.0, 0.55, 1.0)
    """
    if quality == 100:
        return 0.0
    return 0.1 + (100 - quality) * 0.09 if quality >= 30 else 53 / 3000 * quality**2 - 23 / 20 * quality + 25


def _with_boxes(coded: bytes, metadata: Metadata) -> bytes:
    """Return the file with its EXIF block and XMP in boxes, in plain: many programs cannot read packed ones."""
    boxes = []
    if metadata.exif:
        boxes.append(_box(b"Exif", bytes(4) + (upright(metadata.exif) or b"")))
    if metadata.xmp:
        boxes.append(_box(b"xml ", metadata.xmp))
    if boxes and not coded.startswith(_CONTAINER[:12]):
        coded = _CONTAINER + _box(b"jxlc", coded)
    return b"".join([coded, *boxes])


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data
