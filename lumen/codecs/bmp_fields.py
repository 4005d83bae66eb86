"""BMP with bit fields: masks say which bits of a pixel are red, green, blue and opacity.

Pillow reads a few layouts, and imagecodecs masks of up to 8 bits.

Reference:
    Microsoft, "BITMAPV5HEADER structure (wingdi.h)".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from lumen.imaging.picture import Samples
from lumen.imaging.strips import strips

_HEADER = struct.Struct("<14xI10xHI20x4I")  # header size, bits a pixel, packing, masks
_FIELDS, _ALPHA_FIELDS = 3, 6
_WITH_ALPHA = 56  # bytes of a header that holds a mask for opacity
_OS2 = 64  # bytes of a header whose packing 3 means something else
# The layouts that are left to Pillow.
_COMMON = (
    (0xFF0000, 0xFF00, 0xFF, 0),
    (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    (0xF800, 0x7E0, 0x1F, 0),
    (0x7C00, 0x3E0, 0x1F, 0),
)


@dataclass(frozen=True, kw_only=True)
class Fields:
    """A layout of pixels.

    Attributes:
        masks: Masks of red, green, blue, and of opacity if there is one.
        bits: Bits a pixel, 16 or 32.
    """

    masks: tuple[int, ...]
    bits: int

    @property
    def deepest(self) -> int:
        """Bits of the widest mask."""
        return max(mask.bit_count() for mask in self.masks)


def layout_of(stream: BinaryIO) -> Fields | None:
    """Return the layout of a file, or None if it has no bit fields, or ones that Pillow reads."""
    stream.seek(0)
    head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return None
    size, bits, packing, *masks = _HEADER.unpack(head)
    if packing not in (_FIELDS, _ALPHA_FIELDS) or size == _OS2 or bits not in (16, 32):
        return None
    if packing == _FIELDS and size < _WITH_ALPHA:
        masks[3] = 0
    masks = [mask & (2**bits - 1) for mask in masks]
    if tuple(masks) in _COMMON or not any(masks[:3]):
        return None
    return Fields(masks=tuple(masks if masks[3] else masks[:3]), bits=bits)


def decode(stream: BinaryIO, fields: Fields, width: int, height: int) -> Samples:
    """Return the samples `[H, W, 3 or 4]` at full range: uint16 if a mask has more than 8 bits, otherwise uint8.

    Args:
        stream: The file.
        fields: Its layout.
        width: Columns.
        height: Rows; negative if the top one comes first.

    Raises:
        ValueError: It ends before its picture does, or a mask has gaps.
    """
    stream.seek(10)
    (start,) = struct.unpack("<I", stream.read(4))
    step, rows = (width * fields.bits + 31) // 32 * 4, abs(height)
    stream.seek(start)
    data = stream.read(step * rows)
    if len(data) < step * rows:
        raise ValueError("the file ends before its picture does")
    kind: npt.DTypeLike = "<u2" if fields.bits == 16 else "<u4"
    packed = np.frombuffer(data, kind).reshape(rows, -1)[:: 1 if height < 0 else -1, :width]
    deep = fields.deepest > 8
    samples: Samples = np.zeros((rows, width, len(fields.masks)), np.uint16 if deep else np.uint8)
    for channel, mask in enumerate(fields.masks):
        if not mask:  # black
            continue
        shift, bits = (mask & -mask).bit_length() - 1, mask.bit_count()
        if mask >> shift != 2**bits - 1:
            raise ValueError("a mask in it has gaps")
        shift += max(0, bits - 16)
        levels = np.rint(np.linspace(0, np.iinfo(samples.dtype).max, 2 ** min(bits, 16))).astype(samples.dtype)
        for part in strips(rows, width):
            samples[part, :, channel] = levels[(packed[part] & mask) >> shift]
    return samples
