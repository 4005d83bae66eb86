"""Cut a picture into windows whose results together equal the result of one window over the whole picture.

There are three coordinate systems::

    picture   pixel 0 is the first stored pixel
    padded    picture + edge_px; 0 is the first pixel of the reflected border
    window    0 is the first pixel of one window

A *whole run* sees the padded picture: `edge_px` of reflection before the picture, and after it `edge_px` plus what
brings the side to a multiple of `align`. A tiled run gives the same result for three reasons: every window starts at
a multiple of `align` (strided layers have the same phase), a window at the edge starts or ends exactly where the padded
picture does (the network's own zero padding is at the same place), and inner window sides are at least `halo_px` away
from every pixel that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from lumen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One window and the part of its result that is kept.

    Attributes:
        y: First row of the window, in padded coordinates, a multiple of `align`.
        x: First column of the window, likewise.
        y0: First row of the core, in picture coordinates.
        y1: Row after the core.
        x0: First column of the core.
        x1: Column after the core.
    """

    y: int
    x: int
    y0: int
    y1: int
    x0: int
    x1: int


@dataclass(frozen=True, kw_only=True)
class TilePlan:
    """How one picture is cut. All windows have the same shape; the cores partition the picture.

    Attributes:
        height: Rows of the picture.
        width: Columns of the picture.
        align: Origins and sides of windows are multiples of this many pixels.
        halo_px: Smallest distance of a core from the inner sides of its window.
        edge_px: Reflected pixels before the first row and column.
        padded_h: Rows of the padded picture.
        padded_w: Columns of the padded picture.
        window_h: Rows of every window.
        window_w: Columns of every window.
        tiles: Windows and cores, row by row.
    """

    height: int
    width: int
    align: int
    halo_px: int
    edge_px: int
    padded_h: int
    padded_w: int
    window_h: int
    window_w: int
    tiles: tuple[Tile, ...]


