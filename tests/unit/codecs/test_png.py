"""PNG: chunks are carried, and only so many."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from lumen.codecs import png
from lumen.codecs.codec import encode_picture, read_picture, write_picture
from lumen.color import icc
from lumen.color.tone import tone_of
from lumen.errors import UnsupportedError
from tests.support.codecs import read
from tests.support.crafted import CHUNKS, png_chunk, with_chunks
from tests.support.files import RGB, deep_png, picture, ramp, saved


@pytest.mark.parametrize("deep", [False, True])
def test_chunks_of_a_png_are_carried(deep: bool) -> None:
    data = with_chunks(*CHUNKS, data=deep_png(ramp(dtype=np.uint16)) if deep else None)
    found = read(data)
    again, warnings = encode_picture(found, "png")
    assert warnings == ()
    assert [(extra.kind, extra.data) for extra in read(again).metadata.extras] == list(CHUNKS)
    with Image.open(BytesIO(again)) as image:
        image.load()
        assert image.info["gamma"] == pytest.approx(0.55556)
        assert image.text == {"Author": "somebody", "Comment": "dark", "Title": "Straße"}  # type: ignore[attr-defined]


def test_chunks_that_speak_of_samples_are_not_carried() -> None:
    old = ((b"bKGD", b"\0\1\0\2\0\3"), (b"sBIT", b"\5\6\5"), (b"tIME", b"\x07\xe8\1\2\3\4\5"), (b"luME", b"unsafe"))
    again, _ = encode_picture(read(with_chunks(*old)), "png")
    assert not [kind for kind, _ in old if kind in again]


def test_comments_become_texts_in_a_png() -> None:
    for comment in ("Straße", "stra\xdfe".encode("latin-1")):
        data, warnings = encode_picture(read(saved(RGB, "JPEG", comment=comment)), "png")
        assert warnings == ()
        with Image.open(BytesIO(data)) as image:
            image.load()
            assert str(image.text["Comment"]).lower() == "straße"  # type: ignore[attr-defined]


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
    assert encode_picture(found, "jpeg")[1] == (
        "the colour description was left out: jpeg cannot hold it; the colours may look different",
    )
    assert tone_of(found.metadata, np.uint8) is None


def test_chunks_without_number_are_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = saved(RGB, "PNG")
    data = plain[:33] + png_chunk(b"tEXt", b"A\0") * 100 + plain[33:]
    assert len(read(data).metadata.extras) == 100
    assert read(data).notes == ()
    monkeypatch.setattr(png, "_MAX_EXTRAS", 5000)  # even an empty one is counted
    found = read(data)
    assert len(found.metadata.extras) < 20
    assert found.notes == ("some texts were left out: together they are too long; the picture looks the same",)


def test_sides_that_libpng_refuses_are_told_as_what_they_are() -> None:
    data = bytes(imagecodecs.png_encode(np.zeros((1, 10, 3), np.uint16)))
    header = b"IHDR" + struct.pack(">II", 1_000_001, 1) + data[24:29]
    wide = data[:12] + header + png_chunk(header[:4], header[4:])[-4:] + png_chunk(b"IDAT", bytes(9000)) + data[-12:]
    with pytest.raises(
        UnsupportedError, match="16-bit PNG of at most 1000000 pixels a side, got 1000001x1; save it as TIFF"
    ):
        read(wide)


@pytest.mark.parametrize("kind", ["icc", "xmp", "text"])
def test_large_metadata_of_a_png_never_costs_the_picture(kind: str, tmp_path: Path) -> None:
    large = np.random.default_rng(0).bytes(2 << 20)
    path = tmp_path / "a.png"
    write_picture(picture(4, icc=large if kind == "icc" else None), path)
    whole = path.read_bytes()
    if kind != "icc":
        name = b"XML:com.adobe.xmp" if kind == "xmp" else b"Comment"
        data = b"iTXt" + name + b"\0\1\0\0\0" + zlib.compress(large)
        chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
        path.write_bytes(whole[:33] + chunk + whole[33:])
    found = read_picture(path)
    np.testing.assert_array_equal(found.to_channels(), ramp(channels=4))
    kept = {"icc": found.metadata.icc, "xmp": found.metadata.xmp}.get(kind, large)
    assert kept == large
