"""TIFF: tifffile for the samples, `lumen.codecs.exif` for the tags.

Pillow opens 16-bit RGB files as 8-bit, and turns pixels by the orientation tag; here both stay as stored.
"""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import tifffile
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, SAMPLEFORMAT

from lumen.codecs import density, exif, iptc, jpeg, old_jpeg, tiff_tags
from lumen.codecs.exif import ByteOrder, Directory, Entry
from lumen.codecs.interface import CameraRawError, Decoding, Encoding
from lumen.codecs.jpeg_damage import END, NO_END, damage_of
from lumen.color import icc
from lumen.errors import UnsupportedError
from lumen.imaging.picture import (
    Damage,
    Metadata,
    Pair,
    Picture,
    Samples,
    check_size,
    first_of,
    to_16bit,
    too_short,
    unmultiplied,
)

# What tifffile logs is raised here as an error or does not matter; without a handler Python would print it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_CFA, _LINEAR_RAW = 32803, 34892
_DNG_VERSION = 50706
_LAYERS = 37724
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_LEVEL = 4  # deflate: half the time of level 6, for files a few percent larger

_WHITE_IS_ZERO, _GRAY, _RGB = PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB
_YCBCR, _PALETTE, _CMYK = PHOTOMETRIC.YCBCR, PHOTOMETRIC.PALETTE, PHOTOMETRIC.SEPARATED
_LARGEST_TILE = 1 << 24  # pixels, if the picture is smaller than a tile
_MOST_PAGES = 5000  # that are counted
# The compressions that are read, with the largest number of bytes that one byte can unpack to; None without a useful
# bound. Those that hold a size of their own (JPEG 2000, ...) are not read: memory would be allocated for any size.
_RATIOS: dict[int, int | None] = {
    COMPRESSION.NONE: 1,
    COMPRESSION.PACKBITS: 65,
    COMPRESSION.ADOBE_DEFLATE: 1100,
    COMPRESSION.DEFLATE: 1100,
    COMPRESSION.LZW: 1500,
    **dict.fromkeys((COMPRESSION.CCITTRLE, COMPRESSION.CCITTFAX3, COMPRESSION.CCITTFAX4)),
    **dict.fromkeys((COMPRESSION.LZMA, COMPRESSION.ZSTD, COMPRESSION.ZSTD_DEPRECATED)),
    **dict.fromkeys((COMPRESSION.OJPEG, COMPRESSION.JPEG)),
}
_SAMPLES: dict[int, str] = {
    SAMPLEFORMAT.UINT: "unsigned ones",
    SAMPLEFORMAT.INT: "signed ones",
    SAMPLEFORMAT.IEEEFP: "floating-point ones",
    SAMPLEFORMAT.VOID: "ones without a format",
    SAMPLEFORMAT.COMPLEXINT: "complex ones",
    SAMPLEFORMAT.COMPLEXIEEEFP: "complex ones",
}
# What must be one number each, and may be a text in damaged files: that times a number would be a very long text.
_NUMBERS = (
    *("imagewidth", "imagelength", "imagedepth", "samplesperpixel", "subfiletype", "photometric"),
    *("compression", "planarconfig", "fillorder", "predictor", "tilewidth", "tilelength"),
)
_OPACITIES = ((EXTRASAMPLE.ASSOCALPHA,), (EXTRASAMPLE.UNASSALPHA,))
_JPEGS = (COMPRESSION.OJPEG, COMPRESSION.JPEG)
_SMALL_STREAM = 1 << 16  # pixels that are always allowed in a JPEG stream


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    """Decode the picture of a TIFF file.

    Raises:
        CameraRawError: It holds camera raw data, which has to be developed first.
        UnsupportedError: The file has several pages, float samples or an unusual depth.
        ValueError: The file is damaged or truncated (tifffile's own errors derive from it, or from RuntimeError).
        EOFError: A tag's value lies beyond the end of the file.
    """
    # Read the tags first: tifffile treats a tag beyond the end of the file as absent, and reads 16 bits as 1.
    metadata, faults = _metadata(stream)
    stream.seek(0)
    with _plainly():
        opened = tifffile.TiffFile(stream)
    with opened as file:
        page, notes = _page(file, first=decoding.first_frame)
        _check_kind(page)
        check_size(page.imagewidth, page.imagelength, decoding.max_pixels)
        _check_whole(page, file.filehandle.size)
        samples, extra = _split(old_jpeg.decode(stream, page) if old_jpeg.is_scattered(page) else _channels(page), page)
        bits = int(page.bitspersample) if page.bitspersample in (10, 12) else None
        damage = _damage(page)
        if _LAYERS in page.tags:
            notes = (
                *notes,
                "the Photoshop layers were left out; the flattened picture was used, and editing them needs the input",
            )
        extras, left_out = tiff_tags.read(stream, page)
        dpi, aspect = _resolution(page)
        metadata, notes = replace(metadata, dpi=dpi, aspect=aspect, extras=extras), (*notes, *left_out)
        if page.photometric == _CMYK:
            samples, note = icc.rgb_of_cmyk(samples, metadata.icc)
            metadata, notes = replace(metadata, icc=icc.srgb_profile()), (*notes, note)
    facts = {"notes": (*notes, *faults), "damage": damage, "extra_channel": extra, "bits": bits}
    return Picture.from_channels(samples, kind="tiff", metadata=metadata, **facts)


