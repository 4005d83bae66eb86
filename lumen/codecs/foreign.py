"""Files that are no pictures of a kind lumen reads, told by their first bytes, so that the message can help.

A file that may still be uploading is worth another attempt; one that already begins as no picture does is not.
"""

from __future__ import annotations

import codecs

from lumen.imaging.formats import CODECS

_VIDEO = "a video; save a frame as PNG"
_BOXED = (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free", b"pnot")

# Known formats: (offset, first bytes, what it is and what to do).
_KNOWN = (
    (0, b"8BPS", "Photoshop; save it as a 16-bit TIFF"),
    (4, b"jP  \r\n", "JPEG 2000; save it as PNG"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000; save it as PNG"),
    (0, b"v/1\x01", "OpenEXR; save it as a 16-bit TIFF"),
    (0, b"\0\0\1\0", "a Windows icon; save it as PNG"),
    (4, b"ftypmif3", "HEIF of the kind with a short header; save it as PNG"),
    (0, b"%PDF", "PDF; save its picture as PNG"),
    (0, b"PK\3\4", "a ZIP archive; unpack it"),
    (0, b"PK\5\6", "a ZIP archive; it is empty"),
    (0, b"\x1f\x8b", "a gzip archive; unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (0, b"Rar!\x1a\x07", "a RAR archive; unpack it"),
    (8, b"AVI ", _VIDEO),
    (8, b"WAVE", "sound; there is no picture in it"),
    (0, b"\x1aE\xdf\xa3", _VIDEO),  # Matroska, WebM
    (0, b"FLV\1", _VIDEO),
    (0, b"OggS", _VIDEO),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO),  # ASF, WMV
    (0, b"\0\0\1\xba", _VIDEO),  # MPEG
    (0, b"\0\0\1\xb3", _VIDEO),
    (0, b"\0\0\0\1", _VIDEO),  # H.264, H.265
    (0, b"G\x40", _VIDEO),  # a transport stream
)
# With one of these every file begins that may become a picture. Zeros stand where an uploader has reserved the size but
# not yet written, and at the start of boxes (HEIF, AVIF, JPEG XL).
_STARTS = (
    b"\0",
    b"RIFF",  # WebP
    b"II\x1a\0",  # CRW
    *(mark for codec in CODECS.values() for offset, mark in codec.marks if offset == 0),
)


def foreign_kind(head: bytes) -> str | None:
    """Return what a file is that can never become a picture lumen reads; None if it may.

    Args:
        head: Its first bytes, 64 if there are so many; the file may be longer or not complete yet.

    >>> foreign_kind(b"%PDF-1.7"), foreign_kind(bytes(64)), foreign_kind(b"GIF8")
    ('PDF; save its picture as PNG', None, None)
    """
    for offset, mark, name in _KNOWN:
        if head[offset:].startswith(mark):
            return name
    if (
        head[4:8] in _BOXED
        and len(head) >= min(64, max(12, int.from_bytes(head[:4], "big")))
        and head[8:12].strip(b"\0")
    ):
        return _VIDEO
    if any(head[: len(start)] == start[: len(head)] for start in _STARTS):
        return None
    return _text_kind(head) or f"a file that begins with {head[:4].hex(' ')}, as no picture does"


def _text_kind(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "text"
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return None
    if not all(each.isprintable() or each.isspace() for each in text):
        return None
    start = text.lstrip().lower()
    if start.startswith(("<!doctype html", "<html", "<head")):
        return "a web page, such as an error message of a server; download the picture again"
    if start.startswith(("<?xml", "<svg")):
        return "XML, such as an SVG drawing; save it as PNG"
    return "text"
