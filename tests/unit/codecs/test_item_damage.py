"""Zeroed parts of AVIF and HEIC files, and the zeros of sound ones."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from lumen.codecs.item_damage import damage_of_items
from tests.support.codecs import needs_heif, read
from tests.support.corpus import sound_files
from tests.support.crafted import heic
from tests.support.damage import BLACK, PHOTO
from tests.support.files import Array, saved

PIXELS: Array = np.asarray(PHOTO)
SOUND: dict[str, Callable[[], bytes]] = {
    "avif": lambda: saved(PHOTO, "AVIF", quality=90),
    "avif-10": lambda: bytes(
        imagecodecs.avif_encode(PIXELS.astype(np.uint16) << 2, level=90, bitspersample=10, speed=9)
    ),
}
if find_spec("pillow_heif"):
    SOUND |= {"heic": lambda: heic(PIXELS), "heic-10": lambda: heic(PIXELS.astype(np.uint16) << 8)}


@pytest.mark.parametrize("kind", SOUND)
def test_zeros_in_a_coded_picture_are_seen(kind: str) -> None:
    sound = SOUND[kind]()
    assert read(sound).damage is None
    for at in (len(sound) // 3, len(sound) - 512):
        found = read(sound[:at] + bytes(512) + sound[at + 512 :]).damage
        assert found is not None and found.in_picture


def test_zeros_of_metadata_and_black_pictures_are_left_alone() -> None:
    block = Image.Exif()
    block[0x010E] = "dark"
    exif = b"Exif\0\0" + block.tobytes().removeprefix(b"Exif\0\0") + bytes(5000)
    for image in (BLACK, PHOTO):
        assert damage_of_items(BytesIO(saved(image, "AVIF", exif=exif))) is None


@needs_heif
def test_zeros_of_metadata_and_black_pictures_in_heic_are_left_alone() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(5000)
    assert damage_of_items(BytesIO(heic(PIXELS, exif=exif))) is None
    assert damage_of_items(BytesIO(heic(np.zeros((1200, 1600, 3), np.uint8)))) is None


def test_no_sound_file_is_called_damaged() -> None:
    files = [file for file in sound_files() if b"ftyp" in file.data[:12]]
    assert len(files) > 15
    assert {file.name: read(file.data).damage for file in files} == {file.name: None for file in files}


@pytest.mark.parametrize("kind", SOUND)
def test_odd_descriptions_end(kind: str) -> None:
    sound = SOUND[kind]()
    at = sound.index(b"iloc")
    for value in range(0, 256, 15):
        for place in (4, 8, 9, 11, 13, 17):
            odd = bytearray(sound[:20_000])
            odd[at + place] = value
            damage_of_items(BytesIO(bytes(odd)))
    assert damage_of_items(BytesIO(sound[: at + 6])) is None