def encode(picture: Picture, _encoding: Encoding) -> bytes:
    """Return the picture as a TIFF file of 8 or 16 bits, compressed by deflate."""
    metadata = picture.metadata
    order = tiff_tags.order_of(metadata.extras) or exif.byte_order(metadata.exif or b"")
    block = metadata.exif
    if block and exif.byte_order(block) != order:
        block = exif.orientation_only(exif.orientation(block), order)
    tags = exif.picture_tags(exif.parse_block(block)) if block else {}
    tags |= tiff_tags.directory_of(metadata.extras)
    if metadata.icc:
        tags[exif.ICC] = Entry(7, len(metadata.icc), metadata.icc)
    if metadata.xmp:
        tags[exif.XMP] = Entry(1, len(metadata.xmp), metadata.xmp)
    if metadata.iptc:
        tags[exif.PHOTOSHOP] = Entry(1, len(metadata.iptc), metadata.iptc)
        if fields := iptc.fields_of(metadata.iptc):
            tags[exif.IPTC] = Entry(7, len(fields), fields)
    return _with_tags(_plain_file(picture, order), tags, order)


def _plain_file(picture: Picture, order: ByteOrder) -> bytes:
    file = BytesIO()
    samples, extra = picture.to_channels(), picture.extra_channel
    dpi, aspect = picture.metadata.dpi, picture.metadata.aspect
    extras = [] if picture.alpha is None else [EXTRASAMPLE.UNASSALPHA]
    if extra is not None:
        samples, extras = np.dstack([samples, extra]), [*extras, EXTRASAMPLE.UNSPECIFIED]
    tifffile.imwrite(
        file,
        samples,
        bigtiff=False,
        byteorder=order,
        photometric="minisblack" if picture.gray else "rgb",
        planarconfig="contig",
        extrasamples=extras or None,
        compression="adobe_deflate",
        compressionargs={"level": _LEVEL},
        predictor=True,
        resolution=dpi or aspect,
        resolutionunit="INCH" if dpi else "NONE" if aspect else None,
        metadata=None,
        software=False,
    )
    return file.getvalue()


def _with_tags(plain: bytes, tags: Directory, order: ByteOrder) -> bytes:
    """Return the file with `tags` in its directory: a new directory at the end replaces the first one."""
    if not tags:
        return plain
    directory = exif.read_directory(BytesIO(plain)) | tags
    base = len(plain) + len(plain) % 2
    header = plain[:4] + struct.pack(order + "I", base)
    padding = b"\0" * (base - len(plain))
    return b"".join([header, memoryview(plain)[8:], padding, exif.build_directory(directory, order, base)])


