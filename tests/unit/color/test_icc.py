"""Colour profiles: made, looked into, and applied to CMYK."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from lumen.color import icc
from tests.support.crafted import cmyk_profile, gray_profile, printed
from tests.support.files import icc as pillows_srgb
from tests.support.files import ramp


def convert(pixels: Any, source: bytes, target: bytes) -> Any:
    return imagecodecs.cms_transform(pixels, source, target, colorspace="rgb", outcolorspace="rgb", intent=1)


@pytest.mark.parametrize("profile", [icc.srgb_profile(), icc.p3_profile()])
def test_our_profiles_are_read_by_others(profile: bytes) -> None:
    opened = ImageCms.ImageCmsProfile(BytesIO(profile))
    assert opened.profile.xcolor_space.strip() == "RGB"
    assert opened.profile.version == pytest.approx(2.1, abs=0.05)
    assert icc.is_sound(profile)
    assert icc.color_space(profile) == "RGB"


def test_our_srgb_is_srgb_and_p3_is_wider() -> None:
    pixels = ramp(64, 64)
    assert np.array_equal(convert(pixels, icc.srgb_profile(), pillows_srgb()), pixels)
    red = np.full((1, 1, 3), (255, 0, 0), np.uint8)
    in_p3 = convert(red, pillows_srgb(), icc.p3_profile())[0, 0]
    assert np.abs(in_p3.astype(int) - (234, 51, 35)).max() <= 1  # as published for Display P3


def test_the_same_bytes_every_time() -> None:
    icc.srgb_profile.cache_clear()
    first = icc.srgb_profile()
    icc.srgb_profile.cache_clear()
    assert icc.srgb_profile() == first


@pytest.mark.parametrize("profile", [b"", b"rubbish" * 40, icc.srgb_profile()[:200], icc.srgb_profile()[:-1]])
def test_malformed_profiles_are_told(profile: bytes) -> None:
    assert not icc.is_sound(profile)
    assert icc.color_space(profile) == ""
    assert icc.tone_curves(profile) is None


def test_curves_are_those_that_little_cms_uses() -> None:
    gray = np.linspace(0, 1, 256)
    linear = icc.matrix_profile(icc.SRGB_PRIMARIES, "linear", 1.0)
    for profile in (pillows_srgb(), icc.p3_profile(), icc.matrix_profile(icc.SRGB_PRIMARIES, "x", 1.8)):
        (curve,) = icc.tone_curves(profile, 256) or ()
        levels = np.rint(gray * 65535).astype(np.uint16)[np.newaxis, :, np.newaxis].repeat(3, 2)
        light = convert(np.ascontiguousarray(levels), profile, linear)[0, :, 1] / 65535
        assert np.abs(curve - light).max() < 1e-3


def test_grey_profiles_have_a_curve_and_cmyk_ones_none() -> None:
    (curve,) = icc.tone_curves(gray_profile(), 3) or ()
    assert curve[1] == pytest.approx(0.5**2.2, abs=2e-3)
    assert icc.tone_curves(cmyk_profile()) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("profiled", [False, True])
def test_cmyk_becomes_what_others_show(dtype: Any, profiled: bool) -> None:
    inks = ramp(37, 53, 4)
    profile = cmyk_profile() if profiled else None
    scale = 257 if dtype == np.uint16 else 1
    pixels, note = icc.rgb_of_cmyk(inks.astype(dtype) * dtype(scale), profile)
    assert pixels.dtype == dtype
    assert ("with its colour profile" in note) is profiled
    assert np.abs(pixels / scale - printed(inks, profile)).max() <= 2


def test_a_profile_makes_a_difference_and_a_wrong_one_none() -> None:
    inks = ramp(37, 53, 4)
    plain, _ = icc.rgb_of_cmyk(inks, None)
    profiled, _ = icc.rgb_of_cmyk(inks, cmyk_profile())
    wrong, note = icc.rgb_of_cmyk(inks, icc.srgb_profile())
    assert np.abs(plain.astype(int) - profiled).mean() > 10
    np.testing.assert_array_equal(wrong, plain)
    assert "without a sound profile" in note


def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    inks = ramp(37, 53, 4)
    whole, _ = icc.rgb_of_cmyk(inks, cmyk_profile())
    monkeypatch.setattr(icc, "_STRIP_PIXELS", 200)
    np.testing.assert_array_equal(icc.rgb_of_cmyk(inks, cmyk_profile())[0], whole)


def test_pillow_agrees_on_ink_without_a_profile() -> None:
    inks = ramp(37, 53, 4)
    shown = np.asarray(Image.frombytes("CMYK", (53, 37), inks.tobytes()).convert("RGB"))
    assert np.abs(icc.rgb_of_cmyk(inks, None)[0].astype(int) - shown).max() <= 1


def test_the_wide_colours_of_bt_2020_are_those_that_are_published() -> None:
    profile, told = icc.coded_profile(9, 8)
    assert profile is not None and told == ()
    levels = np.array([[[65535, 0, 0], [0, 65535, 0], [0, 0, 65535]]], np.uint16)
    wide = imagecodecs.cms_transform(levels, pillows_srgb(), profile, colorspace="rgb", outcolorspace="rgb", intent=1)
    published = [[0.6274, 0.0691, 0.0164], [0.3293, 0.9195, 0.0880], [0.0433, 0.0114, 0.8956]]  # ITU-R BT.2087
    np.testing.assert_allclose(wide[0] / 65535, published, atol=2e-3)
