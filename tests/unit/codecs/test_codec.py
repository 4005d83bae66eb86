"""Files in, files out: every pixel, and what it costs."""

from __future__ import annotations

import builtins
import errno
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lumen.codecs.codec import encode_picture, read_picture, write_picture
from lumen.errors import DiskFullError, OutputError
from lumen.imaging.formats import CODECS, SUFFIXES
from tests.support.codecs import read
from tests.support.files import RGB, SOUND, XMP, deep_png, exif, icc, picture, put, ramp, saved, tags, tiff


@pytest.mark.parametrize("name", sorted(SOUND))
def test_every_sound_file_reads_as_another_decoder_reads_it(name: str, tmp_path: Path) -> None:
    path = put(tmp_path, name, SOUND[name]())
    found = read_picture(path)
    assert found.format == SUFFIXES[path.suffix]
    assert found.gray is (name == "gray.jpg")
    assert found.alpha is None
    if "deep" in name or "lzw" in name:
        assert found.sample == "uint16"
        np.testing.assert_array_equal(found.pixels, ramp(dtype=np.uint16))
    else:
        with Image.open(path) as image:
            np.testing.assert_array_equal(found.pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("suffix", sorted(suffix for suffix, kind in SUFFIXES.items() if not CODECS[kind].stored_as))
def test_round_trip_of_8_bit_rgb(suffix: str, tmp_path: Path) -> None:
    package = CODECS[SUFFIXES[suffix]].package
    if package and not package.is_installed():
        pytest.skip(f"{package.name} is not installed")
    path = tmp_path / f"out{suffix}"
    assert write_picture(picture(), path) == ()
    back = read_picture(path)
    assert back.format == SUFFIXES[suffix]
    difference = np.abs(back.pixels.astype(int) - ramp())
    assert difference.max() == 0 if suffix in (".png", ".tif", ".tiff", ".bmp") else difference.mean() < 3


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_depth_channels_and_metadata_survive(suffix: str, channels: int, dtype: Any, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    facts = {"exif": exif(8), "icc": icc(), "xmp": XMP, "dpi": (300.0, 150.0)}
    assert write_picture(picture(channels, dtype, **facts), path) == ()
    back = read_picture(path)
    np.testing.assert_array_equal(back.to_channels(), ramp(channels=channels, dtype=dtype))
    assert back.sample == np.dtype(dtype).name
    assert back.gray is (channels < 3)
    assert (back.alpha is not None) is (channels in (2, 4))
    assert tags(back.metadata.exif) == tags(exif(8))
    assert (back.metadata.icc, back.metadata.xmp) == (icc(), XMP)
    assert back.metadata.dpi == pytest.approx((300, 150), rel=1e-3)
    assert not list(tmp_path.glob(".*"))


def test_other_programs_read_our_deep_files(tmp_path: Path) -> None:
    samples = ramp(channels=4, dtype=np.uint16)
    made = picture(4, np.uint16, exif=exif(6), icc=icc(), xmp=XMP, dpi=(240.0, 240.0))
    write_picture(made, tmp_path / "a.tif")
    write_picture(made, tmp_path / "a.png")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages.first
        np.testing.assert_array_equal(page.asarray(), samples)
        assert page.tags.valueof("Orientation") == 6
        assert page.tags.valueof("ExifTag")["ISOSpeedRatings"] == 3200
        assert page.tags.valueof("InterColorProfile") == icc()
    for name in ("a.tif", "a.png"):
        with Image.open(tmp_path / name) as image:
            assert image.info["icc_profile"] == icc()
            assert image.info["dpi"] == pytest.approx((240, 240), rel=1e-3)
            assert image.getexif().get(0x0112) == 6
            assert image.getexif().get_ifd(0x8769)[0x8827] == 3200
            assert "xpacket" in str(image.info["xmp"])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_files_of_other_programs_keep_every_level(channels: int, tmp_path: Path) -> None:
    dark = ramp(channels=channels, dtype=np.uint16) % 600  # 8 bits would leave three levels
    extra = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
    for path in (
        put(tmp_path, "dark.png", deep_png(dark)),
        put(tmp_path, "little.tif", tiff(dark, **extra)),
        put(tmp_path, "big.tif", tiff(dark, byteorder=">", bigtiff=True, compression="zlib", **extra)),
    ):
        found = read_picture(path)
        np.testing.assert_array_equal(found.to_channels(), dark)
        assert found.gray is (channels < 3)


def test_webp_keeps_alpha_exactly(tmp_path: Path) -> None:
    write_picture(picture(4, format="webp"), tmp_path / "a.webp")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.webp").alpha, ramp(channels=4)[..., 3])


def palette(*, transparent: bool) -> bytes:
    image = RGB.quantize(20)
    return saved(image, "PNG", **({"transparency": 3} if transparent else {}))


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (palette(transparent=False), "RGB"),
        (palette(transparent=True), "RGBA"),
        (saved(RGB.convert("1"), "PNG"), "L"),
        (saved(RGB.convert("1"), "PNG", transparency=0), "LA"),
        (saved(RGB.convert("L"), "PNG", transparency=80), "LA"),
        (saved(RGB, "PNG", transparency=(0, 40, 80)), "RGBA"),
        (saved(RGB.convert("LA"), "PNG"), "LA"),
        (saved(RGB.convert("RGBA"), "PNG"), "RGBA"),
        (saved(RGB.quantize(20), "BMP"), "RGB"),
        (saved(RGB.convert("1"), "BMP"), "L"),
        (saved(RGB.convert("L"), "BMP"), "L"),
        (saved(RGB.quantize(20), "TIFF"), "RGB"),
        (saved(RGB.convert("1"), "TIFF"), "L"),
        (saved(RGB.convert("1"), "TIFF", compression="group4"), "L"),
        (saved(RGB.convert("LA"), "TIFF"), "LA"),
        (saved(RGB.convert("RGBA"), "TIFF", compression="tiff_lzw"), "RGBA"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_modes_are_resolved(data: bytes, mode: str, tmp_path: Path) -> None:
    found = read_picture(put(tmp_path, "x", data))
    with Image.open(BytesIO(data)) as image:
        expected = np.asarray(image.convert(mode))
    np.testing.assert_array_equal(found.to_channels(), expected)


def test_tiff_layouts_of_other_programs(tmp_path: Path) -> None:
    rgb, gray = ramp(dtype=np.uint16), ramp(channels=1)
    planar = tiff(np.moveaxis(rgb, -1, 0), planarconfig="separate", photometric="rgb")
    tiled = tiff(rgb, tile=(16, 32), compression="lzw")
    inverted = tiff(255 - gray, photometric="miniswhite")
    np.testing.assert_array_equal(read_picture(put(tmp_path, "p.tif", planar)).pixels, rgb)
    np.testing.assert_array_equal(read_picture(put(tmp_path, "t.tif", tiled)).pixels, rgb)
    np.testing.assert_array_equal(read_picture(put(tmp_path, "w.tif", inverted)).to_channels(), gray)


def test_multiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    color, alpha = ramp(), np.full((37, 53, 1), 128, np.uint8)
    alpha[0, 0] = 0
    stored = np.dstack([(color * (alpha / 255.0) + 0.5).astype(np.uint8), alpha])
    found = read_picture(put(tmp_path, "a.tif", tiff(stored, extrasamples=["assocalpha"])))
    assert np.abs(found.pixels[1:].astype(int) - color[1:]).max() <= 1
    np.testing.assert_array_equal(found.alpha, alpha[..., 0])


def test_a_thumbnail_page_is_not_a_second_picture(tmp_path: Path) -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(ramp(), photometric="rgb", metadata=None)
        writer.write(ramp(8, 8), photometric="rgb", metadata=None, subfiletype=1)
    np.testing.assert_array_equal(read_picture(put(tmp_path, "a.tif", file.getvalue())).pixels, ramp())


def test_the_name_does_not_decide_the_format(tmp_path: Path) -> None:
    for name, content in (
        ("a.jpg", "rgb.png"),
        ("a.png", "baseline.jpg"),
        ("a.tif", "lossless.webp"),
        ("a", "raw.tif"),
    ):
        assert read_picture(put(tmp_path, name, SOUND[content]())).format == SUFFIXES[Path(content).suffix]


def test_an_unknown_suffix_keeps_the_format(tmp_path: Path) -> None:
    write_picture(picture(format="webp"), tmp_path / "a.PART")
    assert read_picture(tmp_path / "a.PART").format == "webp"


def test_a_jpeg_is_not_copied_as_a_whole(tmp_path: Path) -> None:
    pixels = 2000 * 2000
    path = put(tmp_path, "a.jpg", saved(Image.fromarray(ramp(2000, 2000)), "JPEG"))
    read_picture(path)
    tracemalloc.start()
    try:
        read_picture(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 3 bytes a pixel are the result; Pillow's own 4 are not Python's and come on top.
    assert peak < 4.5 * pixels


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    paths = [put(tmp_path, name, SOUND[name]()) for name in sorted(SOUND)]
    alone = [read_picture(path).pixels for path in paths]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(read_picture, paths * 8))
    for i, found in enumerate(together):
        np.testing.assert_array_equal(found.pixels, alone[i % len(alone)])


def test_quality_decides_the_size() -> None:
    for kind in ("jpeg", "webp"):
        sizes = [len(encode_picture(picture(), kind, quality=quality)[0]) for quality in (20, 60, 95)]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[2]


@pytest.mark.parametrize(
    "name", ["a" * 251 + ".png", "ä" * 125 + "a.png", "line\nbreak.png", os.fsdecode(b"\xff\xfe.png")]
)
def test_difficult_names(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_picture(picture(), path)
    np.testing.assert_array_equal(read_picture(path).pixels, ramp())
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = put(tmp_path, "a.png", b"older")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="no space left in"):
        write_picture(picture(), path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        write_picture(picture(), tmp_path / "missing" / "a.png")


def test_only_the_extras_own_files_need_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without_extras(name: str, *rest: Any, **more: Any) -> Any:
        if name in ("pillow_heif", "pylibjxl", "rawpy"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_extras)
    for suffix in (".jpg", ".png", ".tif", ".webp", ".avif", ".bmp"):
        write_picture(picture(), tmp_path / f"a{suffix}")
        read_picture(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_first_of_several_pictures_can_be_taken(kind: str) -> None:
    first = RGB.quantize(20).convert("RGB") if kind == "GIF" else RGB
    options = {"quality": 95} if kind == "AVIF" else {"lossless": True} if kind == "WEBP" else {}
    data = saved(first, kind, save_all=True, append_images=[RGB.rotate(180)], **options)
    found = read(data, first_frame=True)
    assert np.abs(found.pixels.astype(int) - np.asarray(first)).mean() < 3
    assert len(found.notes) == 1
    assert found.notes[0].startswith("only the first picture of a")
