"""Whether the samples of a JPEG file are damaged: libjpeg decodes them all the same, and Pillow keeps its warnings.

The warnings come from simplejpeg, which decodes at an eighth of the size for that. It passes on the first warning only,
so whatever may make sound files warn is removed before, or mended and the file checked again.

Reference:
    ITU-T T.81, "Digital compression and coding of continuous-tone still images".
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator

import simplejpeg

from lumen.imaging.picture import Damage

END = b"\xff\xd9"
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # frame header markers
SCAN = 0xDA

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # segment markers; the others may occur among samples
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_SEQUENTIAL = (0xC0, 0xC1)
_TABLES, _INTERVAL, _ADOBE = 0xC4, 0xDD, 0xEE
_DECISIVE = {0xDB, 0xCC, _TABLES, _INTERVAL, _ADOBE} | FRAMES  # what the samples depend on
_BETWEEN = {0xDB, _TABLES, _INTERVAL, SCAN, *range(0xE0, 0xF0), 0xFE}  # what may stand between two scans
_RESTARTS = range(0xD0, 0xD8)

NO_END = Damage(reason="the file lacks its end mark; the picture is whole", in_picture=False)

_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_FAULT = re.compile(r"Corrupt JPEG|Premature end|Unsupported marker|Invalid JPEG file|Bogus")
_EARLY = "Premature end of JPEG file"
_MOST_STRAY = 16  # bytes that cameras leave before a marker; a lost block of a picture takes more
_AHEAD = 8  # bytes that libjpeg takes before it needs them, and does not count
_MOST_SIDE = 4000  # blocks
_MOST_PIECES = 1 << 17  # a second
_ZEROS = bytes(256)


def damage_of(data: bytes) -> Damage | None:
    """Return what is wrong with the samples of a JPEG file, or None if nothing is.

    Damage that leaves the right number of blocks behind cannot be noticed: most single bits that are wrong.

    Args:
        data: The file; what stands behind its end mark does not matter.
    """
    plain = _plain(data)
    reason = _warning(plain)
    if is_cut := reason == _EARLY:
        plain += END
        reason = _warning(plain)
    reason = _lasting(reason, plain)
    if not reason and not _has_all_scans(plain):
        reason = "Corrupt JPEG data: scans are missing" if is_cut else "scans are missing"
    if not reason and _has_impossible_zeros(plain):
        reason = "Corrupt JPEG data: a part was replaced by zeros"
    if not reason:
        return NO_END if is_cut else None
    if _FAULT.match(reason):
        return Damage(reason=f"the picture is damaged: {reason.removeprefix('Corrupt JPEG data: ')}", in_picture=True)
    return unchecked(reason)


def unchecked(reason: str) -> Damage:
    """Return that nobody knows whether a picture is damaged, and why."""
    return Damage(
        reason=f"the picture cannot be checked for damage: {reason}; look at the result before you delete the input",
        in_picture=False,
    )


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of the segments up to the end mark, that too, without the samples behind scans."""
    at = 2
    while found := _MARKER.search(data, at):
        kind, start = data[found.start() + 1], found.start()
        at = start + 2 + (int.from_bytes(data[start + 2 : start + 4], "big") if kind != END[1] else 0)
        yield kind, start, at
        if kind == END[1]:
            return


def _plain(data: bytes) -> bytes:
    """Return a stream from its first to its last sample, without what sound files may warn of before that."""
    parts, is_sequential, body = [data[:2]], False, 0
    last = len(data)
    for kind, start, end in segments(data):
        if kind == END[1]:
            last = end
        elif kind == SCAN and not body:
            body = end
            # Some cameras leave out the range of coefficients, which a sequential scan has no use for.
            parts.append(data[start : end - 3] + b"\0\x3f\0" if is_sequential else data[start:end])
        elif kind in _DECISIVE and not body:
            is_sequential |= kind in _SEQUENTIAL
            parts.append(data[start:end])
    return b"".join([*parts, memoryview(data)[body:last]])


def _warning(data: bytes) -> str:
    """Return the first warning of libjpeg, or its error, or an empty string."""
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_factor=8, strict=True)
    except ValueError as error:
        return " ".join(str(error).split())
    return ""


