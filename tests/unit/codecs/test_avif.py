"""AVIF: depth, colours by code, and what other boxes hide."""

from __future__ import annotations

import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, features

from lumen.codecs.codec import decode_picture, encode_picture, read_picture, write_picture
from lumen.color import icc
from lumen.color.icc import HDR_TRANSFERS, p3_profile
from lumen.config import Subsampling
from lumen.errors import DecodeError, EncodeError, UnsupportedError
from lumen.imaging.formats import CODECS
from lumen.imaging.picture import Picture
from tests.support.codecs import read
from tests.support.files import RGB, XMP, picture, ramp, saved, tags
from tests.support.files import exif as exif_block


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_avif_keeps_what_it_was_given(channels: int, turn: int, tmp_path: Path) -> None:
    made = picture(channels, exif=exif_block(turn), icc=p3_profile(), xmp=XMP)
    assert write_picture(made, tmp_path / "a.avif") == ()
    found = read_picture(tmp_path / "a.avif")
    assert (found.gray, found.alpha is not None) == (channels == 1, channels == 4)
    assert np.abs(found.pixels.astype(int) - made.pixels).mean() < 3
    kept = tags(found.metadata.exif)
    assert kept | {"orientation": kept["orientation"] or 1} == tags(exif_block(turn))
    assert (found.metadata.icc, found.metadata.xmp) == (p3_profile(), XMP)
    with Image.open(tmp_path / "a.avif") as image:
        assert image.getexif().get(0x0112, 1) == turn


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif_is_read_in_full_and_never_lowered_silently(bits: int, tmp_path: Path) -> None:
    samples = ramp(64, 64, dtype=np.uint16) >> (16 - bits)
    samples[:8, :8] = 2**bits - 1
    path = tmp_path / "a.avif"
    path.write_bytes(imagecodecs.avif_encode(samples, level=100, bitspersample=bits, pixelformat="444"))
    found = read_picture(path)
    assert (found.sample, found.bits) == ("uint16", bits)
    assert np.abs((found.pixels >> (16 - bits)).astype(int) - samples).max() <= 1
    assert found.pixels.max() == 65_535
    with pytest.raises(EncodeError, match="--allow-8bit"):
        encode_picture(picture(dtype=np.uint16), "avif")  # a full 16 bits would be lowered
    data, _ = encode_picture(picture(dtype=np.uint16), "avif", allow_8bit=True)
    assert np.abs(read(data).pixels.astype(int) - ramp()).mean() < 3


@pytest.mark.parametrize("quality", [99, 100])
@pytest.mark.parametrize("bits", [None, 10, 12])
@pytest.mark.parametrize(
    ("asked", "chroma"), [("420", "4:2:0"), ("keep", "4:2:2"), ("444", "4:4:4"), ("auto", "4:4:4")]
)
def test_colours_are_as_coarse_as_asked_at_any_quality(
    asked: Subsampling, chroma: str, bits: int | None, quality: int
) -> None:
    made = replace(picture(3, np.uint16 if bits else np.uint8), bits=bits, chroma="4:2:2")
    data, _ = encode_picture(made, "avif", quality=quality, subsampling=asked)
    found = read(data)
    assert (found.chroma, found.bits) == (chroma, bits)
    assert np.abs(found.pixels.astype(int) - made.pixels).mean() < 2 * (257 if bits else 1)


@pytest.mark.parametrize("turn", [1, 3, 6])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif_keeps_its_bits_and_metadata(bits: int, channels: int, turn: int) -> None:
    made = replace(picture(channels, np.uint16, exif=exif_block(turn), icc=p3_profile(), xmp=XMP), bits=bits)
    data, told = encode_picture(made, "avif")
    found = read(data)
    assert (told, found.notes, found.damage) == ((), (), None)
    assert (found.sample, found.bits, found.gray) == ("uint16", bits, channels == 1)  # grey with opacity becomes RGB
    assert np.abs(found.pixels.astype(int) - made.pixels).mean() < 2 * 257
    assert len(np.unique(found.pixels)) > 256
    assert (found.alpha is None) is (made.alpha is None)
    if made.alpha is not None and found.alpha is not None:
        assert np.abs(found.alpha.astype(int) - made.alpha).mean() < 2 * 257
    kept = tags(found.metadata.exif)
    assert kept | {"orientation": kept["orientation"] or 1} == tags(exif_block(turn))
    assert (found.metadata.icc, found.metadata.xmp) == (p3_profile(), XMP)
    with Image.open(BytesIO(data)) as image:  # another reader
        image.load()
        assert image.size == (53, 37)
        assert image.getexif().get(0x0112, 1) == turn


