"""How densely pixels lie: per inch, or per a length that nobody knows, so that only their shape counts."""

from __future__ import annotations

import re
import struct
from fractions import Fraction

from lumen.imaging.picture import Metadata, Pair

_SPACINGS = re.compile(rb"pasp(.{8})", re.DOTALL)
_SAME = 0.005


def told(pair: Pair, per_inch: float | None) -> tuple[Pair | None, Pair | None]:
    """Return what a density says: `dpi` and `aspect` as in `Metadata`, of which one at least is None.

    Args:
        pair: Pixels per unit, horizontal and vertical; nothing is said if one is not positive.
        per_inch: Units per inch; None for an unknown unit.
    """
    x, y = pair
    if min(pair) <= 0:
        return None, None
    if per_inch is None:
        return None, pair if x != y else None
    return (x * per_inch, y * per_inch), None


def whole(pair: Pair, most: int) -> tuple[int, int]:
    """Return whole numbers from 1 to `most` with the same ratio, or nearly so."""
    x, y = pair
    if x == int(x) and y == int(y) and max(pair) <= most:
        return int(x), int(y)
    ratio = Fraction(min(pair) / max(pair)).limit_denominator(most)
    low, high = (ratio.numerator, ratio.denominator) if ratio else (1, most)
    return (low, high) if x < y else (high, low)


def same_shape(one: Pair, other: Pair) -> bool:
    """Return whether two densities mean the same shape of pixels, but for what rounding leaves."""
    left, right = one[0] * other[1], one[1] * other[0]
    return abs(left - right) <= _SAME * max(left, right)


def shape_in_boxes(head: bytes) -> Pair | None:
    """Return the `aspect` of the pictures in an AVIF or HEIF file, from the boxes that describe them.

    Reference:
        ISO/IEC 14496-12, the box `pasp`.
    """
    shapes = {struct.unpack(">II", found[1]) for found in _SPACINGS.finditer(head)}
    if len(shapes) != 1:
        return None
    width, height = shapes.pop()
    return told((height, width), None)[1]


def shape_of(metadata: Metadata) -> Pair:
    """Return the density that tells the shape of the pixels; they are square if nothing is told."""
    return metadata.dpi or metadata.aspect or (1, 1)