def _lasting(reason: str, data: bytes) -> str:
    """Return the first warning again, unless it is about a few stray bytes, as sound files of many cameras have them.

    Then return what else there is to warn of.
    """
    if not (found := _STRAY.search(reason)):
        return reason
    count, kind = int(found[1]), int(found[2], 16)
    if kind == END[1] and not _is_harmless(data, count):
        return reason
    if kind in (END[1], *_RESTARTS):
        return _interval_fault(data)
    # Nobody knows between which scans it was, nor what else there would be to warn of.
    return f"there are {count} stray bytes between scans" if kind in _BETWEEN and count <= _MOST_STRAY else reason


def _is_harmless(data: bytes, count: int) -> bool:
    """Tell whether stray bytes before the end mark are few, or a run of one value that begins where the samples end."""
    last = len(data) - len(END)
    run = last - len(data[:last].rstrip(data[last - 1 : last]))
    return count <= _MOST_STRAY or 0 <= run - count <= _AHEAD


def _interval_fault(data: bytes) -> str:
    """Return the first warning of any restart interval but for stray bytes: each is checked as a picture of its own.

    A picture of as many blocks takes the same samples, whatever its shape. So stray bytes in one interval cannot hide
    what is wrong with the others.
    """
    found = {kind: data[start:end] for kind, start, end in segments(data)}
    scans = [end for kind, _, end in segments(data) if kind == SCAN]
    frame = next((found[kind] for kind in _SEQUENTIAL if kind in found), b"")
    per_interval = int.from_bytes(found.get(_INTERVAL, b"")[4:6], "big")
    if not per_interval:
        return ""  # there is but one, and the warning was about its end
    if not frame or len(scans) > 1:
        return "there are stray bytes among several scans"
    kinds = frame[9]
    factors = [divmod(frame[11 + 3 * index], 16) for index in range(kinds)] if kinds > 1 else [(1, 1)]
    across, down = (8 * max(each) for each in zip(*factors, strict=True))
    height, width = struct.unpack_from(">HH", frame, 5)
    total = math.ceil(width / across) * math.ceil(height / down)
    pieces = _RESTART.split(data[scans[0] : -len(END)])
    if len(pieces) != math.ceil(total / per_interval):
        return f"Corrupt JPEG data: {len(pieces)} of {math.ceil(total / per_interval)} parts are there"
    if len(pieces) > _MOST_PIECES:
        return "there are stray bytes among very many restart intervals"
    head = data[: scans[0]].replace(found[_INTERVAL], b"")
    for number, piece in enumerate(pieces):
        count = min(per_interval, total - number * per_interval)
        columns = next(each for each in range(min(count, _MOST_SIDE), 0, -1) if count % each == 0)
        shape = struct.pack(">HH", count // columns * down, columns * across)
        small = head.replace(frame, frame[:5] + shape + frame[9:]) + piece + END
        reason = _warning(small)
        stray = _STRAY.search(reason)
        if reason and not (stray and int(stray[2], 16) == END[1] and _is_harmless(small, int(stray[1]))):
            return reason
    return ""


def _has_all_scans(data: bytes) -> bool:
    """Tell whether the scans of a stream bring every coefficient of every component in full."""
    missing: dict[int, list[int]] = {}
    is_sequential = True
    for kind, start, end in segments(data):
        if kind in FRAMES:
            is_sequential = kind in _SEQUENTIAL
            missing = {data[at]: [16] * 64 for at in range(start + 10, end, 3)}
        elif kind == SCAN:
            first, last, bits = (0, 63, 0) if is_sequential else data[end - 3 : end]
            for component in data[start + 5 : end - 3 : 2]:
                missing[component][first : last + 1] = [bits & 15] * (last + 1 - first)
    return not any(map(any, missing.values()))


def _has_impossible_zeros(data: bytes) -> bool:
    """Tell whether there are zeros among the samples that no encoder writes.

    Black pictures may be long runs of zeros, if the code of an empty block is all zeros. With the usual code for
    brightness, zeros are coefficients of -1 without end, and 256 bytes of them fill every coefficient of ten blocks.
    """
    if _ZEROS not in data.removesuffix(END).rstrip(b"\0"):  # which may be padding
        return False
    parts = [(kind, data[start:end]) for kind, start, end in segments(data)]
    components = [part[9] for kind, part in parts if kind in _SEQUENTIAL]
    if components != [part[4] for kind, part in parts if kind == SCAN]:  # not all in one sequential scan
        return False
    for table in (part for kind, part in parts if kind == _TABLES):
        at = 4
        while at + 17 < len(table):
            if table[at] >> 4 and table[at + 17] & 15:  # its code of zeros stands for a coefficient
                return True
            at += 17 + sum(table[at + 1 : at + 17])
    return False
