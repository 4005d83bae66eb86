"""ICC profiles: make them, read their tone curves, and apply them to CMYK.

Made and read by hand on purpose: the bytes are the same every time, and libraries do not give the curves. LittleCMS
converts the colours.

Reference:
    International Color Consortium, "Specification ICC.1:2022", and ICC.1:2001-04 for the version 2 profiles made here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from lumen.color.srgb import srgb_to_linear
from lumen.errors import UnsupportedError
from lumen.imaging.strips import strips

Curve = NDArray[np.float64]

SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3_PRIMARIES = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))

# Chromaticities for the codes of colour primaries in AVIF, HEIF and PNG files; the white is always D65.
_PRIMARIES = {
    1: SRGB_PRIMARIES,
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    7: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
    12: P3_PRIMARIES,
}
_LIKE_SRGB = (1, 2, 6, 13, 14, 15)  # the curve of sRGB, and curves that are displayed as if they were
_POWERS = {4: 2.2, 5: 2.8, 8: 1.0}
_UNSPECIFIED = 2
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}

_D65, _D50 = (0.3127, 0.3290), (0.9642, 1.0, 0.8249)
# Bradford cone response, for chromatic adaptation.
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_HEADER, _ENTRY = 128, 12
_MAX_TAGS = 200
_RELATIVE, _BLACK_POINT = 1, 8192  # LittleCMS: intent and flag
_STRIP_PIXELS = 1 << 22


@cache
def srgb_profile() -> bytes:
    """Return a small sRGB profile, the same bytes every time."""
    return matrix_profile(SRGB_PRIMARIES, "sRGB")


def coded_profile(primaries: int, transfer: int) -> tuple[bytes | None, tuple[str, ...]]:
    """Return the profile for colour codes, for files without a profile of their own.

    Args:
        primaries: Code of the colour primaries by ITU-T H.273; 2 if unspecified.
        transfer: Code of the transfer curve by ITU-T H.273; 2 if unspecified.

    Returns:
        The profile, None for sRGB; and a note if a code has no profile and the colours are treated as sRGB.

    Reference:
        ITU-T H.273, tables 2 and 3.
    """
    if primaries in (1, _UNSPECIFIED) and transfer in _LIKE_SRGB:
        return None, ()
    known = _PRIMARIES.get(1 if primaries == _UNSPECIFIED else primaries)
    if known is None or transfer not in (*_LIKE_SRGB, *_POWERS):
        code = f"{primaries}/{transfer}"
        return None, (f"the colours are treated as sRGB: their code {code} has no profile; they may look different",)
    if primaries == 12 and transfer in _LIKE_SRGB:
        return p3_profile(), ()
    return matrix_profile(known, f"colour code {primaries}/{transfer}", _POWERS.get(transfer)), ()


def profile_or_coded(profile: bytes | None, primaries: int, transfer: int) -> tuple[bytes | None, tuple[str, ...]]:
    """Return a file's own profile, or the result of `coded_profile` if it has none."""
    return (profile, ()) if profile else coded_profile(primaries, transfer)


def refuse_hdr(transfer: int) -> None:
    """Refuse HDR pictures, whose levels have another meaning.

    Raises:
        UnsupportedError: The transfer curve is an HDR curve.
    """
    if transfer in HDR_TRANSFERS:
        raise UnsupportedError(
            f"expected a picture for ordinary screens, got one for HDR ({HDR_TRANSFERS[transfer]}); convert it to SDR"
        )


@cache
def p3_profile() -> bytes:
    """Return a small Display P3 profile, the same bytes every time."""
    return matrix_profile(P3_PRIMARIES, "Display P3")


