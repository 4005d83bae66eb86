"""HEIC: upright pixels, 10 bits, alpha, and what is told without the extra."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from lumen.codecs import heif
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
@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_heic_is_stored_in_tiles_and_comes_back_whole(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import pillow_heif

    large = Picture.from_channels(
        ramp(150, 210, channels), kind="png", metadata=Metadata(exif=exif_block(1), icc=p3_profile(), xmp=XMP)
    )
    monkeypatch.setattr(heif, "_TILED_PX", 10_000)
    monkeypatch.setattr(heif, "_TILES_PX", range(64, 129, 64))
    data, told = encode_picture(large, "heif")
    assert told == ()
    assert b"grid" in data
    assert pillow_heif.open_heif(BytesIO(data)).info["tiling"]["num_columns"] > 1
    found = read(data)
    assert found.gray is (channels == 1)
    assert np.abs(found.to_channels().astype(int) - ramp(150, 210, channels)).mean() < 4
    assert (tags(found.metadata.exif), found.metadata.xmp) == (tags(exif_block(1)), XMP)
    assert found.metadata.icc == p3_profile()
    assert found.damage is None


@needs_heif
@pytest.mark.parametrize("size", [(1, 20_000), (9000, 7)])
def test_slivers_can_be_stored(size: tuple[int, int]) -> None:
    found = read(encode_picture(Picture(pixels=ramp(*size), format="png"), "heif")[0])
    assert found.pixels.shape == (*size, 3)
    assert np.abs(found.pixels.astype(int) - ramp(*size)).mean() < 6


def test_tiles_of_a_heic_cover_it_with_little_padding() -> None:
    assert heif.tile_px(4000, 3000) == heif.tile_px(65_535, 65_535) == 0
    for width, height in ((8192, 6144), (8164, 6122), (65_535, 300), (60_000, 40_000)):
        side = heif.tile_px(width, height)
        count = -(-width // side) * -(-height // side)
        assert count <= 900
        assert count * side**2 < 1.2 * width * height or min(width, height) < side


@needs_heif
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((b"av01", "AV1"), (b"avc1", "AVC"), (b"vvc1", "VVC"), (b"j2k1", "JPEG 2000"), (b"evc1", "EVC")),
        *((b"hev1", "HEVC of the kind hev1"), (b"lhv1", "layered HEVC")),
    ],
)
def test_other_codings_are_named_and_not_called_damaged(kind: bytes, name: str) -> None:
    data = heic(ramp(64, 96))
    with pytest.raises(UnsupportedError, match=f"a HEIF with HEVC inside, got one with {name}.*; save it as PNG"):
        read(data.replace(b"hvc1", kind))
    with pytest.raises(DecodeError, match="damaged or truncated"):
        read(data[:-200])