def _metadata(stream: BinaryIO) -> tuple[Metadata, tuple[str, ...]]:
    """Return the metadata in the tags, and a note if a part of it cannot be read."""
    carried = (exif.ICC, exif.XMP, exif.PHOTOSHOP, exif.IPTC)
    wanted: frozenset[int] = exif.DESCRIPTIVE | set(carried)
    faults: tuple[str, ...] = ()
    try:
        try:
            found = exif.read_directory(stream, wanted)
        except ValueError:
            # The profile decides the colours, and must not be lost with a malformed EXIF directory.
            found = exif.read_directory(stream, wanted, lenient=True)
            faults = ("a part of the metadata was left out: it is malformed; date or camera may be missing",)
    except ValueError:
        return Metadata(), ("the metadata was left out: it is malformed; date and camera are missing",)
    stream.seek(0)
    order = exif.byte_order(stream.read(2))
    tags = exif.picture_tags(found)
    values = (found[tag].value if tag in found else None for tag in carried)
    profile, xmp, resources, fields = (value if isinstance(value, bytes) else None for value in values)
    kept = iptc.cleaned(resources) if resources else None
    if fields and not (kept and iptc.fields_of(kept)):
        kept = (kept or b"") + (iptc.wrapped(fields) or b"") or None
    block = exif.build_block(tags, order) if tags else None
    return Metadata(exif=block, icc=profile, xmp=xmp, iptc=kept), faults


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn what numpy and Python say of many numbers in place of one into words about the file."""
    try:
        yield
    except tifffile.TiffFileError:
        raise
    except (TypeError, ValueError) as error:
        raise ValueError("a directory in it is malformed") from error


def _page(file: tifffile.TiffFile, *, first: bool) -> tuple[tifffile.TiffPage, tuple[str, ...]]:
    with _plainly():
        try:
            page = file.pages.first
        except IndexError as error:
            raise tifffile.TiffFileError("no picture in it") from error
        # One by one, up to a limit: the directories of a damaged file may form an endless chain.
        others = [p.keyframe if p.keyframe is p else p.aspage() for p in islice(file.pages, 1, _MOST_PAGES)]
        pages = 1 + sum(not int(each.subfiletype) & (_REDUCED | _MASK) for each in others)
    if not isinstance(page, tifffile.TiffPage):
        raise ValueError("no directory")
    what = "a TIFF of {} pages" if len(others) < _MOST_PAGES - 1 else "a TIFF of {} pages or more"
    return page, first_of(pages, what, first=first)


def _check_kind(page: tifffile.TiffPage) -> None:
    for number in _NUMBERS:
        if not isinstance(getattr(page, number), int):
            raise ValueError(f"its {'size' if number.startswith('image') else number} is not a number")
    photometric = page.photometric
    if photometric in (_CFA, _LINEAR_RAW) or _DNG_VERSION in page.tags or page.subfiletype & _REDUCED:
        raise CameraRawError
    sound = photometric in (_WHITE_IS_ZERO, _GRAY, _RGB, _PALETTE, _CMYK)
    if not sound and not (photometric == _YCBCR and page.compression in _JPEGS):
        name = getattr(photometric, "name", photometric)
        raise UnsupportedError(f"expected a grey, RGB, CMYK or palette TIFF, got {name}; convert it to RGB")
    _check_samples(page)
    if page.compression not in _RATIOS:
        name = getattr(page.compression, "name", page.compression)
        raise UnsupportedError(f"expected a TIFF packed by Deflate, LZW, JPEG or not at all, got {name}; save it so")
    color = _colors(page)
    if page.samplesperpixel not in (color, color + 1):
        raise UnsupportedError(
            f"expected {color} or {color + 1} channels a pixel, got {page.samplesperpixel}; save it with at most one "
            "channel besides its colours"
        )
    if page.imagedepth > 1:
        raise UnsupportedError(f"expected a flat picture, got one of {page.imagedepth} slices; save one of them")


def _check_samples(page: tifffile.TiffPage) -> None:
    """Refuse samples that are not unsigned integers of 1 to 16 bits, or that cannot be unpacked."""
    expected, bits = "expected unsigned samples of 1 to 16 bits", page.bitspersample
    if not isinstance(bits, int):
        each = ", ".join(map(str, bits))
        raise UnsupportedError(f"{expected}, all of the same depth, got {each} bits; convert it to 8 bits")
    if page.sampleformat != SAMPLEFORMAT.UINT or not 1 <= bits <= 16:
        kind = _SAMPLES.get(page.sampleformat, f"samples of the unknown format {page.sampleformat}")
        raise UnsupportedError(f"{expected}, got {kind} of {bits} bits; convert it to unsigned 16 bits")
    if page.predictor != 1 and bits not in (8, 16):
        raise UnsupportedError(f"expected no predictor beside {bits} bits a sample; convert it to 16 bits")


def _colors(page: tifffile.TiffPage) -> int:
    return 4 if page.photometric == _CMYK else 3 if page.photometric in (_RGB, _YCBCR) else 1


def _check_whole(page: tifffile.TiffPage, size: int) -> None:
    """Refuse a file that ends before its samples do, before memory is allocated for them.

    Some decoders would fill the gaps with black, or look for every tile that a damaged size implies.
    """
    needed = page.size * int(page.bitspersample) // 8
    # Some writers claim too many bytes for samples that are not packed.
    most = needed if page.compression == COMPRESSION.NONE and page.bitspersample in (8, 16) else size
    missing = any(at + min(count, most) > size for at, count in zip(page.dataoffsets, page.databytecounts, strict=True))
    if missing or not any(page.databytecounts):
        raise ValueError("the file ends before its picture does")
    if math.prod(page.chunked) > len(page.dataoffsets):
        raise ValueError(f"it has {len(page.dataoffsets)} of the {math.prod(page.chunked)} parts of its picture")
    if page.is_tiled and page.tilewidth * page.tilelength > max(page.imagewidth * page.imagelength, _LARGEST_TILE):
        raise ValueError(f"its tiles of {page.tilewidth}x{page.tilelength} are larger than its picture")
    if old_jpeg.is_scattered(page):
        old_jpeg.check(page)
    elif page.compression in _JPEGS:
        _check_streams(page)
    ratio = _RATIOS[page.compression]
    if ratio is not None and needed > ratio * sum(page.databytecounts):
        raise ValueError(too_short(page.imagewidth, page.imagelength))


def _damage(page: tifffile.TiffPage) -> Damage | None:
    """Return what is wrong with the JPEG streams: of the packings without a checksum, only they show damage."""
    if page.compression != COMPRESSION.JPEG:
        return None
    file, tables = page.parent.filehandle, (page.jpegtables or b"").removesuffix(END)
    for at, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(at)
        data = file.read(count)
        damage = damage_of(tables + data[2:] if tables else data) if count else None
        if damage not in (None, NO_END):
            return damage
    return None


def _check_streams(page: tifffile.TiffPage) -> None:
    """Refuse JPEG streams that are far larger than their part of the picture, or have very many scans."""
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    most = 4 * min(rows, max(page.imagelength, page.tilelength)) * columns + _SMALL_STREAM
    file = page.parent.filehandle
    for at, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if count:
            file.seek(at)
            data = file.read(count)
            jpeg.check_scans(data)
            width, height = jpeg.claimed_size(data)
            if width * height > most:
                raise ValueError(
                    f"a JPEG stream in it claims {width}x{height} pixels, more than its part of the picture"
                )


def _channels(page: tifffile.TiffPage) -> Samples:
    """Return the samples `[H, W]` or `[H, W, C]`, black at 0, at the full range of their type."""
    samples: npt.NDArray[Any] = page.asarray()
    if page.axes.startswith("S"):
        samples = np.moveaxis(samples, 0, -1)
    bits = int(page.bitspersample)
    if page.photometric == _PALETTE:
        return _looked_up(samples, page)
    samples = samples.astype(np.uint16 if bits > 8 else np.uint8, copy=False)
    if bits < 8:
        samples = np.rint(np.linspace(0, 255, 2**bits)).astype(np.uint8)[samples]
    elif 8 < bits < 16:
        samples = to_16bit(samples, bits)
    if page.photometric == _WHITE_IS_ZERO:
        color = samples[..., :1] if samples.ndim == 3 else samples
        np.subtract(np.iinfo(samples.dtype).max, color, out=color)
    if page.extrasamples and page.extrasamples[0] == EXTRASAMPLE.ASSOCALPHA:
        samples = unmultiplied(samples)
    return samples


def _split(samples: Samples, page: tifffile.TiffPage) -> tuple[Samples, Samples | None]:
    """Return the colours with their opacity, and a channel of which the file does not say what it is, or None.

    Writers that give RGB a fourth channel without a word, such as Panotools, mean opacity, and readers take it so.
    """
    silent = page.photometric == _RGB and not page.extrasamples
    if page.samplesperpixel == _colors(page) or page.extrasamples[:1] in _OPACITIES or silent:
        return samples, None
    return samples[..., :-1], np.ascontiguousarray(samples[..., -1])


def _looked_up(samples: npt.NDArray[Any], page: tifffile.TiffPage) -> Samples:
    """Return the colours of a palette, with a further channel if there is one."""
    colormap: npt.NDArray[np.uint16] | None = page.colormap
    if colormap is None:
        raise UnsupportedError("expected a palette TIFF with its palette, got one without; convert it to RGB")
    # By the standard the palette is 16-bit; some writers store 8-bit values.
    levels = colormap >> 8 if colormap.max() > 255 else colormap
    indices = samples if samples.ndim == 2 else samples[..., 0]
    colors = levels.T.astype(np.uint8)[indices.astype(np.intp, copy=False)]
    if samples.ndim == 2:
        return colors
    top = 2 ** int(page.bitspersample) - 1
    return np.dstack([colors, np.rint(samples[..., 1].astype(np.float32) * (255 / top)).astype(np.uint8)])


def _resolution(page: tifffile.TiffPage) -> tuple[Pair | None, Pair | None]:
    """Return `dpi` and `aspect` as in `Metadata`."""
    unit = page.tags.valueof("ResolutionUnit", default=2)
    pair = [page.tags.valueof(name) for name in ("XResolution", "YResolution")]
    if not all(isinstance(v, tuple) and len(v) == 2 and min(v) > 0 for v in pair):
        return None, None
    x, y = (v[0] / v[1] for v in pair)
    return density.told((x, y), exif.PER_INCH.get(int(unit)))
