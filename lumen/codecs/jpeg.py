"""JPEG, by Pillow, with what Pillow leaves out: Photoshop resources with IPTC, long XMP, chroma subsampling."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

from PIL import JpegImagePlugin

from lumen.codecs import density, exif, iptc, motion
from lumen.codecs.interface import Decoding, Encoding
from lumen.codecs.jpeg_damage import END, FRAMES, NO_END, SCAN, damage_of, segments, unchecked
from lumen.codecs.pillow_codecs import load, metadata_of, save, size_of
from lumen.color import icc
from lumen.errors import UnsupportedError
from lumen.imaging.picture import FILM, Chroma, Extra, Metadata, Pair, Picture, check_size, first_of

NO_GAIN_MAP = "the gain map was left out: only HDR screens show it"

_PHOTOSHOP = b"Photoshop 3.0\0"
_LONG_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
_PROFILE = b"ICC_PROFILE\0"
_STORAGE = ("APP0", "APP11", "APP14")  # JFIF with its preview, boxes, and how colours are stored
# Segments that are handled elsewhere, or belong to the old pixels: previews, further pictures, how the file was made.
_KNOWN = (
    *(b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0", _PROFILE, _PHOTOSHOP, b"MPF\0", b"FPXR\0", b"Ducky"),
    _GAIN_MAP,
)
# What programs write behind the picture, with IPTC fields and more, by marks at its end.
_TRAILERS = {b"\xa1\xb2\xc3\xd4": "FotoStation", b"AXS!": "AFCP", b"AXS*": "AFCP", b"cbipcbbl": "Photo Mechanic"}
_TRAILER_BYTES = 12
_PICTURES = 0xB002  # tag that lists the pictures of a multi-picture file
_FULL_PICTURES = range(0x020001, 0x020004)  # kinds: part of a panorama, stereo pair, other angle
_SEGMENT_BYTES = 65_533
_MOST_SCANS = 100  # encoders write up to 20
_SEARCHED = 1 << 28  # bytes; a larger file has a video appended
_TOO_LARGE = unchecked("it is too large")
_PIXELS_PER_BYTE = 1024  # 64 pixels take at least two bits
_JFIF, _MOST_DENSITY = 13, 65_535  # place of the unit in a file that begins with a JFIF header
_APP0, _ADOBE, _TRANSFORM = 0xE0, 0xEE, 11
_COMPONENTS = 5  # place of their number in a frame
_LOSSLESS = 0xC3
_DEEP, _LOSSLESS_DEPTHS = (12,), {*range(2, 17)} - {8}
_OTHER_KINDS = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "a hierarchical one"),
    0xCB: "a lossless one with arithmetic coding",
    0xF7: "JPEG-LS",
}
_SAMPLINGS: dict[int, Chroma] = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode a file completely; of a multi-picture file from a phone, the base picture."""
    stream.seek(0)
    data = stream.read(min(size_of(stream), _SEARCHED))  # a size that is only claimed would be allocated
    _check_kind(data)
    stream.seek(0)
    with _JpegFile(stream) as image:
        check_size(*image.size, decoding.max_pixels)
        check_scans(data)
        try:
            samples, notes = load(image, stream, decoding, pixels_per_byte=_PIXELS_PER_BYTE)
        except OSError:
            if damage_of(data) != NO_END:
                raise
            return replace(decode(BytesIO(data + END), decoding), damage=NO_END)
        applied: Sequence[tuple[str, bytes]] = image.applist
        described = b"".join(content for name, content in applied if name == "APP1")
        film = motion.film_at_end(data, described) if len(data) < _SEARCHED else ()
        metadata = replace(
            metadata_of(image),
            aspect=_aspect(image),
            iptc=_resources(applied),
            comment=b"\n".join(content for name, content in applied if name == "COM") or None,
            extras=(*_carried(applied), *film),
        )
        notes = (*notes, *_notes_of_pictures(image), *_notes_of_segments(applied, has_film=bool(film)))
        if metadata.icc is None and any(content.startswith(_PROFILE) for _, content in applied):
            notes = (*notes, "the colour profile was left out: its parts do not belong together; colours may be off")
        if program := next((name for mark, name in _TRAILERS.items() if mark in data[-_TRAILER_BYTES:]), ""):
            notes = (
                *notes,
                f"the data of {program} behind the picture were left out: captions that stand only there are missing",
            )
        if image.mode == "CMYK":
            samples, note = icc.rgb_of_cmyk(samples, metadata.icc)
            metadata, notes = replace(metadata, icc=icc.srgb_profile()), (*notes, note)
        chroma, tables = _SAMPLINGS.get(JpegImagePlugin.get_sampling(image)), _tables(image)
        damage = damage_of(data) if len(data) < _SEARCHED else _TOO_LARGE
    return Picture.from_channels(
        samples, kind="jpeg", metadata=metadata, chroma=chroma, tables=tables, notes=notes, damage=damage
    )


