"""What each format adds: AVIF, HEIC, camera raw, GIF, CMYK, 32-bit BMP, lossless WebP, first pictures, own chunks."""

from __future__ import annotations

import builtins
import importlib.util
import struct
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, IptcImagePlugin, features

from lumen.codecs import exif, iptc
from lumen.codecs.codec import decode_picture, encode_picture, read_picture, write_picture
from lumen.codecs.limits import stripped
from lumen.color.icc import HDR_TRANSFERS, p3_profile, srgb_profile
from lumen.config import Subsampling
from lumen.errors import DecodeError, EncodeError, UnsupportedError
from lumen.imaging.picture import Extra, Metadata, Picture
from tests.support.corpus import IPTC_FIELDS, LONG_XMP, PREVIEW, RESOURCES
from tests.support.crafted import dng, heic, jpeg_segment, png_chunk
from tests.support.files import RGB, XMP, deep_png, icc, picture, put, ramp, saved, tags, tiff
from tests.support.files import exif as exif_block

needs_heif = pytest.mark.skipif(not importlib.util.find_spec("pillow_heif"), reason="pillow-heif is not installed")
needs_raw = pytest.mark.skipif(not importlib.util.find_spec("rawpy"), reason="rawpy is not installed")


def read(data: bytes, **options: Any) -> Picture:
    return decode_picture(BytesIO(data), **options)


def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


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
        encode_picture(found, "avif")
    data, _ = encode_picture(found, "avif", allow_8bit=True)
    assert np.abs(read(data).pixels.astype(int) - (found.pixels >> 8)).mean() < 3


def test_a_pillow_without_avif_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    with pytest.raises(UnsupportedError, match="not part of this build of Pillow"):
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
        "only the first picture was taken of a file of 2 pictures",
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
    with pytest.raises(EncodeError, match="cannot write any; choose another --format"):
        encode_picture(picture(), "heif")


@needs_raw
@pytest.mark.parametrize(("turn", "shape"), [(1, (64, 96)), (3, (64, 96)), (6, (96, 64)), (8, (96, 64))])
def test_raw_is_developed_upright_in_16_bits(turn: int, shape: tuple[int, int], tmp_path: Path) -> None:
    found = read_picture(put(tmp_path, "a.dng", dng(orientation=turn)))
    assert found.pixels.shape == (*shape, 3)
    assert (found.sample, found.format) == ("uint16", "raw")
    assert exif.orientation(found.metadata.exif) == 1
    assert tags(found.metadata.exif)["maker"] == "Maker"
    assert found.metadata.icc == srgb_profile()
    assert len(np.unique(found.pixels)) > 256
    assert found.notes == ()


@needs_raw
def test_raw_is_known_by_its_content_and_never_written(tmp_path: Path) -> None:
    assert read(dng()).format == "raw"
    assert write_picture(read(dng()), tmp_path / "a") == ()
    assert (tmp_path / "a").read_bytes()[:2] == b"II"
    with pytest.raises(EncodeError, match="results are not stored as raw"):
        write_picture(read(dng()), tmp_path / "a.dng")
    with pytest.raises(UnsupportedError, match=r"at most 0\.006 megapixels"):
        read(dng(), max_pixels=6000)


def test_raw_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_installed(monkeypatch)
    for data in (dng(), b"FUJIFILMCCD-RAW 0201", b"IIU\0" + b"\0" * 60, b"\0\0\0\x18ftypcrx " + b"\0" * 60):
        with pytest.raises(UnsupportedError, match=r"camera raw data needs rawpy; .*lumen-enhance\[raw\]"):
            read(data)


