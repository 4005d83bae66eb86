"""HEIC and HEIF, by the optional pillow-heif."""

from __future__ import annotations

from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from lumen.codecs.avif import refuse_hdr, widened
from lumen.codecs.exif import upright, with_prefix, without_prefix
from lumen.codecs.jpeg import NO_GAIN_MAP
from lumen.color.icc import coded_profile
from lumen.errors import EncodeError, UnsupportedError
from lumen.extras import hint, is_installed
from lumen.imaging.picture import Chroma, Metadata, Picture, check_size, first_of, unmultiplied

_CHROMA: dict[Chroma, int] = {"4:4:4": 444, "4:2:2": 422, "4:2:0": 420}


def decode(stream: BinaryIO, max_pixels: int, *, first: bool) -> Picture:
    """Decode the main picture of a file completely, at its depth. Its pixels come upright.

    Raises:
        UnsupportedError: pillow-heif is not installed; or the file holds several pictures and `first` is not set, more
            than `max_pixels` pixels, or a picture for HDR screens.
        ValueError, EOFError, SyntaxError, RuntimeError, OSError: The file is damaged or ends early.
    """
    if not is_installed("pillow_heif"):
        raise UnsupportedError(hint("HEIF", "pillow-heif", "heif", "save it as JPEG"))
    import pillow_heif

    file = pillow_heif.open_heif(stream, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image = file[file.primary_index]
    width, height = image.size
    check_size(width, height, max_pixels)
    notes = first_of(len(file), "a file of {} pictures", first=first)
    info, nclx = image.info, image.info.get("nclx_profile") or {}
    refuse_hdr(int(nclx.get("transfer_characteristics", 2)))
    bits = int(info["bit_depth"])
    samples = np.asarray(image)
    samples = widened(samples, bits) if samples.dtype == np.uint16 and bits > 8 else samples.astype(np.uint8)
    if image.premultiplied_alpha:
        samples = unmultiplied(samples.copy())
    codes = (int(nclx.get(name, 2)) for name in ("color_primaries", "transfer_characteristics"))
    icc, faults = (info["icc_profile"], ()) if info.get("icc_profile") else coded_profile(*codes)
    notes = (*notes, *faults)
    if any("gainmap" in str(kind) for kind in info.get("aux") or ()):
        notes = (*notes, NO_GAIN_MAP)
    metadata = Metadata(exif=upright(without_prefix(info.get("exif"))), icc=icc, xmp=info.get("xmp"))
    return Picture.from_channels(samples, kind="heif", metadata=metadata, bits=bits if bits > 8 else None, notes=notes)


def encode(picture: Picture, quality: int, chroma: Chroma) -> bytes:
    """Return a picture of 8, 10 or 12 bits as a HEIC file.

    Raises:
        EncodeError: pillow-heif is not installed, or without an encoder.
        ValueError, RuntimeError, OSError: The encoder refuses the size or the metadata.
    """
    if reason := why_not_writable():
        raise EncodeError(reason)
    import pillow_heif

    metadata, file = picture.metadata, BytesIO()
    samples = picture.to_channels()
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[1 if samples.ndim == 2 else samples.shape[2]]
    bits = picture.bits or 8
    if samples.dtype == np.uint16:
        top = 2**bits - 1
        samples = ((samples.astype(np.uint32) * top + 32767) // 65535).astype(np.uint16)
        mode += f";{bits}"
    kept: dict[str, Any] = {
        "exif": with_prefix(metadata.exif) if metadata.exif else None,
        "icc_profile": metadata.icc,
        "xmp": metadata.xmp,
    }
    pillow_heif.encode(
        mode,
        (picture.width, picture.height),
        samples.tobytes(),
        file,
        quality=quality,
        chroma=_CHROMA[chroma],
        bit_depth=bits,
        **{name: value for name, value in kept.items() if value is not None},
    )
    return file.getvalue()


def why_not_writable() -> str:
    """Return what to do where HEIC cannot be written; an empty text where it can."""
    if not is_installed("pillow_heif"):
        return hint("HEIF", "pillow-heif", "heif", "choose another --format")
    import pillow_heif

    if pillow_heif.libheif_info()["HEIF"]:
        return ""
    return "this build of pillow-heif reads HEIC files and cannot write any; choose another --format"
