"""A format is one record and one module: nothing else in lumen knows it."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
import pytest

from lumen import doctor
from lumen.codecs import avif, bmp, codec, gif, heif, jpeg, jxl, limits, png, raw, tiff, webp
from lumen.codecs.codec import decode_picture, read_picture, write_picture
from lumen.codecs.interface import Decoder, Decoding, Encoder, Encoding, decoder, encoder
from lumen.errors import DecodeError, EncodeError
from lumen.imaging import formats
from lumen.imaging.formats import CODECS, Codec, stored_as
from lumen.imaging.picture import Metadata, Picture
from tests.support.files import picture

# That each module has the right functions is checked where types are: here.
DECODERS: tuple[Decoder, ...] = (jpeg, png, webp, tiff, bmp, avif, heif, jxl, gif, raw)
ENCODERS: tuple[Encoder, ...] = (jpeg, png, webp, tiff, bmp, avif, heif, jxl)


def test_every_format_has_its_module() -> None:
    assert tuple(decoder(name) for name in CODECS) == DECODERS
    assert tuple(encoder(name) for name in CODECS if stored_as(name) == name) == ENCODERS


def decode(stream: BinaryIO, decoding: Decoding) -> Picture:
    stream.seek(3)
    size, pixels = stream.read(2), np.frombuffer(stream.read(), np.uint8)
    assert decoding.max_pixels > 1
    return Picture(pixels=pixels.reshape(size[0], size[1], 3), format="toy")  # type: ignore[arg-type]


def encode(picture: Picture, encoding: Encoding) -> bytes:
    assert encoding.quality == 95
    assert picture.metadata == Metadata()
    return b"TOY" + bytes(picture.pixels.shape[:2]) + picture.pixels.tobytes()


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Codec:
    """A format that lumen does not know, made known by its record and its module."""
    module: Any = ModuleType("lumen.codecs.toy")
    module.decode, module.encode = decode, encode
    monkeypatch.setitem(sys.modules, module.__name__, module)
    record = Codec(name="toy", label="Toy", suffixes=(".toy",), marks=((0, b"TOY"),), alpha=False)  # type: ignore[arg-type]
    for user in (formats, codec, limits, doctor):
        monkeypatch.setattr(user, "CODECS", {**CODECS, record.name: record})
        if hasattr(user, "SUFFIXES"):
            monkeypatch.setattr(user, "SUFFIXES", {**formats.SUFFIXES, ".toy": record.name})
    return record


def test_a_new_format_is_read_written_and_tried(toy: Codec, tmp_path: Path) -> None:
    made = picture()
    assert write_picture(made, tmp_path / "a.toy") == ()
    assert (tmp_path / "a.toy").read_bytes().startswith(b"TOY")
    found = read_picture(tmp_path / "a.toy")
    assert found.format == toy.name
    np.testing.assert_array_equal(found.pixels, made.pixels)
    check = next(check for check in doctor.diagnose() if check.name == "toy")
    assert (check.status, check.detail) == ("ok", "reads and writes 8 bits")


@pytest.mark.usefixtures("toy")
def test_what_a_new_format_cannot_hold_is_told(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="toy cannot hold transparency"):
        write_picture(picture(4), tmp_path / "a.toy")
    with pytest.raises(EncodeError, match="expected 8-bit pixels for toy"):
        write_picture(picture(dtype=np.uint16), tmp_path / "a.toy")
    assert write_picture(picture(xmp=b"<x/>"), tmp_path / "a.toy") == (
        "the XMP was left out: toy cannot hold it; only ratings, keywords and edits are missing",
    )
    with pytest.raises(DecodeError, match="the toy file is damaged or truncated"):
        decode_picture(BytesIO(b"TOY\x09\x09"))
