"""The order of the pictures of a sequence."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from lumen.batch.block import Block
from lumen.batch.sequences import in_sequence, natural_key
from lumen.config import Steady


@pytest.mark.parametrize(
    "names",
    [
        ["img1.jpg", "img2.jpg", "img10.jpg", "img100.jpg"],
        ["a", "a1", "a01", "a1b2", "a1b10", "B1", "b2"],
        ["7.png", "8.png", "10.png", "cam-1.png"],
        ["2024-01-02_9.jpg", "2024-01-02_10.jpg", "2024-01-10_1.jpg"],
        ["٣.jpg"],  # digits of other scripts are text
    ],
)
def test_numbers_count_as_numbers(names: list[str]) -> None:
    mixed = Random(0).sample(names, len(names))
    ordered = sorted(mixed, key=natural_key)
    assert ordered == sorted(names, key=natural_key)
    assert [natural_key(name)[0][:2] for name in ordered] == sorted(natural_key(name)[0][:2] for name in names)
    assert ordered == names or names[1:3] == ["a1", "a01"]


def made(folder: Path, times: dict[str, str | None]) -> Block:
    """Pictures with times by EXIF, and file times in the opposite order."""
    for number, (name, taken) in enumerate(times.items()):
        picture, exif = Image.new("RGB", (8, 8)), Image.Exif()
        if taken:
            text, _, fraction = taken.partition(".")
            exif.get_ifd(0x8769).update({0x9003: text, 0x9291: fraction})
        picture.save(folder / name, exif=exif)
        os.utime(folder / name, (1e9 - number, 1e9 - number))
    names = sorted(times)
    return Block(source=folder, target=folder / "out", names=names, results=[f"r-{name}" for name in names])


def order(block: Block, by: Steady) -> list[str]:
    found = in_sequence(block, by)
    assert found.results == [f"r-{name}" for name in found.names]
    return list(found.names)


NOON = "2024:05:01 12:00:00"


def test_by_name_or_not_at_all(tmp_path: Path) -> None:
    block = made(tmp_path, {"a2.jpg": None, "a10.jpg": None})
    assert order(block, "off") == ["a10.jpg", "a2.jpg"]
    assert order(block, "name") == ["a2.jpg", "a10.jpg"]


def test_by_the_time_of_the_exif_data_to_parts_of_a_second(tmp_path: Path) -> None:
    block = made(tmp_path, {"c.jpg": NOON, "a.jpg": f"{NOON}.25", "b.jpg": f"{NOON}.5", "d.jpg": "2024:05:01 11:59:59"})
    assert order(block, "time") == ["d.jpg", "c.jpg", "a.jpg", "b.jpg"]


@pytest.mark.parametrize("other", [None, "yesterday", "0000:00:00 00:00:00"])
def test_by_the_time_of_the_files_if_one_has_no_other(tmp_path: Path, other: str | None) -> None:
    block = made(tmp_path, {"a.jpg": NOON, "b.jpg": other, "c.jpg": f"{NOON}.5"})
    assert order(block, "time") == ["c.jpg", "b.jpg", "a.jpg"]


def test_what_is_lost_or_no_picture_has_a_place_all_the_same(tmp_path: Path) -> None:
    block = made(tmp_path, {"a.jpg": NOON, "b.jpg": NOON})
    (tmp_path / "a.jpg").write_bytes(b"text")
    (tmp_path / "b.jpg").unlink()
    assert sorted(order(block, "time")) == ["a.jpg", "b.jpg"]
