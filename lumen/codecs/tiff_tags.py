"""TIFF tags that only a TIFF file can hold: the transfer function, and what microscopes write.

They are kept apart from the EXIF block, which would outgrow the segment of a JPEG file with them. Each is an extra: its
kind is the number of the tag, its data are byte order, type, number of values and values, as they stand in the file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO, Final

import tifffile
from tifffile import PHOTOMETRIC

from lumen.codecs import exif
from lumen.codecs.exif import ByteOrder, Directory, Entry
from lumen.imaging.picture import Extra

_TRANSFER: Final = 301
# Texts and tables of Olympus FluoView, Zeiss SEM, FEI, TVIPS, ImageJ and Micro-Manager; none points into the file.
_MICROSCOPES: Final = frozenset([33471, 34118, 34361, 34362, 34680, 34682, 37706, 43314, 50838, 50839, 51123])
# Of MetaMorph, Olympus SIS and Zeiss LSM: they say where in the file other things lie.
_POINTING: Final = frozenset([33560, 33628, 33629, 33630, 33631, 34412])
_CARRIED: Final = {_TRANSFER: "transfer function", **dict.fromkeys(_MICROSCOPES, "microscope data")}
_FIRST_PRIVATE: Final = 32768
# Private tags that are handled elsewhere, or do not describe the picture: storage, layers, hints for printers, padding.
_NEEDLESS: Final = exif.DESCRIPTIVE | {
    *(exif.EXIF_IFD, exif.GPS_IFD, exif.INTEROP_IFD, exif.ICC, exif.IPTC, exif.PHOTOSHOP),
    *(32781, 32932, *range(32953, 32956), *range(32995, 32999), 37724, 50341, 59932, 59933),
}


def read(stream: BinaryIO, page: tifffile.TiffPage) -> tuple[tuple[Extra, ...], tuple[str, ...]]:
    """Return the tags of a page that are carried, and notes about those that are left out."""
    try:
        found = exif.read_directory(stream, frozenset(_CARRIED), lenient=True)
    except (ValueError, EOFError):
        return (), ()  # a note says already that the metadata are malformed
    stream.seek(0)
    mark = stream.read(2)
    order: ByteOrder = exif.byte_order(mark)
    notes = list[str]()
    if _TRANSFER in found and not _fits(found[_TRANSFER], page):
        del found[_TRANSFER]
        notes.append(
            "the transfer function was left out: it is for samples as they were stored in the file; few programs use it"
        )
    codes = {int(tag.code) for tag in page.tags}
    if codes & _POINTING:
        notes.append("the microscope data were left out: they point into their file, which measurements need")
    unknown = sorted(code for code in codes - _NEEDLESS - _POINTING - set(_CARRIED) if code >= _FIRST_PRIVATE)
    if unknown:
        numbers = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        notes.append(f"private tags were left out: {numbers}; only the program that wrote them reads them")
    extras = (
        Extra(
            format="tiff",
            kind=struct.pack(">H", tag),
            data=mark + struct.pack(order + "HI", entry.kind, entry.count) + entry.value,
            label=_CARRIED[tag],
        )
        for tag, entry in found.items()
        if tag in _CARRIED and isinstance(entry.value, bytes)
    )
    return tuple(extras), tuple(notes)


def order_of(extras: Sequence[Extra]) -> ByteOrder | None:
    """Return the byte order of the tags, in which their file must be written, or None if there are none."""
    return next((exif.byte_order(extra.data) for extra in extras if extra.format == "tiff"), None)


def directory_of(extras: Sequence[Extra]) -> Directory:
    """Return the tags among the extras of a picture."""
    found: Directory = {}
    for extra in extras:
        if extra.format == "tiff":
            (tag,) = struct.unpack(">H", extra.kind)
            kind, count = struct.unpack_from(exif.byte_order(extra.data) + "HI", extra.data, 2)
            found[tag] = Entry(kind, count, extra.data[8:])
    return found


def _fits(transfer: Entry, page: tifffile.TiffPage) -> bool:
    """Return whether a transfer function still has a value for each level when the picture is stored again."""
    bits = int(page.bitspersample)
    same = bits in (8, 16) and page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.MINISBLACK)
    return same and transfer.count in (2**bits, 3 * 2**bits)
