"""What programs lose without a word: profiles in rare places, colours by code, second pictures, videos."""

from __future__ import annotations

import importlib.util
import struct
import warnings
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from lumen.codecs.codec import decode_picture, encode_picture
from lumen.codecs.exif import resolution
from lumen.codecs.limits import stripped
from lumen.color import icc
from lumen.color.tone import tone_of
from lumen.errors import UnsupportedError
from lumen.imaging.picture import Metadata, Picture
from tests.support.crafted import jpeg_segment, png_chunk
from tests.support.files import RGB, exif, picture, ramp, saved, tiff
from tests.support.files import icc as srgb


def read(data: bytes, **options: Any) -> Picture:
    return decode_picture(BytesIO(data), **options)


def bmp_with_profile(profile: bytes, kind: bytes = b"DEBM") -> bytes:
    """Return a BMP whose header of version 5 says where its profile is."""
    rows = ramp(37, 52)[::-1, :, ::-1].tobytes()
    start = 14 + 124
    header = struct.pack("<2sIHHI", b"BM", start + len(rows) + len(profile), 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 124, 52, 37, 1, 24, 0, len(rows), 2835, 2835, 0, 0) + bytes(16)
    header += kind + bytes(48) + struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    return header + rows + profile


def test_the_profile_of_a_bmp_goes_where_it_can_and_its_loss_is_told() -> None:
    found = read(bmp_with_profile(icc.p3_profile()))
    np.testing.assert_array_equal(found.pixels, ramp(37, 52))
    assert found.metadata.icc == icc.p3_profile()
    png, told = encode_picture(found, "png")
    assert (read(png).metadata.icc, told) == (icc.p3_profile(), ())
    assert encode_picture(found, "bmp")[1] == ("the ICC profile was left out: bmp cannot hold it",)
    for other in (bmp_with_profile(b"", b"BGRs"), bmp_with_profile(b"c:\\x.icc\0", b"KNIL"), saved(RGB, "BMP")):
        assert read(other).metadata.icc is None


def with_pointer(target: int | None, behind: bytes = b"") -> bytes:
    """Return a 16-bit TIFF with a profile and an EXIF tag that points to `target`, or behind the file's own end."""
    data = bytearray(tiff(ramp(dtype=np.uint16), iccprofile=srgb(), extratags=[(37500, 4, 1, 8, True)]))
    at = data.index(struct.pack("<HHI", 37500, 4, 1))
    struct.pack_into("<HHII", data, at, 0x8769, 4, 1, len(data) if target is None else target)
    return bytes(data) + behind


@pytest.mark.parametrize("fault", ["loop", "entries", "type"])
def test_a_malformed_tag_of_a_tiff_costs_itself_alone(fault: str) -> None:
    (first,) = struct.unpack_from("<I", with_pointer(0), 4)
    nonsense = struct.pack("<HHHII", 1, 5, 99, 1, 0) + bytes(4)  # a tag of a type that there is not
    data = (
        with_pointer(first) if fault == "loop" else with_pointer(None, b"\xff\xff" if fault == "entries" else nonsense)
    )
    found = read(data)
    assert found.metadata.icc == srgb()
    np.testing.assert_array_equal(found.pixels, ramp(dtype=np.uint16))
    assert found.notes == ("a part of the metadata was left out: it is malformed",)
    assert read(tiff(ramp(), iccprofile=srgb())).notes == ()


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
        assert (found.bits, found.metadata.icc) == (10, icc.p3_profile())
        np.testing.assert_array_equal(found.pixels, read(data).pixels)
        with pytest.raises(UnsupportedError, match=r"at most 0\.001 megapixels"):
            read(data[:start] + moved + described + data[end:], max_pixels=1000)


def with_resolution(x: float, unit: int) -> bytes:
    """Return an EXIF block that says a resolution, as cameras write it."""
    block = Image.Exif()
    block[0x0112], block[0x011A], block[0x011B], block[0x0128] = 6, x, 2 * x, unit
    return block.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize(("x", "unit"), [(300.0, 2), (300 / 2.54, 3)])
