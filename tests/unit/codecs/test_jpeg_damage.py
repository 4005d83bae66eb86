"""Damage of JPEG files: seen whatever kind of file it is, and not seen in sound ones."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image

from lumen.codecs.jpeg_damage import NO_END, damage_of
from lumen.errors import DecodeError
from tests.support.codecs import read
from tests.support.corpus import sound_files
from tests.support.damage import (
    BLACK,
    DAMAGES,
    PHOTO,
    end_of_samples_only,
    foreign_bytes,
    photo,
    piece_missing,
    pieces,
    stray,
    zeros_to_the_end,
    zeros_within,
)
from tests.support.files import Array, saved, tiff

KINDS: dict[str, Callable[[], bytes]] = {
    "plain": photo,
    "444": lambda: photo(subsampling="4:4:4", quality=95),
    "optimized": lambda: photo(optimize=True),
    "poor": lambda: photo(quality=60),
    "grey": lambda: saved(PHOTO.convert("L"), "JPEG", quality=95),
    "cmyk": lambda: saved(PHOTO.convert("CMYK"), "JPEG", quality=90),
    "restarts": lambda: photo(restart_marker_rows=1),
    "many restarts": lambda: photo(restart_marker_blocks=7, optimize=True),
    "progressive": lambda: photo(progressive=True),
}

# 16x16 grey pixels of noise in arithmetic coding, which Pillow reads and does not write.
ARITHMETIC = base64.b64decode(
    "/9j/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/yQALCAAQABAB"
    "ABEA/8wABgAQEAX/2gAIAQAAAD8A+zxWDNukYMYeTdOj80wfkJzm6ii2PD0c4sC/RqpZm/qjKnrNkcrI0Eobo7KYGo0p+DAofvQCPehsY3hj"
    "E338vcoeojZGKiqJ5mouNvhvixYcrDQkeeFWzCjIgHm18fJuBNYY77FYXEaT+cYUUfiR5WvOyzPTemRp7QhHKazT7JI3CXqJxlqxHv/Z"
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_seen_where_the_decoder_says_nothing(kind: str, damage: Callable[[bytes], bytes]) -> None:
    sound = KINDS[kind]()
    broken = damage(sound)
    with Image.open(BytesIO(broken)) as image:
        image.load()  # without a word
    found = read(broken).damage
    assert found is not None and found.in_picture
    assert found.reason.startswith("the picture is damaged: ")
    assert read(sound).damage is None


@pytest.mark.parametrize("kind", ["plain", "444", "grey", "restarts"])
def test_zeros_are_seen_wherever_they_are(kind: str) -> None:
    # libjpeg does not warn of all: sometimes as many blocks as were lost can be read from them.
    assert [found for found in map(damage_of, pieces(KINDS[kind](), 60)) if found is None or not found.in_picture] == []


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_zeros_of_black_pictures_prove_nothing(mode: str, optimize: bool) -> None:
    half_black = BLACK.copy()
    half_black.paste(PHOTO)
    for image in (BLACK, half_black, BLACK.convert("L").point(lambda _: 16).convert("RGB")):
        assert damage_of(saved(image.convert(mode), "JPEG", optimize=optimize)) is None


def test_the_zeros_of_black_pictures_are_as_long_as_those_of_damage() -> None:
    runs = re.findall(rb"\0{1000,}", saved(BLACK, "JPEG", optimize=True))
    assert runs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [-1, -2])
def test_a_file_without_its_end_mark_is_whole(kind: str, left: int) -> None:
    sound = KINDS[kind]()
    found = read(sound[:left])
    assert found.damage == NO_END
    assert not NO_END.in_picture
    np.testing.assert_array_equal(found.pixels, read(sound).pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_further_is_not(kind: str) -> None:
    sound = KINDS[kind]()
    for cut in (4, 5, 30, 1000, len(sound) // 2):
        with pytest.raises(DecodeError):
            read(sound[:-cut])


def test_a_progressive_file_that_ends_between_two_scans_is_not_whole() -> None:
    sound = photo(progressive=True)
    ends = [found.start() for found in re.finditer(rb"\xff\xc4", sound)][1:]
    assert len(ends) > 3
    for end in ends:
        with pytest.raises(DecodeError):
            read(sound[:end])
        found = damage_of(sound[:end] + b"\xff\xd9")  # some programs leave scans out on purpose
        assert found is not None and not found.in_picture


@pytest.mark.parametrize(
    "data",
    [
        stray(photo(), 0xDB, b"\0\0"),
        stray(photo(), 0xDA, bytes(215)),
        stray(photo(), 0xD9, b"\x12"),
        stray(photo(), 0xD9, b"\x12\x34\x56\x78" * 3),
        stray(photo(), 0xD9, bytes(3000)),
        stray(photo(), 0xD9, b"\xff" * 300),
        stray(photo(restart_marker_rows=1), 0xD3, b"\x12\x34"),
        stray(photo(restart_marker_blocks=7), 0xD3, bytes(40)),
        stray(photo(progressive=True), 0xD9, bytes(3000)),
        photo() + bytes(5000),
        photo() + photo(),
    ],
    ids=range(11),
)
def test_stray_bytes_of_sound_cameras_are_left_alone(data: bytes) -> None:
    assert read(data).damage is None


@pytest.mark.parametrize("damage", [piece_missing, zeros_within, foreign_bytes, zeros_to_the_end])
def test_stray_bytes_hide_no_damage(damage: Callable[[bytes], bytes]) -> None:
    for sound, marker in ((photo(restart_marker_rows=1), 0xD0), (photo(restart_marker_blocks=7), 0xD1)):
        odd = stray(sound, marker, b"\x12\x34")
        assert damage_of(odd) is None
        found = damage_of(damage(odd))
        assert found is not None and found.in_picture
    early = stray(photo(), 0xDB, b"\0\0")
    found = damage_of(damage(early))
    assert found is not None and found.in_picture


def test_samples_that_are_too_many_are_no_stray_bytes() -> None:
    sound = photo()
    found = damage_of(sound[:-2] + sound[-902:-2] + sound[-2:])
    assert found is not None and found.in_picture


def test_no_sound_jpeg_is_called_damaged() -> None:
    files = [file for file in sound_files() if file.data.startswith(b"\xff\xd8")]
    assert len(files) > 30
    assert {file.name: read(file.data).damage for file in files} == {file.name: None for file in files}


def test_what_cannot_be_checked_is_told_and_not_refused() -> None:
    sound = photo(subsampling="4:2:0")
    at = sound.index(b"\xff\xc0") + 11
    odd = sound[:at] + b"\x42" + sound[at + 1 :]  # colours for eight pixels together, which simplejpeg does not know
    found = damage_of(odd)
    assert found is not None and not found.in_picture
    assert found.reason.startswith("the picture cannot be checked for damage: ")


def test_scans_of_cameras_that_leave_out_the_range_are_checked() -> None:
    sound = photo()
    at = sound.index(b"\xff\xda") + 2 + 12 - 3
    odd = sound[:at] + b"\0\0\0" + sound[at + 3 :]
    assert damage_of(odd) is None
    assert damage_of(end_of_samples_only(odd)) is not None


def test_arithmetic_coding_is_no_damage() -> None:
    assert b"\xff\xc9" in ARITHMETIC
    assert read(ARITHMETIC).damage is None
    assert read(ARITHMETIC[:-2]).damage == NO_END


def jpeg_in_tiff() -> bytes:
    pixels: Array = np.asarray(PHOTO)
    return tiff(pixels, compression="jpeg", compressionargs={"level": 90}, rowsperstrip=160)


def test_jpeg_within_tiff_is_checked_too() -> None:
    sound = jpeg_in_tiff()
    assert read(sound).damage is None
    with tifffile.TiffFile(BytesIO(sound)) as file:
        at, size = file.pages.first.dataoffsets[1], file.pages.first.databytecounts[1]
    for broken in (
        sound[: at + size // 3] + bytes(size - size // 3 - 2) + sound[at + size - 2 :],
        sound[: at + size // 2] + bytes(2000) + sound[at + size // 2 + 2000 :],
    ):
        found = read(broken).damage
        assert found is not None and found.in_picture
