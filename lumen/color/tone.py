"""Tone curves: convert levels of other colour spaces to the curve of sRGB, for the network, and back.

The network was trained on sRGB. Converting a picture to sRGB and back would clip colours outside sRGB, but the network
only needs levels that mean the same light as in sRGB. So each channel is converted from the curve of its profile to
that of sRGB and back: nothing is clipped, and the primaries of the profile stay. Pictures with the curve of sRGB (sRGB
itself, Display P3) are unchanged. By hand on purpose: colour libraries convert between spaces, and here the space
stays.

`benchmarks/colors.py` on Kodak's 24 photographs, darkened by three stops, against the same enhanced in sRGB (mean
CIEDE2000): Adobe RGB unconverted 3.5, with its curve 0.8; ProPhoto 7.5 and 1.7; linear light 23 and 0.01; Display P3,
which needs no curve, 0.7. A conversion to sRGB keeps 85 % of the chroma of colours outside sRGB in Display P3, and 70 %
in ProPhoto.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lumen.color.icc import Curve, coded_profile, gamma_curve, tone_curves
from lumen.color.srgb import linear_to_srgb
from lumen.imaging.picture import Metadata, Samples

T = TypeVar("T", np.uint16, np.float32)

_LEVELS = 65536
_SAME = 1.5 / 255  # curves that differ by less are the same
_CHUNKS = (b"gAMA", b"sRGB", b"cICP")
_SRGB_GAMMA = 0.45455  # the gamma in PNG files that mean sRGB


@dataclass(frozen=True, kw_only=True, eq=False)
class Tone:
    """Tables from a picture's levels to those of the network and back; one for all channels, or one for each.

    Attributes:
        forward: uint16 [1 or 3, 256 or 65536], sRGB levels for the picture's own.
        backward: float32 [1 or 3, 65536], the picture's own levels for sRGB levels.
        share: float32, shape of `forward`: each level divided by its value after both tables. Where many levels of the
            picture map to one sRGB level (near black, for pure power curves), it separates them again.
    """

    forward: npt.NDArray[np.uint16]
    backward: npt.NDArray[np.float32]
    share: npt.NDArray[np.float32]

    def seen(self, pixels: Samples) -> npt.NDArray[np.uint16]:
        """Return sRGB levels, uint16 [H, W, 3], for the picture's own levels [H, W, 3]."""
        return _looked_up(self.forward, pixels)

    def stored(self, enhanced: Samples, pixels: Samples) -> Samples:
        """Return the picture's own levels for the network's result; `pixels` are the levels before it."""
        levels = _looked_up(self.backward, enhanced) * _looked_up(self.share, pixels)
        limited: Samples = np.minimum(np.rint(levels), np.iinfo(pixels.dtype).max).astype(pixels.dtype)
        return limited


def tone_of(metadata: Metadata, dtype: npt.DTypeLike) -> Tone | None:
    """Return the conversion of a picture's levels for the network, or None if none is needed or known.

    Args:
        metadata: The profile decides; in a PNG without one, its colour code or its gamma.
        dtype: Type of the pixels, uint8 or uint16.
    """
    curves = _curves(metadata)
    if curves is None or not all(_is_usable(curve) for curve in curves):
        return None
    seen = [np.asarray(linear_to_srgb(curve), np.float64) for curve in curves]
    level = np.linspace(0, 1, _LEVELS)
    if max(float(np.abs(each - level).max()) for each in seen) <= _SAME:
        return None
    tables = [_tables(each, np.iinfo(dtype).max + 1) for each in seen]
    forward, backward, share = (np.stack(parts) for parts in zip(*tables, strict=True))
    return Tone(forward=forward, backward=backward, share=share)


def tone_facts(metadata: Metadata) -> tuple[bytes | None, tuple[bytes, ...]]:
    """Return everything that `tone_of` depends on: if it is equal, so are the tones."""
    chunks = (each.kind + each.data for each in metadata.extras if each.format == "png" and each.kind in _CHUNKS)
    return metadata.icc, tuple(chunks)


def _curves(metadata: Metadata) -> tuple[Curve, ...] | None:
    if metadata.icc:
        return tone_curves(metadata.icc)
    chunks = {extra.kind: extra.data for extra in metadata.extras if extra.format == "png"}
    code, gamma = chunks.get(b"cICP", b""), chunks.get(b"gAMA", b"")
    if len(code) == 4:
        profile, _ = coded_profile(code[0], code[1])
        return tone_curves(profile) if profile else None
    if len(gamma) != 4 or b"sRGB" in chunks:
        return None
    value = struct.unpack(">I", gamma)[0] / 100_000
    if not 0.2 < value <= 1 or abs(value - _SRGB_GAMMA) < 0.01:
        return None
    return (gamma_curve(1 / value),)


def _is_usable(curve: Curve) -> bool:
    """Return whether the curve can be inverted: it rises from black to white."""
    return bool(curve[0] < 0.01 and curve[-1] > 0.99 and (np.diff(curve) >= 0).all())


def _tables(seen: Curve, count: int) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    level = np.linspace(0, 1, _LEVELS)
    own = np.arange(count)
    forward = np.rint(np.interp(own / (count - 1), level, seen) * (_LEVELS - 1))
    forward[1:] = np.maximum(forward[1:], 1)  # only black maps to black
    # Strictly rising, so that the inverse is unique.
    backward = np.interp(level, seen + level * 1e-9, level) * (count - 1)
    back = backward[forward.astype(np.intp)]
    share = np.divide(own, back, out=np.ones(count), where=back > 0)
    return forward.astype(np.uint16), backward.astype(np.float32), share.astype(np.float32)


def _looked_up(tables: npt.NDArray[T], pixels: Samples) -> npt.NDArray[T]:
    if len(tables) == 1:
        return np.take(tables[0], pixels)
    return np.stack([np.take(table, pixels[..., channel]) for channel, table in enumerate(tables)], axis=-1)