def test_a_deep_avif_without_a_profile_has_the_colours_of_srgb() -> None:
    made = replace(picture(dtype=np.uint16), bits=10)
    data, _ = encode_picture(made, "avif", quality=80)
    assert b"nclx" + struct.pack(">3HB", 1, 13, 6, 0x80) in data
    found = read(data)
    assert (found.bits, found.metadata.icc) == (10, None)
    assert np.abs(found.pixels.astype(int) - made.pixels).mean() < 4 * 257


def test_the_longest_side_that_is_written_can_be_read() -> None:
    longest = CODECS["avif"].side_px or 0
    flat = Picture(pixels=np.full((2, longest, 3), 40, np.uint8), format="png")
    assert read(encode_picture(flat, "avif")[0]).width == longest


def test_more_pixels_than_can_be_read_are_not_written() -> None:
    flat = np.broadcast_to(np.uint8(0), (16_385, 16_384, 3))
    with pytest.raises(EncodeError, match=r"16384x16385 pixels as avif: it allows 268 megapixels; write \.tif instead"):
        encode_picture(Picture(pixels=flat, format="png"), "avif")


def test_libraries_that_lay_out_files_otherwise_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = imagecodecs.avif_encode
    monkeypatch.setattr(imagecodecs, "avif_encode", lambda *a, **o: bytes(real(*a, **o)).replace(b"pixi", b"pixj"))
    with pytest.raises(EncodeError, match="cannot store 53x37 pixels as avif"):
        encode_picture(replace(picture(dtype=np.uint16), bits=10), "avif")


def test_a_pillow_without_avif_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    with pytest.raises(UnsupportedError, match="this build of Pillow has no AVIF support"):
        read(saved(RGB, "AVIF"))
    with pytest.raises(EncodeError, match="pip install -U pillow"):
        encode_picture(picture(), "avif")


def test_wide_colours_without_a_profile_get_one_and_hdr_is_refused() -> None:
    def of_code(primaries: int, transfer: int) -> bytes:
        samples = ramp(64, 64)
        return bytes(imagecodecs.avif_encode(samples, level=90, primaries=primaries, transfer=transfer))

    assert read(of_code(12, 13)).metadata.icc == p3_profile()
    assert read(of_code(1, 13)).metadata.icc is None
    for transfer, name in HDR_TRANSFERS.items():
        with pytest.raises(UnsupportedError, match=rf"one for HDR \({name}\)"):
            read(of_code(9, transfer))


def test_depth_and_colours_of_an_avif_are_found_behind_other_boxes() -> None:
    deep = ramp(64, 64, dtype=np.uint16) >> 6
    data = bytes(imagecodecs.avif_encode(deep, level=90, bitspersample=10, primaries=12, transfer=13))
    start, end = data.index(b"meta") - 4, data.index(b"mdat") - 4
    between = struct.pack(">I4s", (1 << 21) + 8, b"free") + bytes(1 << 21)
    place = struct.pack(">I", end + 8)  # of the samples, as the description says it
    assert data.count(place, start, end) == 1
    described = data[start:end].replace(place, struct.pack(">I", end + 8 + len(between)))
    for moved in (between, struct.pack(">I4sQ", 1, b"free", len(between)) + between[16:]):
        found = read(data[:start] + moved + described + data[end:])
        assert (found.bits, found.metadata.icc) == (10, p3_profile())
        np.testing.assert_array_equal(found.pixels, read(data).pixels)
        with pytest.raises(UnsupportedError, match=r"at most 0\.001 megapixels"):
            read(data[:start] + moved + described + data[end:], max_pixels=1000)


