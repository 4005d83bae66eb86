"""JPEG: colour resolution, segments of its own, further pictures, and streams without end."""

from __future__ import annotations

import struct
import time
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, IptcImagePlugin, JpegImagePlugin

from lumen.codecs import jpeg
from lumen.codecs.codec import encode_picture
from lumen.codecs.limits import stripped
from lumen.config import Subsampling
from lumen.errors import DecodeError, UnsupportedError
from tests.support.codecs import read
from tests.support.corpus import LONG_XMP, PREVIEW, RESOURCES
from tests.support.crafted import jpeg_segment
from tests.support.files import RGB, icc, picture, ramp, saved
from tests.support.files import tiff as tiff_file


def test_gain_maps_of_phones_are_told_and_previews_are_not() -> None:
    several = {"save_all": True, "append_images": [RGB.resize((20, 14))]}
    assert read(saved(RGB, "MPO", **several)).notes == ()
    told = ("the gain map was left out: only HDR screens show it",)
    assert read(saved(RGB, "MPO", xmp=b"<x hdrgm:Version='1.0'/>", **several)).notes == told
    segment = jpeg_segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))
    assert read(saved(RGB, "JPEG", extra=segment)).notes == told


@pytest.mark.parametrize(
    ("quality", "subsampling", "stored", "expected"),
    [
        (95, "auto", "4:2:0", 0),
        (80, "auto", "4:4:4", 2),
        (80, "444", "4:2:0", 0),
        (95, "420", "4:4:4", 2),
        (95, "keep", "4:2:2", 1),
        (95, "keep", "4:2:0", 2),
    ],
)
def test_how_finely_a_jpeg_stores_colours(quality: int, subsampling: Subsampling, stored: str, expected: int) -> None:
    from PIL.JpegImagePlugin import get_sampling

    found = read(saved(RGB, "JPEG", quality=95, subsampling=stored))
    assert found.chroma == stored
    data, _ = encode_picture(found, "jpeg", quality=quality, subsampling=subsampling)
    with Image.open(BytesIO(data)) as image:
        assert get_sampling(image) == expected


def tables_of(data: bytes) -> list[list[int]]:
    """Return the quantisation table of each channel."""
    with Image.open(BytesIO(data)) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        return [list(image.quantization[layer[3]]) for layer in image.layer]


ODD = [[index + 1 for index in range(64)], [65 - index for index in range(64)], [9] * 64]


@pytest.mark.parametrize("source", ["40", "97", "progressive", "gray", "three tables", "16-bit tables"])
@pytest.mark.parametrize("stored", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_jpeg_keeps_its_own_tables_and_colour_resolution(source: str, stored: str) -> None:
    known: dict[str, dict[str, Any]] = {
        "progressive": {"quality": 70, "progressive": True},
        "gray": {"quality": 55},
        "three tables": {"qtables": ODD},
        "16-bit tables": {"qtables": [[300] * 64, [400] * 64]},
    }
    options = known.get(source) or {"quality": int(source)}
    image = RGB.convert("L") if source == "gray" else RGB
    before = saved(image, "JPEG", subsampling=stored, **options)
    data, _ = encode_picture(read(before), "jpeg")
    assert tables_of(data) == tables_of(before)
    assert read(data).chroma == read(before).chroma
    assert len(data) < 1.3 * len(before)
    other, _ = encode_picture(read(before), "jpeg", quality=90)
    assert tables_of(other) == tables_of(saved(image, "JPEG", quality=90))


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "another format"])
def test_tables_of_other_channels_are_not_kept(mode: str) -> None:
    if mode == "another format":
        before = saved(RGB, "PNG")
    else:
        image = RGB.convert(mode)
        before = saved(image, "JPEG", quality=40, **({"keep_rgb": True} if mode == "RGB" else {}))
    data, _ = encode_picture(read(before), "jpeg")
    assert tables_of(data) == tables_of(saved(RGB, "JPEG", quality=95))


def test_iptc_and_long_xmp_stay_in_a_jpeg_without_dark_previews() -> None:
    segments = jpeg_segment(0xED, b"Photoshop 3.0\0" + PREVIEW + RESOURCES) + jpeg_segment(0xE1, LONG_XMP)
    found = read(saved(RGB, "JPEG", extra=segments))
    data, warnings = encode_picture(found, "jpeg")
    assert warnings == ()
    assert LONG_XMP in data
    assert PREVIEW not in data
    with Image.open(BytesIO(data)) as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"A dark street", (2, 25): b"night"}