def test_a_resolution_that_only_the_exif_says_is_kept(x: float, unit: int) -> None:
    found = read(saved(RGB, "JPEG", exif=b"Exif\0\0" + with_resolution(x, unit)))
    for kind in ("tiff", "bmp", "jpeg", "png"):
        bare, _ = encode_picture(stripped(found) if kind in ("jpeg", "png") else found, kind)
        dpi = (600, 300) if kind == "bmp" else (300, 600)  # it is turned
        assert read(bare).metadata.dpi == pytest.approx(dpi, rel=1e-2), kind
    for nothing in (None, b"rubbish", with_resolution(0.0, 2), with_resolution(300.0, 1), exif(1)):
        assert resolution(nothing) is None


def test_a_resolution_that_the_exif_does_not_say_is_missed() -> None:
    for block, told in ((exif(1), 1), (with_resolution(300.0, 2), 0), (None, 1)):
        made = picture(exif=block, dpi=(300.0, 300.0))
        for kind in ("webp", "avif"):
            assert encode_picture(made, kind)[1] == (f"the resolution was left out: {kind} cannot hold it",) * told


def test_a_tiff_stays_where_it_is_on_earth_and_keeps_its_names() -> None:
    place: list[Any] = [(33550, 12, 3, (0.5, 0.5, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 7.1, 50.7, 0.0), True)]
    place += [
        (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 2), True),
        (34737, 2, 0, "WGS 84|", True),
        (269, 2, 0, "a map", True),
    ]
    found = read(tiff(ramp(), extratags=place))
    data, told = encode_picture(found, "tiff")
    assert (found.notes, told) == ((), ())
    with tifffile.TiffFile(BytesIO(data)) as file:
        tags = file.pages.first.tags
        for code, _, _, value, _ in place:
            assert tags.valueof(code) == value


def test_the_layers_of_a_tiff_are_told() -> None:
    layers = b"Adobe Photoshop Document Data Block\0" + bytes(4000)
    found = read(tiff(ramp(), extratags=[(37724, 7, len(layers), layers, True)]))
    assert found.notes == ("the layers of Photoshop were left out: the picture of them all was taken",)
    assert layers not in encode_picture(found, "tiff")[0]


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


@pytest.mark.parametrize(("code", "profile"), [(b"\x0c\x0d\0\1", icc.p3_profile()), (b"\x01\x08\0\1", None)])
def test_colours_by_code_of_a_png_go_into_other_formats(code: bytes, profile: bytes | None) -> None:
    plain = saved(RGB, "PNG")
    found = read(plain[:33] + png_chunk(b"cICP", code) + plain[33:])
    expected = profile or icc.coded_profile(1, 8)[0]
    for kind in ("jpeg", "tiff", "webp", "avif"):
        data, told = encode_picture(found, kind)
        assert (read(data).metadata.icc, told) == (expected, ()), kind
    again, told = encode_picture(found, "png")
    assert (read(again).metadata, told) == (found.metadata, ())  # there the code says it already
    assert (tone_of(found.metadata, np.uint8) is None) is (profile is not None)  # linear light has another curve


def test_a_code_that_has_no_profile_is_told() -> None:
    plain = saved(RGB, "PNG")
    found = read(plain[:33] + png_chunk(b"cICP", b"\x0b\x0d\0\1") + plain[33:])
    assert encode_picture(found, "jpeg")[1] == ("the colour description was left out: jpeg cannot hold it",)
    assert tone_of(found.metadata, np.uint8) is None


