"""HEIC: upright pixels, 10 bits, alpha, and what is told without the extra."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from lumen.codecs.codec import encode_picture, read_picture, write_picture
from lumen.color.icc import p3_profile
from lumen.errors import DecodeError, EncodeError, UnsupportedError
from lumen.imaging.picture import Metadata, Picture
from tests.support.codecs import needs_heif, nothing_installed, read
from tests.support.crafted import heic
from tests.support.files import XMP, picture, put, ramp, tags
from tests.support.files import exif as exif_block


@needs_heif
@pytest.mark.parametrize("turn", range(1, 9))
def test_heic_comes_upright_and_goes_back_as_it_was_displayed(turn: int, tmp_path: Path) -> None:
    path = put(tmp_path, "a.heic", heic(ramp(64, 96), exif=b"Exif\0\0" + exif_block(turn), icc_profile=p3_profile()))
    found = read_picture(path)
    assert found.pixels.shape == ((64, 96, 3) if turn < 5 else (96, 64, 3))
    shown = Picture(pixels=ramp(64, 96), format="png").turned(turn).pixels
    assert np.abs(found.pixels.astype(int) - shown).mean() < 4
    assert tags(found.metadata.exif) == tags(exif_block(1))
    assert found.metadata.icc == p3_profile()
    write_picture(found, tmp_path / "b.heic")
    again = read_picture(tmp_path / "b.heic")
    assert np.abs(again.pixels.astype(int) - shown).mean() < 4
    assert tags(again.metadata.exif) == tags(exif_block(1))


@needs_heif
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_picture_is_displayed_the_same_as_heic(turn: int, tmp_path: Path) -> None:
    made = Picture(pixels=ramp(64, 96), metadata=Metadata(exif=exif_block(turn), xmp=XMP), format="jpeg")
    write_picture(made, tmp_path / "a.heic")
    found = read_picture(tmp_path / "a.heic")
    assert np.abs(found.pixels.astype(int) - made.turned(turn).pixels).mean() < 4
    assert found.metadata.xmp == XMP


@needs_heif
def test_deep_heic_keeps_its_bits(tmp_path: Path) -> None:
    deep = ramp(64, 96, dtype=np.uint16)
    found = read_picture(put(tmp_path, "a.heic", heic(deep)))
    assert (found.sample, found.bits) == ("uint16", 10)
    assert np.abs(found.pixels.astype(int) - deep).mean() < 4 * 257
    assert write_picture(found, tmp_path / "b.heic") == ()
    again = read_picture(tmp_path / "b.heic")
    assert (again.sample, again.bits) == ("uint16", 10)
    assert len(np.unique(again.pixels)) > 256
    with pytest.raises(EncodeError, match="16-bit ones"):  # a full 16 bits would be lowered
        encode_picture(picture(dtype=np.uint16), "heif")


@needs_heif
def test_heic_with_alpha_and_grey(tmp_path: Path) -> None:
    for channels in (1, 4):
        write_picture(picture(channels), tmp_path / "a.heic")
        found = read_picture(tmp_path / "a.heic")
        assert found.gray is (channels == 1)
        assert (found.alpha is not None) is (channels == 4)
        assert np.abs(found.to_channels().astype(int) - ramp(channels=channels)).mean() < 4


@needs_heif
def test_several_heic_pictures_are_told() -> None:
    import pillow_heif

    file = pillow_heif.HeifFile()
    for _ in range(2):
        file.add_frombytes("RGB", (96, 64), ramp(64, 96).tobytes())
    buffer = BytesIO()
    file.save(buffer)
    with pytest.raises(UnsupportedError, match="2 pictures; take the first with --frames first"):
        read(buffer.getvalue())
    assert read(buffer.getvalue(), first_frame=True).notes == (
        "only the first picture of a file of 2 pictures was used",
    )


def test_heic_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_installed(monkeypatch)
    with pytest.raises(UnsupportedError, match=r"HEIF needs pillow-heif; .*lumen-enhance\[heif\]"):
        read(b"\0\0\0\x18ftypheic" + b"\0" * 40)
    with pytest.raises(EncodeError, match=r"lumen-enhance\[heif\]"):
        encode_picture(picture(), "heif")


@needs_heif
def test_heic_without_an_encoder_is_refused_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    import pillow_heif

    monkeypatch.setattr(pillow_heif, "libheif_info", lambda: {"HEIF": ""})
    with pytest.raises(EncodeError, match="not write them; choose another --format"):
        encode_picture(picture(), "heif")


@needs_heif
@pytest.mark.parametrize(
    ("kind", "name"), [(b"av01", "AV1"), (b"avc1", "AVC"), (b"vvc1", "VVC"), (b"j2k1", "JPEG 2000"), (b"evc1", "EVC")]
)
def test_other_codings_are_named_and_not_called_damaged(kind: bytes, name: str) -> None:
    data = heic(ramp(64, 96))
    with pytest.raises(UnsupportedError, match=f"a HEIF with HEVC inside, got one with {name}.*; save it as PNG"):
        read(data.replace(b"hvc1", kind))
    with pytest.raises(DecodeError, match="damaged or truncated"):
        read(data[:-200])
