"""JPEG XL, by the extra `[jxl]`: depth, metadata, upright pixels, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from lumen.codecs.codec import encode_picture, read_picture, write_picture
from lumen.color.icc import p3_profile, srgb_profile
from lumen.errors import DecodeError, EncodeError, UnsupportedError
from lumen.imaging.picture import Metadata, Picture
from tests.support.codecs import needs_jxl, nothing_installed, read
from tests.support.corpus import ADOBE
from tests.support.files import XMP, picture, put, ramp, tags
from tests.support.files import exif as exif_block


def boxes(data: bytes) -> dict[bytes, bytes]:
    found, at = {}, 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        size = size or len(data) - at
        found[kind] = data[at + 8 : at + size]
        at += size
    return found


@needs_jxl
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_jpeg_xl_keeps_depth_channels_and_metadata(channels: int, kind: Any, tmp_path: Path) -> None:
    made = picture(channels, kind, exif=exif_block(1), xmp=XMP)
    assert write_picture(made, tmp_path / "a.jxl", quality=100) == ()
    found = read_picture(tmp_path / "a.jxl")
    np.testing.assert_array_equal(found.to_channels(), made.to_channels())
    assert (found.gray, found.sample, found.format) == (channels < 3, made.sample, "jxl")
    assert (tags(found.metadata.exif), found.metadata.xmp) == (tags(exif_block(1)), XMP)
    stored = boxes((tmp_path / "a.jxl").read_bytes())
    assert (stored[b"Exif"], stored[b"xml "]) == (bytes(4) + exif_block(1), XMP)
    lossy = read(encode_picture(made, "jxl")[0])
    assert 0 < np.abs(lossy.pixels.astype(float) - made.pixels).mean() < 0.01 * np.iinfo(kind).max


@needs_jxl
@pytest.mark.parametrize("profile", [p3_profile(), ADOBE])
@pytest.mark.parametrize("quality", [95, 100])
def test_profiles_stay_as_they_are(profile: bytes, quality: int) -> None:
    data, told = encode_picture(picture(icc=profile), "jxl", quality=quality)
    found = read(data)
    assert (told, found.metadata.icc) == ((), profile)
    assert np.abs(found.pixels.astype(int) - ramp()).mean() < 3


@needs_jxl
def test_sixteen_bits_with_a_profile_are_refused_before_any_colour_is_wrong() -> None:
    deep = picture(dtype=np.uint16, icc=p3_profile())
    with pytest.raises(EncodeError, match="16-bit ones with a colour profile; write"):
        encode_picture(deep, "jxl")
    shallow = read(encode_picture(deep, "jxl", allow_8bit=True)[0])
    assert (shallow.sample, shallow.metadata.icc) == ("uint8", p3_profile())
    found = read(encode_picture(picture(dtype=np.uint16, icc=srgb_profile()), "jxl")[0])
    assert (found.sample, found.metadata.icc) == ("uint16", None)  # which means sRGB


@needs_jxl
@pytest.mark.parametrize("turn", range(1, 9))
def test_pixels_are_turned_because_the_format_ignores_exif(turn: int) -> None:
    made = Picture(pixels=ramp(64, 96), metadata=Metadata(exif=exif_block(turn)), format="jpeg")
    found = read(encode_picture(made, "jxl", quality=100)[0])
    np.testing.assert_array_equal(found.pixels, made.turned(turn).pixels)
    assert tags(found.metadata.exif) == tags(exif_block(1))


@needs_jxl
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_other_depths_are_read_in_full(bits: int) -> None:
    samples = ramp(dtype=np.uint16) >> (16 - bits)
    found = read(bytes(imagecodecs.jpegxl_encode(samples, bitspersample=bits, lossless=True)))
    np.testing.assert_array_equal(found.pixels >> (16 - bits), samples)
    again = read(encode_picture(found, "jxl", quality=100)[0])
    np.testing.assert_array_equal(again.pixels, found.pixels)
    assert found.bits == again.bits == (bits if bits < 14 else None)


@needs_jxl
def test_what_is_not_read_is_told() -> None:
    with pytest.raises(UnsupportedError, match="got floating point; save it as PNG"):
        read(bytes(imagecodecs.jpegxl_encode((ramp() / 255).astype(np.float32))))
    data = encode_picture(picture(), "jxl")[0]
    with pytest.raises(UnsupportedError, match=r"at most 0\.001 megapixels"):
        read(data, max_pixels=1000)
    for bad in (data[: len(data) // 2], data[:30], b"\xff\x0a" + bytes(60)):
        with pytest.raises(DecodeError, match="the jxl file is damaged or truncated"):
            read(bad)


@needs_jxl
def test_curves_for_hdr_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import pylibjxl

    data = encode_picture(picture(icc=p3_profile()), "jxl")[0]
    real = pylibjxl.decode

    def decode(*arguments: Any, **options: Any) -> Any:
        pixels, found = real(*arguments, **options)
        return pixels, {**found, "icc": found["icc"] + b"cicp\0\0\0\0\x09\x10\0\1"}

    monkeypatch.setattr(pylibjxl, "decode", decode)
    with pytest.raises(UnsupportedError, match=r"one for HDR \(PQ\)"):
        read(data)


@needs_jxl
def test_animations_give_their_first_picture_when_asked() -> None:
    frames = np.stack([ramp(), 255 - ramp()])
    data = bytes(imagecodecs.jpegxl_encode(frames, lossless=True))
    with pytest.raises(UnsupportedError, match="got an animation; take the first with --frames first"):
        read(data)
    found = read(data, first_frame=True)
    np.testing.assert_array_equal(found.pixels, ramp())
    assert found.notes == ("only the first picture of an animation was used",)


def test_jpeg_xl_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = bytes(imagecodecs.jpegxl_encode(ramp(), usecontainer=True))
    nothing_installed(monkeypatch)
    for head in (data, data[data.index(b"\xff\x0a") :]):
        with pytest.raises(UnsupportedError, match=r"JPEG XL needs pylibjxl; .*lumen-enhance\[jxl\]"):
            read_picture(put(tmp_path, "a.jxl", head))
    with pytest.raises(EncodeError, match=r"lumen-enhance\[jxl\]"):
        encode_picture(picture(), "jxl")
