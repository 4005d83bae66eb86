"""How long a file says it is, by the sizes that its container names: a shorter one is cut off at its end."""

from __future__ import annotations

from typing import BinaryIO, Final

_BOXES: Final = (b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def promised_bytes(file: BinaryIO) -> int:
    """Return how long a file of MP4, MOV, Matroska, WebM or AVI says it is; 0 if it does not say."""
    file.seek(0)
    head = file.read(64)
    if head[4:8] in _BOXES:
        return _end_of_boxes(file)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        size = int.from_bytes(head[4:8], "little")
        return 8 + size if size else 0  # 0 was never filled in
    if head[:4] == _EBML:
        start = head.find(_SEGMENT)
        return _end_of_element(head, start + 4) if start > 0 else 0
    return 0


def _end_of_boxes(file: BinaryIO) -> int:
    """Return where the last of the boxes ends that follow each other from the start."""
    end = 0
    while True:
        file.seek(end)
        head = file.read(16)
        size = int.from_bytes(head[:4])
        if size == 1 and len(head) == 16:
            size = int.from_bytes(head[8:])
        if len(head) < 8 or size < 8:  # the end, a box that goes to the end, or none
            return end
        end += size


def _end_of_element(head: bytes, at: int) -> int:
    """Return where an EBML element ends whose size stands at a place; 0 if that is unknown, as in a live stream."""
    first = head[at : at + 1]
    length = 9 - int.from_bytes(first).bit_length()
    if not 1 <= length <= 8 or len(head) < at + length:
        return 0
    unknown = (1 << 7 * length) - 1
    size = int.from_bytes(head[at : at + length]) & unknown
    return 0 if size == unknown else at + length + size
