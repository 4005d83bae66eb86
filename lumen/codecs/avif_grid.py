"""Large AVIF pictures, as a grid of tiles: the encoder holds what it encodes several times.

Reference:
    ISO/IEC 23008-12, derived images of the kind `grid`; ISO/IEC 23000-22 (MIAF), 7.3.11.4.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lumen.codecs.avif_items import CODED, GRID, Item, items_of, joined
from lumen.imaging.picture import Chroma, Metadata, Picture, Samples

_LARGE_PX = 27_000_000  # from here on; Firefox shows no grids, and most cameras give no more pixels
_MOST_TILE_PX = 2048  # a side
_STEP_PX = 64  # of the sides of tiles, as MIAF wants them
_SMALL_PX = 64
_CODING, _SIZE = b"av1C", b"ispe"


def is_large(picture: Picture) -> bool:
    """Return whether a picture takes too much memory to be encoded as one."""
    return picture.width * picture.height > _LARGE_PX


def allows(picture: Picture, chroma: Chroma | None) -> bool:
    """Return whether a picture can be a grid: not if it has odd sides along which colours are stored more coarsely."""
    is_odd = picture.width % 2 or (picture.height % 2 and chroma == "4:2:0")
    return not is_odd or chroma in (None, "4:4:4")


def encode_grid(picture: Picture, encode: Callable[[Picture], bytes]) -> bytes:
    """Return a picture as an AVIF file of equal tiles; the last ones may reach beyond its edges.

    Args:
        picture: With its metadata.
        encode: Returns the file of a smaller picture, as libavif lays it out.

    Raises:
        ValueError: The files are not laid out as expected.
    """
    height, width = tile_sides(picture)
    rows, columns = -(-picture.height // height), -(-picture.width // width)
    whole = encode(_part(picture, 0, 0, _SMALL_PX, _SMALL_PX))  # for its metadata
    items = items_of(whole)
    pictures = [number for number, item in items.items() if item.kind == CODED]  # colours, and opacity
    bare = replace(picture, metadata=Metadata(icc=picture.metadata.icc))
    tiles: dict[int, list[int]] = {number: [] for number in pictures}
    for number in range(rows * columns):
        y, x = number // columns * height, number % columns * width
        coded = items_of(encode(_part(bare, y, x, height, width)))
        for kind in pictures:
            place = len(items) + 1
            items[place] = replace(coded[kind], references=(), is_hidden=True)
            tiles[kind].append(place)
    shape = struct.pack(">4B2H", 0, 0, rows - 1, columns - 1, picture.width, picture.height)
    for kind in pictures:
        items[kind] = _grid(items[kind], shape, tiles[kind])
    return joined(items, whole)


def tile_sides(picture: Picture) -> tuple[int, int]:
    """Return height and width of the tiles of a picture, with little beyond its edges."""

    def side(whole: int) -> int:
        count = -(-whole // _MOST_TILE_PX)
        return -(-whole // (count * _STEP_PX)) * _STEP_PX

    return side(picture.height), side(picture.width)


def _part(picture: Picture, y: int, x: int, height: int, width: int) -> Picture:
    """Return a piece of a picture; beyond the edges their last pixels are repeated."""

    def cut(samples: Samples) -> Samples:
        piece = samples[y : y + height, x : x + width]
        beyond = ((0, height - piece.shape[0]), (0, width - piece.shape[1]), *[(0, 0)] * (piece.ndim - 2))
        return np.pad(piece, beyond, "edge")

    return replace(picture, pixels=cut(picture.pixels), alpha=None if picture.alpha is None else cut(picture.alpha))


def _grid(item: Item, shape: bytes, tiles: list[int]) -> Item:
    """Return the grid in place of a coded picture, which it is like in all but size and coding."""
    width, height = struct.unpack_from(">HH", shape, 4)
    size = struct.pack(">I4s3I", 20, _SIZE, 0, width, height)
    kept = ((strict, size if box[4:8] == _SIZE else box) for strict, box in item.properties if box[4:8] != _CODING)
    return replace(
        item, kind=GRID, data=shape, properties=tuple(kept), references=((b"dimg", tuple(tiles)), *item.references)
    )