def encode(picture: Picture, encoding: Encoding) -> bytes:
    """Return an 8-bit picture as a JPEG file, with its Photoshop resources and long XMP as extra segments."""
    metadata = picture.metadata
    own = [extra for extra in metadata.extras if extra.format == "jpeg"]
    parts = [_segment(_APP0 + int(extra.kind[3:]), extra.data) for extra in own if extra.kind != FILM]
    resources = metadata.iptc or b""
    room = _SEGMENT_BYTES - len(_PHOTOSHOP)
    parts += [_segment(0xED, _PHOTOSHOP + resources[at : at + room]) for at in range(0, len(resources), room)]
    is_own = encoding.is_own and bool(picture.tables)
    data = save(
        picture,
        "JPEG",
        quality=None if is_own else encoding.quality,
        qtables=picture.tables[: 1 if picture.gray else None] if is_own else None,
        subsampling=encoding.chroma(picture),
        extra=b"".join(parts),
        comment=metadata.comment,
    )
    if data[_JFIF - 7 : _JFIF - 2] == b"JFIF\0":
        data = data[:_JFIF] + struct.pack(">BHH", *_density(metadata)) + data[_JFIF + 5 :]
    return data + motion.films(own, "jpeg")


def _check_kind(data: bytes) -> None:
    """Refuse kinds of JPEG that Pillow does not decode, and would call damaged."""
    is_jfif, transform = False, None
    for kind, start, end in segments(data):
        content = data[start + 4 : end]
        if kind == _APP0 and content.startswith(b"JFIF"):
            is_jfif = True
        elif kind == _ADOBE and content.startswith(b"Adobe") and len(content) > _TRANSFORM:
            transform = content[_TRANSFORM]
        elif kind in _OTHER_KINDS:
            raise UnsupportedError(f"expected a baseline or progressive JPEG, got {_OTHER_KINDS[kind]}; save it as PNG")
        elif kind in FRAMES and len(content) > _COMPONENTS:
            lossless, channels = "lossless " if kind == _LOSSLESS else "", content[_COMPONENTS]
            if content[0] in (_LOSSLESS_DEPTHS if lossless else _DEEP):  # other numbers are damage
                raise UnsupportedError(
                    f"expected a JPEG of 8 bits a sample, got a {lossless}{content[0]}-bit one; save it as 16-bit TIFF"
                )
            if channels == 2:
                raise UnsupportedError("expected a JPEG of 1, 3 or 4 channels, got one of 2; save it as PNG")
            if lossless and channels == 3 and (is_jfif or transform == 1):
                raise UnsupportedError("expected a lossless JPEG in RGB or grey, got one in YCbCr; save it as PNG")
            return
        elif kind == SCAN:
            return


def check_scans(data: bytes) -> None:
    """Refuse a file with very many scans: each takes a few bytes and a pass over the whole picture.

    Raises:
        ValueError: It has far more scans than encoders write.
    """
    scans = 0
    for kind, _, _ in segments(data):
        scans += kind == SCAN
        if scans > _MOST_SCANS:
            raise ValueError(f"it has more than {_MOST_SCANS} scans")


def claimed_size(data: bytes) -> tuple[int, int]:
    """Return width and height from the first frame header of a JPEG stream, without decoding.

    Raises:
        ValueError: There is no frame header.
    """
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == 0xFF:  # padding
            at += 1
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    raise ValueError("a JPEG stream in it has no size")


class _JpegFile(JpegImagePlugin.JpegImageFile):
    """Pillow's reader, without its search of the EXIF block for a resolution.

    That search warns about broken blocks and invents 72 dpi if there is none. The block is kept as it is anyway.
    """

    def _read_dpi_from_exif(self) -> None:
        pass