def plan_tiles(height: int, width: int, *, align: int, halo_px: int, edge_px: int, max_window_px: int) -> TilePlan:
    """Plan the fewest windows, and then the smallest, that give the result of the whole run.

    Args:
        height: Rows of the picture, at least 1.
        width: Columns of the picture, at least 1.
        align: Phase of the network in pixels, at least 1.
        halo_px: Radius after which the network no longer sees a window's side; a multiple of `align`.
        edge_px: Reflection around the picture; a multiple of `align`.
        max_window_px: Largest allowed side of a window; rounded down to a multiple of `align`. Where one window spans
            the picture's short side, the other side may be longer, as long as the area stays within that of a square.

    Raises:
        ValueError: A size or a value of the network is invalid.
        UsageError: `max_window_px` leaves no core between two halos.
    """
    if height < 1 or width < 1:
        raise ValueError(f"expected a picture of at least 1x1 pixels, got {width}x{height}")
    if align < 1 or halo_px < 0 or edge_px < 0 or halo_px % align or edge_px % align:
        raise ValueError(
            "expected align >= 1 with halo_px and edge_px as multiples of it, "
            f"got align={align}, halo_px={halo_px}, edge_px={edge_px}"
        )
    rows = _Axis.plan(height, align, halo_px, edge_px, max_window_px)
    cols = _Axis.plan(width, align, halo_px, edge_px, max_window_px)
    if rows.is_whole:
        cols = _Axis.plan(width, align, halo_px, edge_px, max(max_window_px, max_window_px**2 // rows.window))
    elif cols.is_whole:
        rows = _Axis.plan(height, align, halo_px, edge_px, max(max_window_px, max_window_px**2 // cols.window))
    return TilePlan(
        height=height,
        width=width,
        align=align,
        halo_px=halo_px,
        edge_px=edge_px,
        padded_h=rows.padded,
        padded_w=cols.padded,
        window_h=rows.window,
        window_w=cols.window,
        tiles=tuple(
            Tile(y=y, x=x, y0=y0, y1=y1, x0=x0, x1=x1) for y, y0, y1 in rows.pieces for x, x0, x1 in cols.pieces
        ),
    )


def cut(pixels: npt.NDArray[Any], plan: TilePlan, tile: Tile) -> npt.NDArray[Any]:
    """Return one window, reflected where it extends beyond the picture's edge.

    Reflection does not repeat the edge pixel and folds as often as needed, so even a picture of 1x1 pixels fills any
    window. The picture is not copied as a whole.

    Args:
        pixels: The picture, `[H, W]` or `[H, W, C]`, any dtype.
        plan: The plan made for a picture of this size.
        tile: One of the plan's tiles.

    Returns:
        A contiguous array `[window_h, window_w, ...]` that shares no memory with the picture.
    """
    _check_size("picture", pixels, plan.height, plan.width)
    top, left = tile.y - plan.edge_px, tile.x - plan.edge_px
    if 0 <= top <= plan.height - plan.window_h and 0 <= left <= plan.width - plan.window_w:
        return pixels[top : top + plan.window_h, left : left + plan.window_w].copy(order="C")
    rows = _reflected(top, plan.window_h, plan.height)
    cols = _reflected(left, plan.window_w, plan.width)
    # Rows first, on the columns the window can touch: far fewer bytes than indexing both ways at once.
    first, last = int(cols.min()), int(cols.max()) + 1
    return pixels[:, first:last].take(rows, axis=0).take(cols - first, axis=1)


def box_of(plan: TilePlan, tile: Tile) -> npt.NDArray[np.float32]:
    """Return [4], top, left, bottom and right of a window as fractions of the picture.

    They are below 0 and above 1 where the window reaches into the reflection.
    """
    top, left = (tile.y - plan.edge_px) / plan.height, (tile.x - plan.edge_px) / plan.width
    rows, columns = plan.window_h / plan.height, plan.window_w / plan.width
    return np.array([top, left, top + rows, left + columns], np.float32)


def paste(target: npt.NDArray[Any], plan: TilePlan, tile: Tile, enhanced_window: npt.NDArray[Any]) -> None:
    """Copy the core of a window's result to its place in the picture.

    Args:
        target: The result so far, `[H, W]` or `[H, W, C]`, changed in place.
        plan: The plan made for a picture of this size.
        tile: One of the plan's tiles.
        enhanced_window: The network's result for `cut(...)`, `[window_h, window_w, ...]`.
    """
    _check_size("target", target, plan.height, plan.width)
    _check_size("window", enhanced_window, plan.window_h, plan.window_w)
    dy, dx = plan.edge_px - tile.y, plan.edge_px - tile.x
    core = enhanced_window[tile.y0 + dy : tile.y1 + dy, tile.x0 + dx : tile.x1 + dx]
    target[tile.y0 : tile.y1, tile.x0 : tile.x1] = core


@dataclass(frozen=True)
class _Axis:
    """One axis of a plan: padded length, window length, and (origin, core start, core end) of each piece."""

    padded: int
    window: int
    pieces: tuple[tuple[int, int, int], ...]

    @property
    def is_whole(self) -> bool:
        """Whether one window spans the axis."""
        return self.window == self.padded

    @classmethod
    def plan(cls, size: int, align: int, halo: int, edge: int, limit: int) -> _Axis:
        padded = _ceil_to(size + 2 * edge, align)
        largest = limit - limit % align
        if padded <= largest:
            return cls(padded, padded, ((0, 0, size),))
        if largest <= 2 * halo:
            raise UsageError(
                f"expected windows of at least {2 * halo + align} pixels a side for this model "
                f"(its halo is {halo}), got {limit}; use a larger --tile or more memory"
            )
        # n windows of length s cover n * s - (n - 1) * 2 * halo: solved for the least n, then for the least s.
        count = -(-(padded - 2 * halo) // (largest - 2 * halo))
        window = _ceil_to(-(-(padded + (count - 1) * 2 * halo) // count), align)
        # Even spread in steps of align. Steps never exceed window - 2 * halo, as that is a multiple of align.
        room = (padded - window) // align
        origins = [room * i // (count - 1) * align for i in range(count)]
        # A border is in the middle of the overlap, so at least a halo from the inner sides of both windows.
        inner = [(behind + (ahead + window)) // 2 - edge for ahead, behind in pairwise(origins)]
        borders = [0, *(min(max(b, 0), size) for b in inner), size]
        spans = zip(origins, borders, borders[1:], strict=False)
        # A piece with its core wholly in the reflected border keeps nothing: skip it.
        return cls(padded, window, tuple((o, start, end) for o, start, end in spans if start < end))


def _ceil_to(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _reflected(start: int, length: int, size: int) -> npt.NDArray[np.intp]:
    """Return source indices for `start ... start + length - 1` on an axis of `size` pixels."""
    if size == 1:
        return np.zeros(length, np.intp)
    period = 2 * (size - 1)
    folded = np.arange(start, start + length, dtype=np.intp) % period
    return np.minimum(folded, period - folded)


def _check_size(what: str, array: npt.NDArray[Any], height: int, width: int) -> None:
    if array.shape[:2] != (height, width):
        raise ValueError(f"expected a {what} of {width}x{height} pixels as planned, got shape {array.shape}")