def test_only_the_extras_own_files_need_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without_extras(name: str, *rest: Any, **more: Any) -> Any:
        if name in ("pillow_heif", "rawpy"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_extras)
    for suffix in (".jpg", ".png", ".tif", ".webp", ".avif", ".bmp"):
        write_picture(picture(), tmp_path / f"a{suffix}")
        read_picture(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("dpi", [None, (300.0, 150.0)])
def test_bmp_keeps_alpha(dpi: tuple[float, float] | None, tmp_path: Path) -> None:
    made = picture(4, dpi=dpi)
    assert write_picture(made, tmp_path / "a.bmp") == ()
    found = read_picture(tmp_path / "a.bmp")
    np.testing.assert_array_equal(found.to_channels(), ramp(channels=4))
    with Image.open(tmp_path / "a.bmp") as image:
        assert image.mode == "RGBA"
    assert found.metadata.dpi == (pytest.approx(dpi, rel=1e-2) if dpi else None)


def test_lossless_webp_stays_lossless_and_others_do_not_become_it() -> None:
    data = saved(Image.fromarray(ramp(channels=4)), "WEBP", lossless=True, exact=True)
    found = read(data)
    assert found.lossless
    again, _ = encode_picture(found, "webp", quality=10)
    np.testing.assert_array_equal(read(again).to_channels(), ramp(channels=4))
    lossy = read(saved(RGB, "WEBP"))
    assert not lossy.lossless
    assert b"VP8L" not in encode_picture(lossy, "webp")[0]
    assert b"VP8L" not in encode_picture(picture(), "webp")[0]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_first_of_several_pictures_can_be_taken(kind: str) -> None:
    first = RGB.quantize(20).convert("RGB") if kind == "GIF" else RGB
    options = {"quality": 95} if kind == "AVIF" else {"lossless": True} if kind == "WEBP" else {}
    data = saved(first, kind, save_all=True, append_images=[RGB.rotate(180)], **options)
    found = read(data, first_frame=True)
    assert np.abs(found.pixels.astype(int) - np.asarray(first)).mean() < 3
    assert len(found.notes) == 1
    assert found.notes[0].startswith("only the first picture was taken of a")


def test_gain_maps_of_phones_are_told_and_previews_are_not() -> None:
    several = {"save_all": True, "append_images": [RGB.resize((20, 14))]}
    assert read(saved(RGB, "MPO", **several)).notes == ()
    told = ("the gain map for HDR screens was left out",)
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


def test_16_bits_go_into_8_only_when_allowed() -> None:
    deep = picture(4, np.uint16)
    for kind in ("webp", "avif"):
        with pytest.raises(EncodeError, match="expected 8-bit pixels"):
            encode_picture(deep, "webp")
        data, _ = encode_picture(deep, "webp", allow_8bit=True)
        found = read(data)
        assert found.sample == "uint8", kind
        assert np.abs(found.pixels.astype(int) - (deep.pixels.astype(int) + 128) // 257).mean() < 3
    png, _ = encode_picture(deep, "png", allow_8bit=True)
    assert read(png).sample == "uint16"  # what holds 16 bits gets them


def test_a_side_that_is_too_long_is_told_before_any_work() -> None:
    for kind, side in (("jpeg", 65_536), ("webp", 16_384), ("avif", 65_537)):
        long = Picture(pixels=np.zeros((1, side, 3), np.uint8), format="png")
        with pytest.raises(EncodeError, match=rf"cannot store {side}x1 pixels as {kind}: it holds {side - 1} a side"):
            encode_picture(long, kind)  # type: ignore[arg-type]


def with_chunks(*chunks: tuple[bytes, bytes], data: bytes | None = None) -> bytes:
    whole = data or saved(RGB, "PNG")
    return whole[:33] + b"".join(png_chunk(kind, content) for kind, content in chunks) + whole[33:]


CHUNKS = (
    (b"gAMA", struct.pack(">I", 55556)),
    (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
    (b"tEXt", b"Author\0somebody"),
    (b"zTXt", b"Comment\0\0" + zlib.compress(b"dark")),
    (b"iTXt", b"Title\0\0\0de\0Titel\0" + "Straße".encode()),
    (b"luMe", b"private"),
)


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


def test_what_another_format_cannot_hold_is_told() -> None:
    _, warnings = encode_picture(read(with_chunks(*CHUNKS)), "jpeg")
    assert warnings == (
        "the colour description was left out: jpeg cannot hold it",
        "the text was left out: jpeg cannot hold it",
    )
    plain = ((b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0"), CHUNKS[1])
    assert encode_picture(read(with_chunks(*plain)), "jpeg")[1] == ()
    jpeg = saved(RGB, "JPEG", comment="dark", extra=jpeg_segment(0xED, b"Photoshop 3.0\0" + RESOURCES))
    assert encode_picture(read(jpeg), "webp")[1] == (
        "the IPTC was left out: webp cannot hold it",
        "the comment was left out: webp cannot hold it",
    )


def test_comments_become_texts_in_a_png() -> None:
    for comment in ("Straße", "stra\xdfe".encode("latin-1")):
        data, warnings = encode_picture(read(saved(RGB, "JPEG", comment=comment)), "png")
        assert warnings == ()
        with Image.open(BytesIO(data)) as image:
            image.load()
            assert str(image.text["Comment"]).lower() == "straße"  # type: ignore[attr-defined]


def test_iptc_and_long_xmp_stay_in_a_jpeg_without_dark_previews() -> None:
    segments = jpeg_segment(0xED, b"Photoshop 3.0\0" + PREVIEW + RESOURCES) + jpeg_segment(0xE1, LONG_XMP)
    found = read(saved(RGB, "JPEG", extra=segments))
    data, warnings = encode_picture(found, "jpeg")
    assert warnings == ()
    assert LONG_XMP in data
    assert PREVIEW not in data
    with Image.open(BytesIO(data)) as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"A dark street", (2, 25): b"night"}


def test_iptc_moves_between_jpeg_and_tiff() -> None:
    jpeg = read(saved(RGB, "JPEG", extra=jpeg_segment(0xED, b"Photoshop 3.0\0" + RESOURCES)))
    tiff_data, warnings = encode_picture(jpeg, "tiff")
    assert warnings == ()
    with Image.open(BytesIO(tiff_data)) as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"A dark street", (2, 25): b"night"}
    back, _ = encode_picture(read(tiff_data), "jpeg")
    assert read(back).metadata.iptc == jpeg.metadata.iptc


@pytest.mark.parametrize("kind", [1, 7, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_iptc_of_a_tiff_is_found_however_it_is_stored(kind: int, order: str) -> None:
    fields = IPTC_FIELDS + bytes(-len(IPTC_FIELDS) % 4)
    value: Any = struct.unpack(f"{order}{len(fields) // 4}I", fields) if kind == 4 else fields
    data = tiff(ramp(), byteorder=order, extratags=[(33723, kind, len(value), value, True)])
    found = read(data).metadata.iptc
    assert found is not None
    assert iptc.fields_of(found) == fields


def test_numbers_in_the_wrong_order_are_put_right() -> None:
    swapped = b"".join(IPTC_FIELDS[at : at + 4][::-1] for at in range(0, 24, 4))
    assert iptc.fields_of(iptc.wrapped(swapped) or b"") == IPTC_FIELDS[:24]
    assert iptc.wrapped(b"rubbish!") is None


def test_stripped_pictures_look_the_same() -> None:
    extras = tuple(Extra(format="png", kind=kind, data=data, label="x") for kind, data in CHUNKS)
    made = picture(exif=exif_block(6), icc=icc(), xmp=XMP, dpi=(300, 300), iptc=RESOURCES, comment=b"x", extras=extras)
    found = stripped(made).metadata
    assert exif.orientation(found.exif) == 6
    assert b"street" not in (found.exif or b"")
    assert (found.icc, found.dpi) == (icc(), (300, 300))
    assert (found.xmp, found.iptc, found.comment) == (None, None, None)
    assert [extra.kind for extra in found.extras] == [b"gAMA", b"cHRM"]


def test_faults_of_metadata_are_told_and_cost_nothing() -> None:
    found = read(saved(RGB, "JPEG", icc_profile=b"rubbish" * 40, exif=b"Exif\0\0" + exif_block()[:60]))
    assert found.notes == (
        "the colour profile is malformed; it is carried as it is",
        "the EXIF block is malformed; it is carried as it is where the format lets it",
    )
    data, warnings = encode_picture(found, "jpeg")
    assert warnings == ()
    assert read(data).metadata == found.metadata
    _, warnings = encode_picture(replace(found, metadata=Metadata(exif=exif_block()[:60])), "avif")
    assert warnings == ("the metadata could not be stored (the EXIF block is malformed) and was left out",)


def test_files_too_short_for_their_size_are_refused_before_memory_is_taken() -> None:
    from tests.support.corpus import broken_files

    names = {"bomb-within.png", "bomb-within.jpg", "bomb-within.tif", "text-for-width.tif"}
    bombs = [file for file in broken_files() if file.name in names]
    assert len(bombs) == 4
    for bomb in bombs:
        with pytest.raises(DecodeError, match=bomb.reason):
            read(bomb.data)
