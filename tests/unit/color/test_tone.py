"""Levels go through the curve of their colour space to the network and back."""

from __future__ import annotations

import struct
import warnings
from typing import Any

import numpy as np
import pytest

from lumen.color.icc import SRGB_PRIMARIES, matrix_profile, p3_profile, srgb_profile
from lumen.color.srgb import linear_to_srgb, srgb_to_linear
from lumen.color.tone import Tone, tone_of
from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.imaging.picture import Extra, Metadata, Picture
from tests.support.corpus import ADOBE, LINEAR, PROPHOTO
from tests.support.crafted import cmyk_profile, gray_profile
from tests.support.fakes import FakeModels
from tests.support.files import icc, ramp


def gamma(value: int, *more: tuple[bytes, bytes]) -> Metadata:
    chunks = ((b"gAMA", struct.pack(">I", value)), *more)
    return Metadata(extras=tuple(Extra(format="png", kind=kind, data=data, label="x") for kind, data in chunks))


def tone(metadata: Metadata, dtype: Any = np.uint16) -> Tone:
    found = tone_of(metadata, dtype)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "metadata",
    [
        Metadata(),
        Metadata(icc=icc()),
        Metadata(icc=srgb_profile()),
        Metadata(icc=p3_profile()),
        Metadata(icc=cmyk_profile()),
        Metadata(icc=b"rubbish" * 40),
        gamma(45455),
        gamma(100_000, (b"sRGB", b"\0")),
        gamma(0),
    ],
)
def test_pictures_with_the_curve_of_srgb_are_left_alone(metadata: Metadata) -> None:
    assert tone_of(metadata, np.uint8) is None


@pytest.mark.parametrize("profile", [ADOBE, PROPHOTO, LINEAR, gray_profile()])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_there_and_back_changes_no_level(profile: bytes, dtype: Any) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    pixels = np.repeat(levels[np.newaxis, :, np.newaxis], 3, axis=2)
    found = tone(Metadata(icc=profile), dtype)
    seen = found.seen(pixels)
    assert seen.dtype == np.uint16
    assert (np.diff(seen[0, :, 0].astype(int)) >= 0).all()
    np.testing.assert_array_equal(found.stored(seen, pixels), pixels)


def test_levels_mean_the_light_they_mean_in_srgb() -> None:
    pixels = np.full((1, 1, 3), 20_000, np.uint16)
    for metadata, power in ((Metadata(icc=LINEAR), 1.0), (Metadata(icc=PROPHOTO), 1.8), (gamma(50_000), 2.0)):
        expected = float(linear_to_srgb((20_000 / 65535) ** power)) * 65535
        assert tone(metadata).seen(pixels)[0, 0, 0] == pytest.approx(expected, abs=40)


def test_channels_may_have_curves_of_their_own() -> None:
    profile = matrix_profile(SRGB_PRIMARIES, "x", 1.0)
    other = b"curv\0\0\0\0" + struct.pack(">IH", 1, 2 * 256) + b"\0\0"
    at = len(profile)
    entry = profile.index(b"gTRC", 128)
    changed = profile[: entry + 4] + struct.pack(">II", at, 14) + profile[entry + 12 :] + other
    changed = struct.pack(">I", len(changed)) + changed[4:]
    seen = tone(Metadata(icc=changed)).seen(np.full((1, 1, 3), 20_000, np.uint16))[0, 0].astype(int)
    assert seen[0] == seen[2]
    assert seen[0] > seen[1] + 5000


def picture(profile: bytes | None, dtype: Any = np.uint8) -> Picture:
    return Picture(pixels=ramp(60, 90, dtype=dtype), metadata=Metadata(icc=profile), format="png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_network_sees_srgb_and_the_picture_keeps_its_space(dtype: Any) -> None:
    models = FakeModels(gain=0.5)
    made = picture(LINEAR, dtype)
    found = enhance_picture(made, models)
    assert list(models.opened) == ["uint16"]
    assert found.pixels.dtype == dtype
    assert found.metadata.icc == LINEAR
    # Half of the level in sRGB is far less than half of the light.
    top = np.iinfo(dtype).max
    for level in (0.1, 0.3, 0.5):
        near = np.abs(made.pixels / top - level) < 0.01
        half = float(linear_to_srgb(level)) / 2
        assert found.pixels[near].mean() / top == pytest.approx(float(srgb_to_linear(half)), abs=0.01)
        assert float(srgb_to_linear(half)) < level * 0.35


def test_tiles_and_strength_do_not_show() -> None:
    made = picture(ADOBE, np.uint16)
    whole = enhance_picture(made, FakeModels(radius=2)).pixels
    tiled = enhance_picture(made, FakeModels(radius=2), EnhanceOptions(tile_px=64)).pixels
    np.testing.assert_array_equal(whole, tiled)
    half = enhance_picture(made, FakeModels(radius=2), EnhanceOptions(strength=0.5)).pixels
    assert np.abs(half - (made.pixels.astype(float) + whole) / 2).max() <= 0.5


@pytest.mark.parametrize("values", [(0, -1.0), (4, 3000.0, 1.0, 2.0, 1.0, 0.0, 0.0, 0.0)])
def test_curves_without_sense_are_passed_over_silently(values: tuple[float, ...]) -> None:
    kind, *numbers = values
    curve = b"para\0\0\0\0" + struct.pack(f">HH{len(numbers)}i", int(kind), 0, *(round(n * 65536) for n in numbers))
    plain = matrix_profile(SRGB_PRIMARIES, "x", 1.0)
    (offset, size) = struct.unpack_from(">II", plain, plain.index(b"rTRC") + 4)
    bad = bytearray(plain[:offset] + curve + plain[offset + size :])
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        struct.pack_into(">I", bad, bad.index(name) + 8, len(curve))
    struct.pack_into(">I", bad, 0, len(bad))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tone_of(Metadata(icc=bytes(bad)), np.uint8) is None