@pytest.mark.parametrize(
    ("primaries", "transfer", "middle"),
    [(9, 13, 0.214), (9, 1, 0.214), (6, 6, 0.214), (5, 13, 0.214), (12, 4, 0.5**2.2), (1, 8, 0.5), (2, 5, 0.5**2.8)],
)
def test_colours_by_code_become_a_profile(primaries: int, transfer: int, middle: float) -> None:
    data = imagecodecs.avif_encode(ramp(64, 64), level=90, primaries=primaries, transfer=transfer)
    found = read(bytes(data))
    profile = found.metadata.icc
    assert profile is not None and icc.is_sound(profile)
    assert found.notes == ()
    again, told = encode_picture(found, "avif")
    assert (read(again).metadata.icc, told) == (profile, ())
    (curve,) = icc.tone_curves(profile, 3) or ()
    assert curve[1] == pytest.approx(middle, abs=2e-3)


@pytest.mark.parametrize(("primaries", "transfer"), [(11, 13), (10, 13), (1, 9), (4, 4)])
def test_colours_of_an_unknown_code_are_told(primaries: int, transfer: int) -> None:
    data = imagecodecs.avif_encode(ramp(64, 64), level=90, primaries=primaries, transfer=transfer)
    found = read(bytes(data))
    assert found.metadata.icc is None
    assert found.notes == (
        f"the colours are treated as sRGB: their code {primaries}/{transfer} has no profile; they may look different",
    )


@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (2, 2), (1, 1), (1, 6)])
def test_srgb_by_code_needs_no_profile(primaries: int, transfer: int) -> None:
    data = imagecodecs.avif_encode(ramp(64, 64), level=90, primaries=primaries, transfer=transfer)
    found = read(bytes(data))
    assert (found.metadata.icc, found.notes) == (None, ())


def test_what_libavif_refuses_is_named_with_its_reason_and_not_called_damaged() -> None:
    data = saved(RGB, "AVIF")
    for name, odd in (
        (r"mandatory ispe property", data.replace(b"ispe", b"free")),
        (r"pixi property \[10\] does not match av1C", data.replace(b"\3\x08\x08\x08", b"\3\x0a\x0a\x0a")),
    ):
        with pytest.raises(
            UnsupportedError, match=rf"by its standard, got one that libavif refuses \(.*{name}.*as PNG"
        ):
            read(odd)
    assert read(data.replace(b"pixi", b"free")).pixels.shape == (37, 53, 3)  # older writers leave it out
    clear = saved(Image.fromarray(ramp(channels=4)), "AVIF")
    assert clear.count(b"\0\2\4\1\5\x86\7") == 1  # the properties of the opacity, of which the first is its size
    with pytest.raises(UnsupportedError, match=r"libavif refuses \(only its strict check does\)"):
        read(clear.replace(b"\0\2\4\1\5\x86\7", b"\0\2\4\0\5\x86\7"))
    with pytest.raises(DecodeError, match="damaged or truncated"):
        read(data[:-30])


@pytest.mark.parametrize("channels", [3, 4])
def test_the_first_frame_of_a_deep_animation_is_read_in_full(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.stack([np.full((64, 48, channels), level, np.uint16) for level in (1000, 200, 30)])
    data = bytes(imagecodecs.avif_encode(frames, level=100, bitspersample=10))
    for _ in range(5):  # a library that writes beyond its memory may survive once
        found = decode_picture(BytesIO(data), first_frame=True)
    assert (found.width, found.height, found.bits) == (48, 64, 10)
    assert np.abs((found.pixels >> 6).astype(int) - 1000).max() <= 1
    assert found.notes == ("only the first picture of an animation of 3 frames was used",)
    monkeypatch.setattr("lumen.codecs.avif._MOST_DEEP_PIXELS", 48 * 64 * 3 - 1)
    with pytest.raises(UnsupportedError, match="in all its frames"):
        decode_picture(BytesIO(data), first_frame=True)
