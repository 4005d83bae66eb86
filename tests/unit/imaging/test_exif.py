"""EXIF blocks against Pillow's reader."""

from __future__ import annotations

import random
import struct
from io import BytesIO

import pytest

from lumen.imaging.exif import (
    EXIF_IFD,
    ORIENTATION,
    Entry,
    build_block,
    byte_order,
    orientation,
    orientation_only,
    parse_block,
    read_directory,
    upright,
    with_prefix,
    without_prefix,
)
from tests.unit.imaging.files import exif, tags


@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_found_and_set_upright(value: int) -> None:
    block = exif(value)
    assert orientation(block) == value
    turned = upright(block)
    assert turned is not None
    assert len(turned) == len(block)
    assert tags(turned) == tags(block) | {"orientation": 1}
    smallest = orientation_only(value)
    assert orientation(smallest) == value
    assert (smallest is None) is (value == 1)
    assert tags(smallest)["orientation"] == (value if value > 1 else None)


@pytest.mark.parametrize("block", [None, b"", b"rubbish", b"II*\0", exif(6)[:20], b"MM\0*\0\0\0\x08\0\x05"])
def test_no_orientation_is_the_first(block: bytes | None) -> None:
    assert orientation(block) == 1
    assert upright(block) == block


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_impossible_orientation_is_the_first(value: int) -> None:
    assert orientation(build_block({ORIENTATION: Entry(3, 1, struct.pack("<H", value))}, "<")) == 1


def test_the_prefix_comes_and_goes() -> None:
    assert without_prefix(with_prefix(b"II*\0")) == b"II*\0"
    assert without_prefix(b"II*\0") == b"II*\0"
    assert without_prefix(b"Exif\0\0") is without_prefix(b"") is without_prefix(None) is None


def test_a_rebuilt_block_says_the_same() -> None:
    block = exif(5)
    rebuilt = build_block(parse_block(block), byte_order(block))
    assert tags(rebuilt) == tags(block)
    assert parse_block(rebuilt) == parse_block(block)


def test_a_loop_of_directories_is_refused() -> None:
    entry = struct.pack("<HHII", EXIF_IFD, 4, 1, 8)
    with pytest.raises(ValueError, match="loop"):
        parse_block(struct.pack("<2sHIH", b"II", 42, 8, 1) + entry + b"\0\0\0\0")


def test_damaged_blocks_raise_nothing_else() -> None:
    rng = random.Random(4)
    block = exif(6)
    for _ in range(2000):
        broken = bytearray(block)
        for _ in range(rng.randint(1, 6)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        cut = bytes(broken[: rng.randint(0, len(broken))])
        assert 1 <= orientation(cut) <= 8
        upright(cut)
        try:
            read_directory(BytesIO(cut))
        except (ValueError, EOFError):
            continue
