"""Large AVIF pictures: a grid of tiles is the same picture, without seams, and with all metadata."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lumen.codecs import avif_grid
from lumen.codecs.avif_items import CODED, GRID, items_of
from lumen.codecs.codec import encode_picture
from lumen.color.icc import p3_profile
from lumen.imaging.picture import Metadata, Picture
from tests.support.codecs import read
from tests.support.files import XMP, ramp, tags
from tests.support.files import exif as exif_block


@pytest.fixture
def in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Store small pictures as large ones are."""
    monkeypatch.setattr(avif_grid, "_LARGE_PX", 10_000)
    monkeypatch.setattr(avif_grid, "_MOST_TILE_PX", 64)


def large(channels: int = 3, *, height: int = 150, width: int = 210, bits: int | None = None) -> Picture:
    samples = ramp(height, width, channels, np.uint16 if bits else np.uint8)
    return Picture.from_channels(samples, kind="png", metadata=Metadata(), bits=bits)


@pytest.mark.usefixtures("in_tiles")
@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("bits", [None, 10])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_large_picture_is_stored_in_tiles_and_comes_back_whole(
    channels: int, bits: int | None, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = Metadata(exif=exif_block(turn), icc=p3_profile(), xmp=XMP)
    made = replace(large(channels, bits=bits), metadata=metadata)
    data, told = encode_picture(made, "avif")
    assert (told, b"grid" in data) == ((), True)
    found = read(data)
    monkeypatch.undo()
    one = read(encode_picture(made, "avif")[0])
    assert (found.gray, found.alpha is None, found.bits) == (one.gray, one.alpha is None, one.bits)
    assert (found.chroma, found.notes, found.damage) == (one.chroma, (), None)
    unit = 257 if bits else 1
    assert np.abs(found.to_channels().astype(int) - one.to_channels()).mean() < 2 * unit
    assert np.abs(found.pixels.astype(int) - made.pixels).mean() < 3 * unit
    assert tags(found.metadata.exif) == tags(one.metadata.exif)
    assert (found.metadata.icc, found.metadata.xmp) == (p3_profile(), XMP)
    with Image.open(BytesIO(data)) as image:
        image.load()
        assert image.size == (210, 150)
        assert image.getexif().get(0x0112, 1) == turn


@pytest.mark.usefixtures("in_tiles")
@pytest.mark.parametrize("quality", [50, 80, 100])
def test_no_seam_shows_where_tiles_meet(quality: int) -> None:
    y, x = np.mgrid[:192, :256]
    noise = np.random.default_rng(0).normal(0, 2, (192, 256, 3))
    sky = (np.stack([40 + y / 4 + x / 16, 60 + y / 3, 110 + y / 3], -1) + noise).astype(np.uint8)
    data, _ = encode_picture(Picture(pixels=sky, format="png"), "avif", quality=quality)
    assert b"grid" in data
    error = read(data).pixels.astype(int) - sky
    steps = np.abs(np.diff(error, axis=1)).mean((0, 2))
    assert steps[63::64].mean() < 1.25 * steps.mean()


@pytest.mark.usefixtures("in_tiles")
def test_the_tiles_are_equal_hidden_and_belong_to_the_grid_in_their_order() -> None:
    items = items_of(encode_picture(large(4), "avif")[0])
    color, opacity = items[1], items[2]
    assert (color.kind, opacity.kind) == (GRID, GRID)
    assert color.data == bytes([0, 0, 2, 3, 0, 210, 0, 150])
    ((kind, tiles),) = color.references
    assert (kind, len(tiles)) == (b"dimg", 12)
    assert [reference[0] for reference in opacity.references] == [b"dimg", b"auxl"]
    coded = {number for number, item in items.items() if item.kind == CODED}
    assert {*tiles, *opacity.references[0][1]} == coded
    assert all(items[number].is_hidden for number in coded)
    assert {items[number].properties for number in tiles} == {items[tiles[0]].properties}
    assert items[tiles[0]].property(b"ispe")[12:] == bytes([0, 0, 0, 64, 0, 0, 0, 64])
    assert not color.is_hidden


@pytest.mark.usefixtures("in_tiles")
@pytest.mark.parametrize(("height", "width"), [(150, 209), (149, 210), (149, 209)])
def test_odd_sides_are_kept_whatever_the_colours(height: int, width: int) -> None:
    made = large(height=height, width=width)
    for quality, subsampling, chroma, is_grid in (
        *((95, "auto", "4:4:4", True), (80, "auto", "4:4:4", True)),  # tiles need full colours there
        (80, "420", "4:2:0", False),
    ):
        data, _ = encode_picture(made, "avif", quality=quality, subsampling=subsampling)  # type: ignore[arg-type]
        found = read(data)
        assert (found.pixels.shape, found.chroma, b"grid" in data) == ((height, width, 3), chroma, is_grid)
        assert np.abs(found.pixels.astype(int) - made.pixels).mean() < 6


@pytest.mark.usefixtures("in_tiles")
def test_coarser_colours_are_kept_at_even_sides() -> None:
    data, _ = encode_picture(large(), "avif", quality=80)
    assert (read(data).chroma, b"grid" in data) == ("4:2:0", True)
    tall = replace(large(height=151), chroma="4:2:2")
    data, _ = encode_picture(tall, "avif", quality=80, subsampling="keep")
    assert (read(data).chroma, b"grid" in data) == ("4:2:2", True)


@pytest.mark.usefixtures("in_tiles")
def test_a_tile_with_a_zeroed_part_is_noticed() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (150, 210, 3), np.uint8)
    data, _ = encode_picture(Picture(pixels=noise, format="png"), "avif")
    assert b"grid" in data
    damage = read(data[:-1100] + bytes(100) + data[-1000:]).damage
    assert damage is not None and damage.in_picture


def test_other_pictures_are_one_item() -> None:
    assert b"grid" not in encode_picture(large(), "avif")[0]


@pytest.mark.parametrize(("height", "width"), [(6122, 8164), (824, 32_768), (16_384, 16_384), (5200, 5200)])
def test_tiles_cover_a_picture_with_little_beyond_its_edges(height: int, width: int) -> None:
    flat = np.broadcast_to(np.uint8(0), (height, width, 3))
    picture = Picture(pixels=flat, format="png")
    assert avif_grid.is_large(picture)
    for whole, side in zip((height, width), avif_grid.tile_sides(picture), strict=True):
        count = -(-whole // side)
        assert side % 64 == 0
        assert 64 <= side <= 2048
        assert 0 <= count * side - whole < 64 * count
        assert (count - 1) * side < whole