def _tables(image: _JpegFile) -> tuple[tuple[int, ...], ...]:
    """Return the quantisation tables of the channels; none for colours that are not stored as Y, Cb and Cr."""
    is_rgb = image.info.get("adobe_transform") == 0 or [layer[0] for layer in image.layer] == [*b"RGB"]
    if image.mode not in ("L", "RGB") or (image.mode == "RGB" and is_rgb):
        return ()
    found = [image.quantization.get(layer[3]) for layer in image.layer]
    if not all(found):
        return ()
    tables = tuple(tuple(table) for table in found if table)
    return tables[:2] if tables[1:] == tables[1:2] * 2 else tables  # Cb and Cr share theirs in nearly all files


def _aspect(image: _JpegFile) -> Pair | None:
    """Return the shape of the pixels, if it is told without a unit."""
    if image.info.get("jfif_unit") != 0:
        return None
    return density.told(image.info.get("jfif_density", (1, 1)), None)[1]


def _density(metadata: Metadata) -> tuple[int, int, int]:
    """Return unit and densities for the JFIF header, in whole numbers: per inch or centimetre, whichever is nearer.

    What is too coarse for both, such as 1x2 per inch and a half, is told without a unit, so that pixels keep their
    shape.
    """
    if metadata.dpi is None:
        return 0, *density.whole(metadata.aspect or (1, 1), _MOST_DENSITY)
    best = None
    for unit, per_inch in exif.PER_INCH.items():
        exact = [value / per_inch for value in metadata.dpi]
        x, y = (min(max(round(value), 1), _MOST_DENSITY) for value in exact)
        apart = max(abs(value / near - 1) for value, near in zip(exact, (x, y), strict=True))
        if density.same_shape((x, y), metadata.dpi) and (best is None or apart < best[0]):
            best = apart, (unit - 1, x, y)
    return best[1] if best else (0, *density.whole(metadata.dpi, _MOST_DENSITY))


def _resources(segments: Sequence[tuple[str, bytes]]) -> bytes | None:
    """Return the Photoshop resources, which may be spread over several segments."""
    parts = [data for name, data in segments if name == "APP13" and data.startswith(_PHOTOSHOP)]
    return iptc.cleaned(b"".join(part.removeprefix(_PHOTOSHOP) for part in parts))


def _carried(segments: Sequence[tuple[str, bytes]]) -> Iterator[Extra]:
    """Yield the segments that are carried as they are: XMP that is too long for one, and what programs add."""
    for name, data in segments:
        if data.startswith(_LONG_XMP):
            yield Extra(format="jpeg", kind=name.encode(), data=data, label="part of the XMP")
        elif name.startswith("APP") and name not in _STORAGE and not data.startswith(_KNOWN):
            yield Extra(format="jpeg", kind=name.encode(), data=data, label="data of programs")


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _notes_of_pictures(image: _JpegFile) -> tuple[str, ...]:
    """Return a note if the file holds further full pictures, as stereo cameras write them."""
    try:
        found = exif.parse_block(image.info.get("mp") or b"").get(_PICTURES)
    except (ValueError, EOFError):
        return ()
    if found is None or not isinstance(found.value, bytes):
        return ()
    order = exif.byte_order(image.info["mp"])
    kinds = [
        kind & 0xFFFFFF for (kind,) in struct.iter_unpack(order + "I12x", found.value[: len(found.value) // 16 * 16])
    ]
    return first_of(1 + sum(kind in _FULL_PICTURES for kind in kinds[1:]), "a file of {} pictures", first=True)


def _notes_of_segments(segments: Sequence[tuple[str, bytes]], *, has_film: bool) -> tuple[str, ...]:
    """Return notes about a gain map for HDR screens, a video that cannot be carried, and JUMBF boxes."""
    described = [data for name, data in segments if name in ("APP1", "APP2")]
    brighter = any(b"hdrgm:" in data or data.startswith(_GAIN_MAP) for data in described)
    moving = not has_film and any(motion.is_said(data) for data in described)
    boxes = any(name == "APP11" for name, _ in segments)
    return (
        *((NO_GAIN_MAP,) if brighter else ()),
        *((motion.LEFT_OUT,) if moving else ()),
        *(("the content credentials, or other boxes, were left out: they are of the old pixels",) if boxes else ()),
    )