def matrix_profile(primaries: Sequence[tuple[float, float]], name: str, gamma: float | None = None) -> bytes:
    """Return a version 2 profile of an RGB space with D65 white.

    Args:
        primaries: Chromaticities x, y of red, green and blue.
        name: Name that programs show.
        gamma: Exponent of all three curves; None means the curve of sRGB.
    """
    text = name.encode("ascii") + b"\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": description, b"cprt": b"text\0\0\0\0no copyright\0", b"wtpt": _xyz(_D50)}
    tags |= {tag: _xyz(column) for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _colorants(primaries), strict=True)}
    if gamma is None:
        levels = np.rint(srgb_to_linear(np.linspace(0, 1, 1024)) * 65535).astype(">u2")
        curve = b"curv\0\0\0\0" + struct.pack(">I", len(levels)) + levels.tobytes()
    else:
        curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return _profile(tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def is_sound(profile: bytes) -> bool:
    """Return whether the bytes have the structure of a profile: length, signature, and tags inside it."""
    if len(profile) < _HEADER + 4 or profile[36:40] != b"acsp":
        return False
    size, count = struct.unpack_from(">I", profile)[0], struct.unpack_from(">I", profile, _HEADER)[0]
    return bool(_HEADER < size <= len(profile) and 0 < count <= _MAX_TAGS and len(_tags(profile)) == count)


def color_space(profile: bytes | None) -> str:
    """Return the colour space of a profile, such as `RGB`, `GRAY` or `CMYK`, or an empty string for none."""
    return profile[16:20].decode("latin-1").strip() if profile and is_sound(profile) else ""


def tone_curves(profile: bytes, size: int = 65536) -> tuple[Curve, ...] | None:
    """Return the curves from levels to light: one for all channels, or three.

    Args:
        profile: An ICC profile.
        size: Number of levels, evenly spaced from 0 to 1.

    Returns:
        float64 [size] each, light in [0, 1]; None if the profile has no curves (it uses tables, or is malformed).
    """
    if not is_sound(profile) or color_space(profile) not in ("RGB", "GRAY"):
        return None
    tags = _tags(profile)
    if any(tag.startswith(b"A2B") for tag in tags):
        return None
    found = [tags[name] for name in (b"rTRC", b"gTRC", b"bTRC") if name in tags] or [tags.get(b"kTRC", b"")]
    distinct = found[:1] if all(each == found[0] for each in found) else found
    try:
        with np.errstate(all="ignore"):  # NaN and infinity are checked below
            curves = tuple(_curve(tag, np.linspace(0, 1, size)) for tag in distinct)
    except (struct.error, ValueError):
        return None
    return curves if len(curves) in (1, 3) and all(np.isfinite(curve).all() for curve in curves) else None


def rgb_of_cmyk(samples: NDArray[Any], profile: bytes | None) -> tuple[NDArray[Any], str]:
    """Convert CMYK to sRGB.

    With a profile, the conversion is relative colorimetric with black point compensation, as in print programs. Without
    one, each ink is assumed to absorb its share of the light.

    Args:
        samples: uint8 or uint16 [H, W, 4], or [H, W, 5] with opacity; 0 is no ink.
        profile: The CMYK profile of the file, if it has one.

    Returns:
        The same type [H, W, 3], or [H, W, 4] with the same opacity, and a note on the conversion.
    """
    inks, opacity = samples[..., :4], samples[..., 4:]
    pixels, note = (
        None,
        "the picture was converted from CMYK to RGB with its colour profile; it looks the same on screens",
    )
    if color_space(profile) == "CMYK" and profile:
        with suppress(RuntimeError, ValueError):
            pixels = _matched(inks, profile, "cmyk")
    if pixels is None:
        pixels = _without_profile(inks)
        note = "the picture was converted from CMYK to RGB without a sound profile, so its colours are approximate"
    return np.concatenate([pixels, opacity], axis=2) if opacity.size else pixels, note


def to_srgb(pixels: NDArray[Any], profile: bytes | None) -> NDArray[Any]:
    """Convert RGB to sRGB by its profile, for viewing: colours outside of sRGB are clipped.

    Args:
        pixels: uint8 or uint16 [H, W, 3].
        profile: The RGB or grey profile of the file, if it has one.

    Returns:
        Shape and type of `pixels`; the pixels themselves without a sound profile.
    """
    space = {"RGB": "rgb", "GRAY": "gray"}.get(color_space(profile))
    if space is None or profile is None or profile == srgb_profile():
        return pixels
    with suppress(RuntimeError, ValueError):
        return _matched(pixels if space == "rgb" else pixels[..., 0], profile, space)
    return pixels


def _matched(samples: NDArray[Any], profile: bytes, space: str) -> NDArray[Any]:
    """Return sRGB of the type of `samples`, [H, W, C] or grey [H, W] in the space of a profile."""
    height, width = samples.shape[:2]
    pixels = np.empty((height, width, 3), samples.dtype)
    for rows in strips(height, width, _STRIP_PIXELS):
        pixels[rows] = imagecodecs.cms_transform(
            np.ascontiguousarray(samples[rows]),
            profile,
            srgb_profile(),
            colorspace=space,
            outcolorspace="rgb",
            intent=_RELATIVE,
            flags=_BLACK_POINT,
        )
    return pixels


def _without_profile(samples: NDArray[Any]) -> NDArray[Any]:
    top = int(np.iinfo(samples.dtype).max)
    pixels = np.empty((*samples.shape[:2], 3), samples.dtype)
    for y, row in enumerate(samples):
        left = (top - row).astype(np.uint64)
        pixels[y] = (left[:, :3] * left[:, 3:] + top // 2) // top
    return pixels


def _profile(tags: dict[bytes, bytes]) -> bytes:
    """Return a version 2 display profile; tags with equal content share one place."""
    start = _HEADER + 4 + _ENTRY * len(tags)
    places: dict[bytes, int] = {}
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"\0\0\0\0", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    return header.ljust(_HEADER, b"\0") + table + body


def _colorants(primaries: Sequence[tuple[float, float]]) -> list[NDArray[np.float64]]:
    """Return XYZ of red, green and blue at full level, adapted from D65 to D50, the white of profiles."""
    white = _of_chromaticity(*_D65)
    unscaled = np.array([_of_chromaticity(x, y) for x, y in primaries]).T
    scaled = unscaled * np.linalg.solve(unscaled, white)
    gains = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ white)
    adapted = np.linalg.solve(_BRADFORD, gains[:, np.newaxis] * _BRADFORD) @ scaled
    return list(adapted.T)


def _of_chromaticity(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Return the tags whose content is inside the profile."""
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    found = {}
    for at in range(_HEADER + 4, _HEADER + 4 + _ENTRY * min(count, _MAX_TAGS), _ENTRY):
        if at + _ENTRY > len(profile):
            break
        name, start, size = struct.unpack_from(">4sII", profile, at)
        if start >= _HEADER and start + size <= len(profile):
            found[name] = profile[start : start + size]
    return found


def _curve(tag: bytes, level: Curve) -> Curve:
    """Return light for levels in [0, 1], by a `curv` or `para` tag."""
    if tag[:4] == b"para":
        return np.clip(_parametric(tag, level), 0, 1)
    if tag[:4] != b"curv":
        raise ValueError("no curve")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return level
    if count == 1:
        return np.asarray(level ** (struct.unpack_from(">H", tag, 12)[0] / 256), np.float64)
    table = np.frombuffer(tag, ">u2", count, 12) / 65535
    return np.interp(level, np.linspace(0, 1, count), table)


def _parametric(tag: bytes, x: Curve) -> Curve:
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}.get(kind)
    if count is None:
        raise ValueError("no curve")
    values = [value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12)]
    g, a, b, c, d, e, f = (values + [0.0] * 7)[:7]
    if kind == 0:
        return np.asarray(x**g, np.float64)
    if kind == 1:
        offset, start, below = 0.0, -b / a if a else 0.0, np.zeros_like(x)
    elif kind == 2:
        offset, start, below = c, -b / a if a else 0.0, np.full_like(x, c)
    else:
        offset, start, below = e, d, c * x + f
    return np.where(x >= start, np.maximum(a * x + b, 0) ** g + offset, below)