@pytest.mark.parametrize(
    ("attribute", "count", "told"),
    [
        (0x020002, 2, ("only the first picture of a file of 2 pictures was used",)),
        (0x020003, 3, ("only the first picture of a file of 3 pictures was used",)),
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


FILM = b"\0\0\0\x18ftypmp42" + bytes(range(250)) * 2
ITEM = '<Container:Item Item:Mime="video/mp4" Item:Semantic="MotionPhoto" Item:Length="%d" Item:Padding="0"/>'


@pytest.mark.parametrize(
    "said",
    [
        f'GCamera:MotionPhoto="1"/>{ITEM % len(FILM)}<y',
        f'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(FILM)}"',
        f"<G:MicroVideo>1</G:MicroVideo><G:MicroVideoOffset>{len(FILM)}</G:MicroVideoOffset>",
    ],
)
def test_the_video_of_a_motion_photo_stays_where_readers_look_for_it(said: str) -> None:
    xmp = f"<x {said}/>".encode()
    found = read(saved(RGB, "JPEG", xmp=xmp) + FILM)
    assert found.notes == ()
    data, told = encode_picture(found, "jpeg")
    assert told == ("the video of the motion photo was kept as it is, as dark as before; only the picture is brighter",)
    assert data.endswith(b"\xff\xd9" + FILM)
    again = read(data)
    assert (again.metadata.xmp, again.metadata.extras) == (xmp, found.metadata.extras)
    assert encode_picture(found, "png")[1] == (
        "the video of the motion photo was left out: png cannot hold it; the picture looks the same",
    )
    assert FILM not in encode_picture(stripped(found), "jpeg")[0]


@pytest.mark.parametrize(
    "said",
    [
        'GCamera:MotionPhoto="1"',
        "<Camera:MotionPhoto>1</Camera:MotionPhoto>",
        f'a:MicroVideo="1" a:MicroVideoOffset="{len(FILM) - 1}"',
        'a:MicroVideo="1" a:MicroVideoOffset="9999999999"',
        f'a:MotionPhoto="1"/>{ITEM % 0}<y',
    ],
)
def test_a_video_that_is_not_where_the_xmp_says_is_told(said: str) -> None:
    data = saved(RGB, "JPEG", xmp=f"<x {said}/>".encode()) + FILM
    assert read(data).notes == ("the video of the motion photo was left out: the picture itself is whole",)
    assert read(data.replace(b'"1"', b'"0"').replace(b">1<", b">0<")).notes == ()


@pytest.mark.parametrize(
    ("start", "again"), [(b"", b"<Item "), (b"<", b":Item"), (b"<Item ", b"Semantic='MotionPhoto' ")]
)
def test_xmp_that_repeats_itself_takes_no_time(start: bytes, again: bytes) -> None:
    data = saved(RGB, "JPEG")
    part = start + again * (60_000 // len(again))
    started = time.process_time()
    read(data[:2] + jpeg_segment(0xE1, part) * 20 + data[2:])
    assert time.process_time() - started < 5  # more than a minute if every part is read again for each


@pytest.mark.parametrize(
    ("dpi", "header"),
    [
        ((2.54, 5.08), (2, 1, 2)),
        ((300.0, 300.0), (1, 300, 300)),
        ((299.72, 299.72), (2, 118, 118)),
        ((11811 * 0.0254, 11811 * 0.0254), (1, 300, 300)),
        ((1.0, 2.0), (1, 1, 2)),
    ],
)
def test_a_jpeg_has_its_resolution_in_the_unit_that_fits(dpi: tuple[float, float], header: tuple[int, ...]) -> None:
    data, _ = encode_picture(picture(dpi=dpi), "jpeg")
    assert struct.unpack_from(">BHH", data, 13) == header
    assert read(data).metadata.dpi == pytest.approx(dpi, rel=1e-4)


def test_pixels_per_centimetre_come_back_as_they_were() -> None:
    source = bytearray(saved(RGB, "JPEG", dpi=(1, 2)))
    source[13] = 2
    found = read(bytes(source))
    data, _ = encode_picture(found, "jpeg")
    assert data[13:18] == source[13:18]
    for kind in ("png", "bmp", "tiff"):
        assert read(encode_picture(found, kind)[0]).metadata.dpi == pytest.approx((2.54, 5.08), rel=1e-4)


def test_a_jpeg_may_not_go_over_its_picture_without_end() -> None:
    data = saved(Image.new("L", (200, 200), 128), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")), data.rindex(b"\xff\xd9")
    assert read(data[:end] + data[last:end] * 50 + data[end:]).pixels.shape == (200, 200, 3)
    more = data[:end] + data[last:end] * 120 + data[end:]
    with pytest.raises(DecodeError, match="more than 100 scans"):
        read(more)
    packed = bytearray(tiff_file(np.zeros((200, 200), np.uint8), compression="jpeg"))
    with tifffile.TiffFile(BytesIO(bytes(packed))) as file:
        place, length = (file.pages.first.tags[code] for code in (273, 279))
    for tag, value in ((place, len(packed)), (length, len(more))):
        struct.pack_into("<I" if tag.dtype == 4 else "<H", packed, tag.valueoffset, value)
    with pytest.raises(DecodeError, match="more than 100 scans"):
        read(bytes(packed) + more)
    jpeg.check_scans(data + more)  # what stands behind the picture is not counted
    jpeg.check_scans(data[:20] + b"\xff\xe5" + struct.pack(">H", 602) + b"\xff\xda" * 300 + data[20:])  # nor segments


def lossless_in_ycbcr() -> bytes:
    """Return a lossless JPEG whose JFIF header says that its colours are YCbCr."""
    data = bytes(imagecodecs.jpeg8_encode(ramp(64, 64), lossless=True))
    at = data.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", data, at + 2)
    return data[:at] + b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + data[at + 2 + length :]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (
            imagecodecs.jpeg8_encode(ramp(64, 64, dtype=np.uint16) >> 4, bitspersample=12),
            "got a 12-bit one; save it as 16",
        ),
        (
            imagecodecs.ljpeg_encode(ramp(64, 64, 1, dtype=np.uint16)),
            "got a lossless 16-bit one; save it as 16-bit TIFF",
        ),
        (lossless_in_ycbcr(), "a lossless JPEG in RGB or grey, got one in YCbCr; save it as PNG"),
        (imagecodecs.jpegls_encode(ramp(64, 64)), "got JPEG-LS; save it as PNG"),
        (saved(RGB, "JPEG").replace(b"\xff\xc0", b"\xff\xc5"), "got a hierarchical one"),
        (saved(RGB, "JPEG").replace(b"\0\x25\0\x35\3", b"\0\x25\0\x35\2"), "got one of 2; save it as PNG"),
    ],
    ids=["12 bits", "lossless 16 bits", "lossless YCbCr", "JPEG-LS", "hierarchical", "two channels"],
)
def test_kinds_that_are_not_decoded_are_named_and_not_called_damaged(data: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedError, match=kind):
        read(bytes(data))


def test_a_depth_that_there_is_not_is_damage() -> None:
    data = saved(RGB, "JPEG")
    with pytest.raises(DecodeError, match="the jpeg file is damaged or truncated"):
        read(data.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\xbf"))


@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_files_of_8_bits_are_read(channels: int) -> None:
    found = read(bytes(imagecodecs.jpeg8_encode(ramp(64, 64, channels), lossless=True)))
    np.testing.assert_array_equal(found.to_channels(), ramp(64, 64, channels))


def test_data_of_programs_are_carried_and_those_of_the_old_pixels_are_not() -> None:
    kept = [
        (1, b"FLIR\0\1thermal"),
        (5, b"RMETA\0"),
        (6, b"GoPro\0"),
        (10, b"UNICODE\0c"),
        (15, b"Q"),
        (13, b"Adobe_CM"),
    ]
    lost = [(2, b"MPF\0"), (2, b"FPXR\0"), (12, b"Ducky\0"), (0, b"JFXX\0\x10")]
    parts = b"".join(jpeg_segment(0xE0 + number, data) for number, data in (*kept, *lost))
    found = read(saved(RGB, "JPEG", extra=parts))
    assert found.notes == ()
    data, told = encode_picture(found, "jpeg")
    assert told == ()
    with Image.open(BytesIO(data)) as image:
        written = [(name, content) for name, content in image.applist if name != "APP0"]  # type: ignore[attr-defined]
    assert written == [(f"APP{number}", content) for number, content in kept]
    assert encode_picture(found, "png")[1] == (
        "the data of programs was left out: png cannot hold it; the picture looks the same",
    )
    assert b"GoPro" not in encode_picture(stripped(found), "jpeg")[0]
    signed = read(saved(RGB, "JPEG", extra=jpeg_segment(0xEB, b"JP\0\1c2pa")))
    assert signed.notes == ("the content credentials, or other boxes, were left out: they are of the old pixels",)


@pytest.mark.parametrize(
    ("end", "program"),
    [
        (b"\xa1\xb2\xc3\xd4", "FotoStation"),
        (b"AXS!" + bytes(8), "AFCP"),
        (b"AXS*" + bytes(8), "AFCP"),
        (b"cbipcbbl", "Photo Mechanic"),
    ],
)
def test_data_behind_the_picture_are_told(end: bytes, program: str) -> None:
    found = read(saved(RGB, "JPEG") + b"fields" + end)
    assert found.notes == (
        f"the data of {program} behind the picture were left out: captions that stand only there are missing",
    )
    assert found.damage is None


def test_all_comments_are_kept() -> None:
    found = read(saved(RGB, "JPEG", extra=jpeg_segment(0xFE, b"one") + jpeg_segment(0xFE, b"two")))
    assert found.metadata.comment == b"one\ntwo"
    assert read(encode_picture(found, "jpeg")[0]).metadata.comment == b"one\ntwo"


def test_a_profile_whose_parts_are_not_all_there_is_told() -> None:
    lost = jpeg_segment(0xE2, b"ICC_PROFILE\0\2\2" + icc())
    assert read(saved(RGB, "JPEG", extra=lost)).notes == (
        "the colour profile was left out: its parts do not belong together; colours may be off",
    )
