"""IPTC fields: inside Photoshop's image resources, or on their own in a TIFF tag.

They are kept as a sequence of resources; previews among them are dropped, because they would stay dark. Written by hand
on purpose: resources are kept byte for byte.

Reference:
    Adobe, "Photoshop File Formats Specification", image resource blocks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_SIGNATURE = b"8BIM"
_IPTC = 0x0404
_PREVIEWS = {0x0409, 0x040C}
_FIRST_FIELD = 0x1C  # the first byte of every IPTC field


def cleaned(resources: bytes) -> bytes | None:
    """Return image resources without their previews, or None if nothing readable is left."""
    return b"".join(block for code, _, block in _blocks(resources) if code not in _PREVIEWS) or None


def wrapped(fields: bytes) -> bytes | None:
    """Return the bare IPTC fields of a TIFF file as an image resource, or None if they are not IPTC fields.

    Some writers store them as 32-bit numbers, with their bytes in the wrong order.
    """
    if len(fields) % 4 == 0 and fields[:1] != bytes([_FIRST_FIELD]) and fields[3:4] == bytes([_FIRST_FIELD]):
        fields = b"".join(fields[at : at + 4][::-1] for at in range(0, len(fields), 4))
    if fields[:1] != bytes([_FIRST_FIELD]):
        return None
    return _SIGNATURE + struct.pack(">HHI", _IPTC, 0, len(fields)) + fields + bytes(len(fields) % 2)


def fields_of(resources: bytes) -> bytes | None:
    """Return the bare IPTC fields in image resources, or None."""
    return next((data for code, data, _ in _blocks(resources) if code == _IPTC), None)


def _blocks(resources: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (code, content, whole block) up to the first malformed block."""
    at = 0
    while resources[at : at + 4] == _SIGNATURE and at + 12 <= len(resources):
        (code,) = struct.unpack_from(">H", resources, at + 4)
        name = 1 + resources[at + 6]
        size_at = at + 6 + name + name % 2
        if size_at + 4 > len(resources):
            return
        (size,) = struct.unpack_from(">I", resources, size_at)
        end = size_at + 4 + size
        if end > len(resources):
            return
        yield code, resources[size_at + 4 : end], resources[at:end] + bytes(size % 2)
        at = end + size % 2
