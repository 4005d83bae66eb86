"""HEIC and HEIF, by the optional pillow-heif."""

from __future__ import annotations

import re
from io import BytesIO
from typing import BinaryIO

import numpy as np

from lumen.codecs.density import shape_in_boxes
from lumen.codecs.exif import upright, without_prefix
from lumen.codecs.interface import Decoding, Encoding
from lumen.codecs.item_damage import damage_of_items, description
from lumen.codecs.jpeg import NO_GAIN_MAP
from lumen.codecs.motion import LEFT_OUT, film_in_box, films, is_said
from lumen.codecs.pillow_codecs import metadata_arguments
from lumen.color.icc import profile_or_coded, refuse_hdr
from lumen.errors import UnsupportedError
from lumen.imaging.picture import Chroma, Metadata, Pair, Picture, check_size, first_of, to_16bit, unmultiplied

PRESET = "veryfast"  # of x265, whose default is "slow": see benchmarks/encoders.py
_TILED_PX = 1 << 24  # pixels from which a picture is stored in tiles, as phones do: the encoder takes half the memory
_TILES_PX = range(1024, 2049, 64)  # sides to choose from
_THIN_PX, _LONG_PX, _SLIVER_TILE_PX = 32, 4096, 256  # x265 refuses long pictures of fewer rows or columns
_MOST_TILES = 900  # decoders refuse files of 1000 items
_ITEMS = re.compile(rb"infe(?:\x02.{7}|\x03.{9})(.{4})", re.DOTALL)
_CODINGS = {
    b"hev1": "HEVC of the kind hev1",  # its parameters are among the pixels
    b"lhv1": "layered HEVC",
    b"av01": "AV1",
    b"avc1": "AVC (H.264)",
    b"vvc1": "VVC (H.266)",
    b"evc1": "EVC",
    b"jpeg": "JPEG",
    b"j2k1": "JPEG 2000",
    b"unci": "uncompressed pixels",
}
_QUARTERS = re.compile(rb"irot(.)", re.DOTALL)  # turns by 90 degrees
_CHROMA: dict[Chroma, int] = {"4:4:4": 444, "4:2:2": 422, "4:2:0": 420}


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode the main picture of a file completely, at full depth. Its pixels come upright."""
    try:
        return _decode(stream, decoding)
    except (OSError, SyntaxError, ValueError, LookupError, RuntimeError):
        if name := _coding(stream):
            raise UnsupportedError(
                f"expected a HEIF with HEVC inside, got one with {name}, which libheif lacks here; save it as PNG"
            ) from None
        raise


def _decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    import pillow_heif

    file = pillow_heif.open_heif(stream, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image = file[file.primary_index]
    width, height = image.size
    check_size(width, height, decoding.max_pixels)
    notes = first_of(len(file), "a file of {} pictures", first=decoding.first_frame)
    info, nclx = image.info, image.info.get("nclx_profile") or {}
    primaries, transfer = (int(nclx.get(name, 2)) for name in ("color_primaries", "transfer_characteristics"))
    refuse_hdr(transfer)
    bits = int(info["bit_depth"])
    samples = np.asarray(image)
    samples = to_16bit(samples, bits) if samples.dtype == np.uint16 and bits > 8 else samples.astype(np.uint8)
    if image.premultiplied_alpha:
        samples = unmultiplied(samples.copy())
    icc, faults = profile_or_coded(info.get("icc_profile"), primaries, transfer)
    notes = (*notes, *faults)
    if any("gainmap" in str(kind) for kind in info.get("aux") or ()):
        notes = (*notes, NO_GAIN_MAP)
    exif, xmp, film = upright(without_prefix(info.get("exif"))), info.get("xmp"), film_in_box(stream, "heif")
    if not film and is_said(xmp or b""):
        notes = (*notes, LEFT_OUT)
    metadata = Metadata(exif=exif, icc=icc, xmp=xmp, aspect=_aspect(stream), extras=film)
    bits_kept, damage = bits if bits > 8 else None, damage_of_items(stream)
    chroma = next((name for name, number in _CHROMA.items() if number == info.get("chroma")), None)
    return Picture.from_channels(
        samples, kind="heif", metadata=metadata, bits=bits_kept, chroma=chroma, notes=notes, damage=damage
    )


def _coding(stream: BinaryIO) -> str:
    """Return the name of the coding of the pictures if it is not HEVC, or an empty string."""
    kinds = {found[1] for found in _ITEMS.finditer(description(stream))}
    return "" if b"hvc1" in kinds else ", ".join(name for kind, name in _CODINGS.items() if kind in kinds)


def _aspect(stream: BinaryIO) -> Pair | None:
    """Return the shape of the pixels after they were turned."""
    head = description(stream)
    shape, turn = shape_in_boxes(head), _QUARTERS.search(head)
    return (shape[1], shape[0]) if shape and turn and turn[1][0] & 1 else shape


def encode(picture: Picture, encoding: Encoding) -> bytes:
    """Return a picture of 8, 10 or 12 bits as a HEIC file."""
    import pillow_heif

    file = BytesIO()
    samples = picture.to_channels()
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[1 if samples.ndim == 2 else samples.shape[2]]
    bits = picture.bits or 8
    if samples.dtype == np.uint16:
        top = 2**bits - 1
        samples = ((samples.astype(np.uint32) * top + 32767) // 65535).astype(np.uint16)
        mode += f";{bits}"
    pillow_heif.encode(
        mode,
        (picture.width, picture.height),
        samples.tobytes(),
        file,
        quality=encoding.quality,
        # Many devices decode files of full colour resolution in software only, or not at all.
        chroma=_CHROMA[encoding.chroma(picture, full=False)],
        bit_depth=bits,
        tile_size=tile_px(picture.width, picture.height),
        enc_params={"preset": PRESET},
        **metadata_arguments(picture.metadata),
    )
    return file.getvalue() + films(picture.metadata.extras, "heif")


def tile_px(width: int, height: int) -> int:
    """Return the side of the tiles in which a picture is stored, with the least padding; 0 for one that is not cut."""
    if min(width, height) < _THIN_PX and max(width, height) > _LONG_PX:
        return _SLIVER_TILE_PX
    if width * height <= _TILED_PX:
        return 0
    counts = {side: -(-width // side) * -(-height // side) for side in _TILES_PX}
    few = [side for side, count in counts.items() if count <= _MOST_TILES]
    return min(few, key=lambda side: (counts[side] * side**2, -side), default=0)


def why_not_writable() -> str:
    """Return what to do if pillow-heif was built without an encoder, or an empty string if it was built with one."""
    import pillow_heif

    if pillow_heif.libheif_info()["HEIF"]:
        return ""
    return "this build of pillow-heif can read HEIC files but not write them; choose another --format"
