"""EXIF blocks against Pillow's reader."""

from __future__ import annotations

import random
import struct
from io import BytesIO

import pytest
from PIL import Image
from PIL.ExifTags import IFD

from lumen.codecs.exif import (
    EXIF_IFD,
    ORIENTATION,
    ByteOrder,
    Entry,
    build_block,
    byte_order,
    is_sound,
    orientation,
    orientation_only,
    parse_block,
    read_directory,
    upright,
    with_prefix,
    without_prefix,
    without_thumbnail,
)
from tests.support.codecs import read
from tests.support.files import RGB, exif, saved, tags, with_thumbnail


@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_found(value: int) -> None:
    assert orientation(exif(value)) == value
    smallest = orientation_only(value)
    assert orientation(smallest) == value
    assert (smallest is None) is (value == 1)
    assert tags(smallest)["orientation"] == (value if value > 1 else None)


@pytest.mark.parametrize("block", [None, b"", b"rubbish", b"II*\0", exif(6)[:20], b"MM\0*\0\0\0\x08\0\x05"])
def test_no_orientation_is_the_first(block: bytes | None) -> None:
    assert orientation(block) == 1
    assert without_thumbnail(block) == block


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_of_four_bytes_is_one_too(order: ByteOrder) -> None:
    block = build_block({ORIENTATION: Entry(4, 1, struct.pack(order + "I", 6))}, order)
    assert tags(block)["orientation"] == 6
    assert orientation(block) == 6
    assert tags(upright(block))["orientation"] == orientation(upright(block)) == 1


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_impossible_orientation_is_the_first(value: int) -> None:
    assert orientation(build_block({ORIENTATION: Entry(3, 1, struct.pack("<H", value))}, "<")) == 1


def test_the_prefix_comes_and_goes() -> None:
    assert without_prefix(with_prefix(b"II*\0")) == b"II*\0"
    assert without_prefix(b"II*\0") == b"II*\0"
    assert without_prefix(b"Exif\0\0") is without_prefix(b"") is without_prefix(None) is None


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("behind", [b"", b"\0", b"a maker note far away"])
def test_the_thumbnail_goes_and_nothing_else_moves(big_endian: bool, behind: bytes) -> None:
    read = Image.Exif()
    read.load(exif(6))
    read.endian = ">" if big_endian else "<"
    block = read.tobytes().removeprefix(b"Exif\0\0")
    assert block[:2] == (b"MM" if big_endian else b"II")
    dark = saved(RGB.resize((16, 12)), "JPEG")
    full = with_thumbnail(block, dark, behind=behind)
    assert thumbnail_tags(full).keys() == {0x0103, 0x0201, 0x0202}
    bare = without_thumbnail(full)
    assert bare is not None
    assert thumbnail_tags(bare) == {}
    assert tags(bare) == tags(block)
    assert bare[: len(block)] == block
    if len(behind) > 1:
        assert bare.endswith(behind) and len(bare) == len(full)
    else:
        assert dark not in bare
    assert without_thumbnail(bare) == bare


def test_a_link_that_is_none_stays() -> None:
    block = exif(6)
    order = byte_order(block)
    (count,) = struct.unpack_from(order + "H", block, 8)
    at = 10 + 12 * count
    for rubbish in (8, at, len(block) - 2, 1 << 31):  # the first directory itself, a value, the end, beyond
        broken = block[:at] + struct.pack(order + "I", rubbish) + block[at + 4 :]
        assert without_thumbnail(broken) == broken


def thumbnail_tags(block: bytes) -> dict[int, object]:
    read = Image.Exif()
    read.load(block)
    return dict(read.get_ifd(IFD.IFD1))


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
        without_thumbnail(cut)
        try:
            read_directory(BytesIO(cut))
        except (ValueError, EOFError):
            continue


MALFORMED = "the EXIF block is malformed; it is kept as it is where the format allows, and few programs read it"


def levels_of_directories(levels: int, width: int) -> bytes:
    """Return an EXIF block in which each of `levels` directories points `width` times to the next one."""
    block, step = b"II*\0\x08\0\0\0", 2 + 12 * width + 4
    for level in range(1, levels):
        entry = struct.pack("<HHII", EXIF_IFD, 4, 1, 8 + level * step)
        block += struct.pack("<H", width) + entry * width + bytes(4)
    return block + bytes(6)


def test_directories_that_share_a_place_are_not_read_again_and_again() -> None:
    # With a hundred entries on each of six levels this would never end; with two on three it is only told.
    for levels, width in ((3, 2), (6, 100)):
        block = levels_of_directories(levels, width)
        with pytest.raises(ValueError, match="overlap"):
            parse_block(block)
        found = read(saved(RGB, "JPEG", exif=b"Exif\0\0" + block))
        assert found.notes == (MALFORMED,)
        assert found.metadata.exif == block


def test_a_deep_chain_of_directories_costs_no_picture() -> None:
    block = levels_of_directories(2000, 1)
    assert read(saved(RGB, "JPEG", exif=b"Exif\0\0" + block)).notes == (MALFORMED,)
    assert is_sound(levels_of_directories(4, 1))


def test_many_tags_of_one_place_take_no_memory_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = b"".join(struct.pack("<HHII", tag, 1, 1000, 0) for tag in range(1, 41))
    block = (b"II*\0\x08\0\0\0" + struct.pack("<H", 40) + entries + bytes(4)).ljust(1000, b"\0")
    assert len(parse_block(block)) == 40
    monkeypatch.setattr("lumen.codecs.exif._MAX_VALUES", 39_999)
    with pytest.raises(ValueError, match="too many values"):
        parse_block(block)
