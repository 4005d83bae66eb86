"""Measures the halo: how many pixels around a tile its result depends on."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from lumen.errors import ModelError
from lumen.models import Network
from lumen_export.halo_search import (
    CORE_PX,
    LEAST_PX,
    MOST_PX,
    REACHES_PX,
    STEP_PX,
    TOLERANCE,
    hard_pictures,
    search_halo,
)

SEEN_PX = 64  # side of the thumbnail in place of one of the picture's own size


def halo_pictures(side: int) -> dict[str, Tensor]:
    """Return float [3, side, side] pictures in [0, 1] that need large halos."""
    return {name: torch.from_numpy(picture).permute(2, 0, 1) for name, picture in hard_pictures(side).items()}


@torch.no_grad()
def restored_core(network: Network, picture: Tensor, halo_px: int | None = None) -> Tensor:
    """Return the middle [3, 64, 64] of a network's result for a picture [3, H, W], or for a window of it, in [0, 1].

    The window has a margin of `halo_px` around the middle; None runs the whole picture. All three sizes are multiples
    of the network's align.
    """
    whole = picture[None]
    side = network.thumbnail_px if network.thumbnail == "square" else SEEN_PX
    thumbnail = torch.nn.functional.interpolate(whole, (side, side), mode="area")
    top = (picture.shape[1] - CORE_PX) // 2 // network.align * network.align
    margin = top if halo_px is None else halo_px
    window = slice(None) if halo_px is None else slice(top - halo_px, top + CORE_PX + halo_px)
    tile = whole[:, :, window, window].contiguous(memory_format=torch.channels_last)
    if network.predicts_brightness:
        ends = torch.tensor([[top - margin, top + CORE_PX + margin]]) / picture.shape[1]
        result: Tensor = network(tile, thumbnail, torch.tensor([0.45]), ends[:, [0, 0, 1, 1]])
    else:  # any other brightness would apply a curve, which magnifies the differences to be measured
        result, _ = network.enhance(tile, thumbnail, lambda chosen: chosen)
    return result[0, :, margin : margin + CORE_PX, margin : margin + CORE_PX].clamp(0, 1)


def calibrate_halo(network: Network) -> int:
    """Return the halo in pixels: one step more than the smallest with an error under a twentieth of a level.

    Raises:
        ModelError: Even 256 pixels are not enough: the network reads the whole tile.
    """
    step = max(STEP_PX, network.align)
    for reach_px in REACHES_PX:
        halo_px = _halo_within(network, reach_px, step)
        if halo_px is not None:
            return max(LEAST_PX, halo_px + step)
    raise ModelError(f"even with a halo of {MOST_PX} px tiles differ from the whole picture; the network looks too far")


def _halo_within(network: Network, reach_px: int, step: int) -> int | None:
    """Return the smallest halo that is enough on pictures reaching that far beyond the core, or None."""
    pictures = list(halo_pictures(CORE_PX + 2 * reach_px + 2 * step).values())
    whole = cache(lambda index: restored_core(network, pictures[index]))

    def difference(index: int, halo_px: int) -> float:
        return float((restored_core(network, pictures[index], halo_px) - whole(index)).abs().max())

    # A picture hardly larger than the window would prove little.
    most = reach_px if reach_px == MOST_PX else reach_px - 2 * step
    return search_halo(difference, len(pictures), step, most, TOLERANCE)