def test_the_wide_colours_of_bt_2020_are_those_that_are_published() -> None:
    profile, told = icc.coded_profile(9, 8)
    assert profile is not None and told == ()
    levels = np.array([[[65535, 0, 0], [0, 65535, 0], [0, 0, 65535]]], np.uint16)
    wide = imagecodecs.cms_transform(levels, srgb(), profile, colorspace="rgb", outcolorspace="rgb", intent=1)
    published = [[0.6274, 0.0691, 0.0164], [0.3293, 0.9195, 0.0880], [0.0433, 0.0114, 0.8956]]  # ITU-R BT.2087
    np.testing.assert_allclose(wide[0] / 65535, published, atol=2e-3)


@pytest.mark.parametrize(("primaries", "transfer"), [(11, 13), (10, 13), (1, 9), (4, 4)])
def test_colours_of_an_unknown_code_are_told(primaries: int, transfer: int) -> None:
    data = imagecodecs.avif_encode(ramp(64, 64), level=90, primaries=primaries, transfer=transfer)
    found = read(bytes(data))
    assert found.metadata.icc is None
    assert found.notes == (f"the colours are taken for sRGB: their code {primaries}/{transfer} has no profile",)


@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (2, 2), (1, 1), (1, 6)])
def test_srgb_by_code_needs_no_profile(primaries: int, transfer: int) -> None:
    data = imagecodecs.avif_encode(ramp(64, 64), level=90, primaries=primaries, transfer=transfer)
    found = read(bytes(data))
    assert (found.metadata.icc, found.notes) == (None, ())


@pytest.mark.parametrize(
    ("attribute", "count", "told"),
    [
        (0x020002, 2, ("only the first picture was taken of a file of 2 pictures",)),
        (0x020003, 3, ("only the first picture was taken of a file of 3 pictures",)),
        (0x010001, 3, ()),
        (0, 2, ()),
    ],
)
def test_pictures_of_the_same_rank_are_told_and_previews_are_not(attribute: int, count: int, told: Any) -> None:
    rows = [struct.pack(">4I", 0x20030000, 1000, 0, 0)]
    rows += [struct.pack(">4I", attribute, 1000, 5000, 0)] * (count - 1)
    block = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 0xB002, 7, 16 * count, 26) + bytes(4) + b"".join(rows)
    assert read(saved(RGB, "JPEG", extra=jpeg_segment(0xE2, b"MPF\0" + block))).notes == told
    assert read(saved(RGB, "JPEG", extra=jpeg_segment(0xE2, b"MPF\0" + block[:30]))).notes == ()


@pytest.mark.parametrize(
    "said", ['GCamera:MotionPhoto="1"', "<Camera:MotionPhoto>1</Camera:MotionPhoto>", "a:MicroVideo='1'"]
)
def test_the_video_of_a_motion_photo_is_told(said: str) -> None:
    data = saved(RGB, "JPEG", xmp=f"<x {said}/>".encode()) + b"\0\0\0\x18ftypmp42" + bytes(500)
    assert read(data).notes == ("the video of the motion photo was left out",)
    assert read(data.replace(b"1", b"0")).notes == ()


def test_raw_files_of_canons_first_kind_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UnsupportedError, match="camera raw data needs rawpy"):
        read(b"II\x1a\0\0\0HEAPCCDR" + bytes(100))


@pytest.mark.parametrize("values", [(0, -1.0), (4, 3000.0, 1.0, 2.0, 1.0, 0.0, 0.0, 0.0)])
def test_curves_without_sense_are_passed_over_silently(values: tuple[float, ...]) -> None:
    kind, *numbers = values
    curve = b"para\0\0\0\0" + struct.pack(f">HH{len(numbers)}i", int(kind), 0, *(round(n * 65536) for n in numbers))
    plain = icc.matrix_profile(icc.SRGB_PRIMARIES, "x", 1.0)
    (offset, size) = struct.unpack_from(">II", plain, plain.index(b"rTRC") + 4)
    bad = bytearray(plain[:offset] + curve + plain[offset + size :])
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        struct.pack_into(">I", bad, bad.index(name) + 8, len(curve))
    struct.pack_into(">I", bad, 0, len(bad))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tone_of(Metadata(icc=bytes(bad)), np.uint8) is None
