"""Nothing broken gets through, and what is refused says why."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.codecs.codec import encode_picture, read_picture, write_picture
from lumen.errors import DecodeError, EncodeError, PictureError, UnsupportedError
from lumen.imaging.formats import Format
from lumen.imaging.picture import Picture
from tests.support.codecs import read
from tests.support.files import KINDS, RGB, SOUND, XMP, exif, icc, picture, put, ramp, saved, tiff


@pytest.mark.parametrize("name", sorted(SOUND))
@pytest.mark.parametrize("left", [0.02, 0.3, 0.5, 0.9, 0.99, -3, -1])
def test_every_truncated_file_is_a_decode_error(name: str, left: float, tmp_path: Path) -> None:
    data = SOUND[name]().removesuffix(b"\0;")  # a GIF without these end marks has lost nothing
    if name.endswith(".jpg") and left == -1:
        left = -3  # without its end mark it is whole
    cut = len(data) + int(left) if left < 0 else int(len(data) * left)
    with pytest.raises(DecodeError):
        read_picture(put(tmp_path, name, data[:cut]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_of_our_own_files_is_a_decode_error(kind: Format, tmp_path: Path) -> None:
    whole = picture(exif=exif(1), icc=icc(), xmp=XMP, dpi=(300, 300))
    # 52 columns: no padding at the end of a BMP, which nobody would miss.
    data, _ = encode_picture(replace(whole, pixels=whole.pixels[:, :52]), kind)
    end = len(data) - 2 * (kind == "jpeg")  # without its end mark it is whole
    for cut in [*range(0, end, 211), *range(max(0, end - 40), end)]:
        with pytest.raises(DecodeError):
            read_picture(put(tmp_path, "cut", data[:cut]))


@pytest.mark.parametrize("content", [b"\0" * 500, b"\x89PN", b"\xff\xd8\xff", b"BM", b"II*\0", b"RIFF1234WEBP"])
def test_rubbish_is_a_decode_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DecodeError):
        read_picture(put(tmp_path, "a.jpg", content))


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="is empty"):
        read_picture(put(tmp_path, "a.jpg", b""))
    with pytest.raises(DecodeError, match="No such file"):
        read_picture(tmp_path / "missing.jpg")
    with pytest.raises(DecodeError, match="it is a folder"):
        read_picture(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DecodeError, match="pipe"):
        read_picture(tmp_path / "pipe.jpg")


def two_frames(kind: str) -> bytes:
    return saved(RGB, kind, save_all=True, append_images=[RGB.rotate(180)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (saved(RGB.convert("LAB"), "TIFF"), "LAB"),
        (two_frames("PNG"), "animation of 2 frames"),
        (two_frames("WEBP"), "animation of 2 frames"),
        (two_frames("TIFF"), "2 pages"),
        (two_frames("GIF"), "animation of 2 frames"),
        (two_frames("AVIF"), "animation of 2 frames"),
        (tiff(ramp().astype(np.float32)), "floating-point ones of 32 bits"),
        (tiff(ramp(dtype=np.uint16).astype(np.uint32)), "32 bits"),
        (tiff(ramp(8, 8), subfiletype=1), "camera raw data that LibRaw supports"),
        (tiff(ramp(channels=5), photometric="rgb", planarconfig="contig"), "3 or 4 channels"),
        (b"\0\0\0\x18jP  \r\n" + b"\0" * 40, "JPEG 2000"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 40, "a video"),
        (b"8BPS" + b"\0" * 40, "Photoshop"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sound_files_of_other_kinds_are_unsupported(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=message):
        read_picture(put(tmp_path, "a.jpg", data))


@pytest.mark.parametrize("name", sorted(SOUND))
def test_the_size_limit_is_ours(name: str, tmp_path: Path) -> None:
    path = put(tmp_path, name, SOUND[name]())
    height, width = read_picture(path).pixels.shape[:2]
    read_picture(path, max_pixels=height * width)
    with pytest.raises(UnsupportedError, match=f"{width}x{height}; raise the limit with --max-pixels"):
        read_picture(path, max_pixels=height * width - 1)


def test_pillows_own_limit_does_not_matter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths = [put(tmp_path, name, SOUND[name]()) for name in sorted(SOUND)]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for path in paths:
        read_picture(path)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_depth_is_never_lowered_silently(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match=r"got 16-bit ones; write \.png or \.tif"):
        write_picture(picture(dtype=np.uint16), tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".jpg"])
def test_transparency_is_never_dropped_silently(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="cannot hold transparency"):
        write_picture(picture(4), tmp_path / f"a{suffix}")


def test_a_size_the_format_cannot_hold_is_an_encode_error(tmp_path: Path) -> None:
    wide = Picture(pixels=np.zeros((1, 16384, 3), np.uint8), format="webp")
    with pytest.raises(EncodeError, match="cannot store 16384x1 pixels as webp"):
        write_picture(wide, tmp_path / "a.webp")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [*sorted(SOUND), *KINDS])
def test_damaged_files_fail_as_pictures_or_not_at_all(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    made = picture(exif=exif(), icc=icc(), xmp=XMP, dpi=(300, 300))
    data = SOUND[name]() if name in SOUND else next(encode_picture(made, kind)[0] for kind in KINDS if kind == name)
    reasons = []
    for _ in range(40):
        broken = bytearray(data)
        for _ in range(rng.choice([1, 2, 8])):
            near = min(rng.choice([64, 400, len(data)]), len(data))
            broken[rng.randrange(near)] = rng.choice([0, 255, rng.randrange(256)])
        try:
            read_picture(put(tmp_path, "a", bytes(broken)), max_pixels=1_000_000)
        except PictureError as error:
            reasons.append(str(error))
    assert len(reasons) > 5
    assert not any("\n" in reason for reason in reasons)


def test_files_too_short_for_their_size_are_refused_before_memory_is_taken() -> None:
    from tests.support.corpus import broken_files

    names = {"bomb-within.png", "bomb-within.jpg", "bomb-within.tif", "text-for-width.tif"}
    bombs = [file for file in broken_files() if file.name in names]
    assert len(bombs) == 4
    for bomb in bombs:
        with pytest.raises(DecodeError, match=bomb.reason):
            read(bomb.data)


def test_a_file_that_ends_too_early_and_text_are_named_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DecodeError, match=r"^the jpeg file ends too early \(copied incompletely\?\)$"):
        read_picture(path)
    path.write_text("Dear diary, it was dark.")
    with pytest.raises(UnsupportedError, match=r"^it is not a picture, but text$"):
        read_picture(path)
