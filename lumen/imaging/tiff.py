"""TIFF: tifffile for the samples, `lumen.imaging.exif` for the tags.

Pillow opens 16-bit RGB files as 8-bit and turns pixels by the orientation tag on its own; here both stay as stored.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import tifffile
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, SAMPLEFORMAT

from lumen.errors import UnsupportedError
from lumen.imaging import exif
from lumen.imaging.exif import ByteOrder, Directory, Entry
from lumen.imaging.picture import Metadata, Picture, Samples, check_size

# What tifffile logs is raised here as an error, or does not matter; without a handler Python prints it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_CFA, _LINEAR_RAW = 32803, 34892
_DNG_VERSION = 50706
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_LEVEL = 4  # deflate; half the time of level 6 for files a few percent larger

_WHITE_IS_ZERO, _GRAY, _RGB = PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB
_YCBCR, _PALETTE = PHOTOMETRIC.YCBCR, PHOTOMETRIC.PALETTE
_JPEGS = (COMPRESSION.OJPEG, COMPRESSION.JPEG)


def decode(stream: BinaryIO, max_pixels: int) -> Picture:
    """Decode the one picture of a TIFF file.

    Raises:
        UnsupportedError: A sound file of a kind not handled: several pages, CMYK, floats, camera raw, odd depths.
        ValueError: The file is damaged or ends early (tifffile's own errors derive from it, or from RuntimeError).
        EOFError: A tag's value lies beyond the end of the file.
    """
    # First the tags: tifffile takes one that lies beyond the end of the file for absent, and 16 bits for one.
    metadata = _metadata(stream)
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        page = _only_page(file)
        _check_kind(page)
        check_size(page.imagewidth, page.imagelength, max_pixels)
        _check_whole(page, file.filehandle.size)
        samples = _channels(page)
        dpi = _resolution(page)
    return Picture.from_channels(samples, kind="tiff", metadata=replace(metadata, dpi=dpi))


def encode(picture: Picture) -> tuple[bytes, list[str]]:
    """Return the picture as a deflated TIFF file, 8 or 16 bit, and a warning for each kind of metadata left out."""
    metadata, warnings = picture.metadata, []
    tags: Directory = {}
    order = exif.byte_order(metadata.exif or b"")
    if metadata.exif:
        try:
            tags = _picture_tags(exif.parse_block(metadata.exif))
        except (ValueError, EOFError):
            warnings.append("the EXIF block is malformed and was left out")
    if metadata.icc:
        tags[exif.ICC] = Entry(7, len(metadata.icc), metadata.icc)
    if metadata.xmp:
        tags[exif.XMP] = Entry(1, len(metadata.xmp), metadata.xmp)
    return _with_tags(_plain_file(picture, order), tags, order), warnings


def _plain_file(picture: Picture, order: ByteOrder) -> bytes:
    file = BytesIO()
    tifffile.imwrite(
        file,
        picture.to_channels(),
        bigtiff=False,
        byteorder=order,
        photometric="minisblack" if picture.gray else "rgb",
        planarconfig="contig",
        extrasamples=None if picture.alpha is None else ["unassalpha"],
        compression="adobe_deflate",
        compressionargs={"level": _LEVEL},
        predictor=True,
        resolution=picture.metadata.dpi,
        resolutionunit="INCH" if picture.metadata.dpi else None,
        metadata=None,
        software=False,
    )
    return file.getvalue()


def _with_tags(plain: bytes, tags: Directory, order: ByteOrder) -> bytes:
    """Return the file with `tags` in its directory: a new directory at the end takes the place of the first one."""
    if not tags:
        return plain
    directory = exif.read_directory(BytesIO(plain)) | tags
    base = len(plain) + len(plain) % 2
    header = plain[:4] + struct.pack(order + "I", base)
    padding = b"\0" * (base - len(plain))
    return b"".join([header, memoryview(plain)[8:], padding, exif.build_directory(directory, order, base)])


def _picture_tags(directory: Directory) -> Directory:
    """Keep what describes the picture; tags about storage belong to the file they came from."""
    kept = exif.DESCRIPTIVE | {exif.EXIF_IFD, exif.GPS_IFD}
    return {tag: entry for tag, entry in directory.items() if tag in kept}


def _metadata(stream: BinaryIO) -> Metadata:
    try:
        found = exif.read_directory(stream, exif.DESCRIPTIVE | {exif.XMP, exif.ICC})
        stream.seek(0)
        order = exif.byte_order(stream.read(2))
    except ValueError:
        return Metadata()
    tags = _picture_tags(found)
    icc, xmp = (found[tag].value if tag in found else None for tag in (exif.ICC, exif.XMP))
    return Metadata(
        exif=exif.build_block(tags, order) if tags else None,
        icc=icc if isinstance(icc, bytes) else None,
        xmp=xmp if isinstance(xmp, bytes) else None,
    )


def _only_page(file: tifffile.TiffFile) -> tifffile.TiffPage:
    page = file.pages.first
    if not isinstance(page, tifffile.TiffPage):
        raise ValueError("no directory")
    others = [int(p.keyframe.subfiletype if p.keyframe is p else p.aspage().subfiletype) for p in file.pages[1:]]
    if pages := sum(not kind & (_REDUCED | _MASK) for kind in others):
        raise UnsupportedError(f"expected one picture, got a TIFF of {pages + 1} pages; split it into files")
    return page


def _check_kind(page: tifffile.TiffPage) -> None:
    photometric = page.photometric
    if photometric in (_CFA, _LINEAR_RAW) or _DNG_VERSION in page.tags or page.subfiletype & _REDUCED:
        raise UnsupportedError("expected a developed picture, got camera raw data; export it as a 16-bit TIFF first")
    sound = photometric in (_WHITE_IS_ZERO, _GRAY, _RGB, _PALETTE)
    if not sound and not (photometric == _YCBCR and page.compression in _JPEGS):
        name = getattr(photometric, "name", photometric)
        raise UnsupportedError(f"expected a grey, RGB or palette TIFF, got {name}; convert it to RGB")
    if page.sampleformat != SAMPLEFORMAT.UINT or page.bitspersample not in (1, 2, 4, 8, 16):
        kind = getattr(page.sampleformat, "name", page.sampleformat)
        raise UnsupportedError(f"expected 8 or 16 bits a sample, got {page.bitspersample} ({kind}); convert it")
    color = 3 if photometric in (_RGB, _YCBCR) else 1
    if page.samplesperpixel not in (color, color + 1) or page.imagedepth > 1:
        raise UnsupportedError(f"expected {color} or {color + 1} channels a pixel, got {page.samplesperpixel}")


def _check_whole(page: tifffile.TiffPage, size: int) -> None:
    """Refuse a file that ends before its samples do, as some decoders fill the gap with black."""
    missing = any(at + count > size for at, count in zip(page.dataoffsets, page.databytecounts, strict=True))
    if missing or not any(page.databytecounts):
        raise ValueError("the file ends before its picture does")


def _channels(page: tifffile.TiffPage) -> Samples:
    """Return the samples `[H, W]` or `[H, W, C]`, black at 0, at the full range of their type."""
    samples: npt.NDArray[Any] = page.asarray()
    if page.axes.startswith("S"):
        samples = np.moveaxis(samples, 0, -1)
    bits = int(page.bitspersample)
    if page.photometric == _PALETTE:
        return _looked_up(samples, page.colormap)
    samples = samples.astype(np.uint16 if bits == 16 else np.uint8, copy=False)
    if bits < 8:
        samples = samples * np.uint8(255 // (2**bits - 1))
    if page.photometric == _WHITE_IS_ZERO:
        color = samples[..., :1] if samples.ndim == 3 else samples
        np.subtract(np.iinfo(samples.dtype).max, color, out=color)
    if page.extrasamples and page.extrasamples[0] == EXTRASAMPLE.ASSOCALPHA:
        samples = _unmultiplied(samples)
    return samples


def _looked_up(indices: npt.NDArray[Any], colormap: npt.NDArray[np.uint16] | None) -> Samples:
    if colormap is None or indices.ndim != 2:
        raise UnsupportedError("expected a palette TIFF of one channel with its palette; convert it to RGB")
    # The palette is 16-bit by the standard; some writers store 8-bit values in it.
    levels = colormap >> 8 if colormap.max() > 255 else colormap
    return levels.T.astype(np.uint8)[indices.astype(np.intp, copy=False)]


def _unmultiplied(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Divide the colours by the opacity that was multiplied into them."""
    top = int(np.iinfo(samples.dtype).max)
    for row in samples:
        alpha = np.maximum(row[:, -1:].astype(np.uint64), 1)
        row[:, :-1] = np.minimum((row[:, :-1] * np.uint64(top) + alpha // 2) // alpha, top)
    return samples


def _resolution(page: tifffile.TiffPage) -> tuple[float, float] | None:
    unit = page.tags.valueof("ResolutionUnit", default=2)
    per_inch = {2: 1.0, 3: 2.54}.get(int(unit))
    pair = [page.tags.valueof(name) for name in ("XResolution", "YResolution")]
    if per_inch is None or not all(isinstance(v, tuple) and len(v) == 2 and min(v) > 0 for v in pair):
        return None
    x, y = (v[0] / v[1] * per_inch for v in pair)
    return x, y
