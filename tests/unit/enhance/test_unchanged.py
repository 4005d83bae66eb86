from __future__ import annotations

import os
import struct
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_file
from lumen.enhance.unchanged import LEVELS, SQUARE_PX, content_of, is_left, looks_same
from lumen.files.inputs import open_named
from lumen.imaging.formats import Format
from lumen.imaging.picture import Damage, Extra, Metadata, Picture
from lumen.spec import SampleType
from tests.support.fakes import FakeModels
from tests.support.files import RGB, put, saved


def flat(level: int, size: tuple[int, int] = (40, 60), sample: SampleType = "uint8", **facts: Any) -> Picture:
    scale = np.iinfo(sample).max // 255
    return Picture(pixels=np.full((*size, 3), level * scale, sample), format=facts.pop("format", "png"), **facts)


def with_corner(picture: Picture, change: int, side: int, *, far: bool) -> Picture:
    pixels = picture.pixels.copy()
    corner = np.s_[-side:, -side:] if far else np.s_[:side, :side]
    pixels[corner] += np.asarray(change * (np.iinfo(pixels.dtype).max // 255), pixels.dtype)
    return replace(picture, pixels=pixels)


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
@pytest.mark.parametrize("size", [(40, 60), (5, 3), (16, 33)])
def test_up_to_six_levels_nobody_sees(sample: SampleType, size: tuple[int, int]) -> None:
    before = flat(100, size, sample)
    assert looks_same(before, flat(100 + int(LEVELS), size, sample))
    assert not looks_same(before, flat(101 + int(LEVELS), size, sample))
    assert not looks_same(flat(101 + int(LEVELS), size, sample), before)


@pytest.mark.parametrize("far", [False, True])
def test_one_square_decides_wherever_it_is(far: bool) -> None:
    before = flat(100, (40, 60))
    assert not looks_same(before, with_corner(before, 7, SQUARE_PX, far=far))
    assert looks_same(before, with_corner(before, 20, SQUARE_PX // 4, far=far)), "a speck of 4 pixels"


def test_grain_that_went_is_a_change_though_the_mean_stays() -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(100 + rng.normal(0, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
    assert not looks_same(Picture(pixels=noisy, format="png"), flat(100, (64, 64)))


def test_levels_are_those_that_are_seen() -> None:
    gamma = Extra(format="png", kind=b"gAMA", data=struct.pack(">I", 100_000), label="gamma")
    linear = partial(flat, sample="uint16", metadata=Metadata(extras=(gamma,)))
    assert looks_same(flat(2, sample="uint16"), flat(6, sample="uint16"))
    assert not looks_same(linear(2), linear(6)), "in linear light these are levels 25 and 44 of sRGB"


A, B = flat(100, format="jpeg"), flat(101, format="jpeg")


@pytest.mark.parametrize(
    ("changes", "target", "left"),
    [
        ({}, "out/a.jpg", True),
        ({}, "out/a-bright.jpeg", True),
        ({"subsampling": "keep"}, "a.jpg", True),
        ({"unchanged": "encode"}, "a.jpg", False),
        ({"quality": 95}, "a.jpg", False),
        ({"subsampling": "420"}, "a.jpg", False),
        ({"metadata": "strip"}, "a.jpg", False),
        ({}, "a.png", False),
        ({"unchanged": "skip"}, "a.png", True),
    ],
)
def test_who_asks_for_another_file_gets_it(changes: dict[str, Any], target: str, left: bool) -> None:
    assert is_left(A, B, Path("a.jpg"), Path(target), EnhanceOptions(**changes)) is left


@pytest.mark.parametrize(
    ("facts", "kind", "changes", "left"),
    [
        ({}, "png", {"quality": 50, "subsampling": "420"}, True),  # which change nothing there
        ({"lossless": True}, "webp", {"quality": 50}, True),
        ({}, "webp", {"quality": 50}, False),
        ({"notes": ("only the first",)}, "png", {}, True),
        ({"notes": ("only the first",)}, "png", {"frames": "first"}, False),
        ({"damage": Damage(reason="torn", in_picture=True)}, "png", {}, False),
    ],
)
def test_what_the_file_is_matters(facts: dict[str, Any], kind: Format, changes: dict[str, Any], left: bool) -> None:
    before = flat(100, format=kind, **facts)
    name = Path(f"a.{kind}")
    assert is_left(before, before, name, name, EnhanceOptions(**changes)) is left


def test_a_name_that_hides_another_format_makes_another_file() -> None:
    name = Path("a.jpg")
    assert not is_left(flat(100), flat(100), name, name, EnhanceOptions())


@pytest.mark.parametrize("what", ["written", "replaced", "gone"])
def test_only_the_file_that_was_decoded_is_copied(tmp_path: Path, what: str) -> None:
    path = put(tmp_path, "a", b"old")
    opened = open_named(path)
    opened.stream.close()
    assert content_of(partial(open_named, path), opened.identity) == b"old"
    if what == "written":
        path.write_bytes(b"other")
    elif what == "replaced":
        os.replace(put(tmp_path, "b", b"new"), path)
    else:
        path.unlink()
    assert content_of(partial(open_named, path), opened.identity) is None


def test_a_file_of_which_all_is_fine_is_copied_bit_for_bit(tmp_path: Path) -> None:
    path, target = put(tmp_path, "a.jpg", saved(RGB, "JPEG", quality=60)), tmp_path / "b.jpg"
    assert enhance_file(path, target, FakeModels()).is_unchanged
    assert target.read_bytes() == path.read_bytes()
    assert not enhance_file(path, target, FakeModels(gain=1.5)).is_unchanged
    assert target.read_bytes() != path.read_bytes()
    target.unlink()
    assert enhance_file(path, target, FakeModels(), EnhanceOptions(unchanged="skip")).is_unchanged
    assert not target.exists()
