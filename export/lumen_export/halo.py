"""Measures the halo: how many pixels around a tile its result depends on."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from lumen.errors import ModelError
from lumen.models import Network

STEP_PX = 8
LEAST_PX = 32
REACHES_PX = (128, 256)  # tried in this order: deep networks take long on large pictures
MOST_PX = REACHES_PX[-1]
TOLERANCE = 0.05 / 255  # a twentieth of an 8-bit level
CORE_PX = 64
SEEN_PX = 64  # side of the thumbnail in place of one of the picture's own size


def halo_pictures(side: int) -> dict[str, Tensor]:
    """Return float [3, side, side] pictures in [0, 1] that need large halos."""
    generator = torch.Generator().manual_seed(0)
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    wave = (torch.sin(row / 23.0) * torch.cos(column / 17.0) + 1) / 2
    blocks = ((row // 32 + column // 32) % 2).float()
    return {
        "noise": torch.rand(3, side, side, generator=generator),
        "dark noise": 0.1 * torch.rand(3, side, side, generator=generator),
        "checkerboard": blocks.expand(3, -1, -1),
        "dim checkerboard": 0.02 + 0.1 * blocks.expand(3, -1, -1),
        "ramp": ((row / side) ** 2).expand(3, -1, -1),
        "waves": 0.2 * wave.expand(3, -1, -1),
    }


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

    def enough(halo_px: int) -> bool:
        differences = (restored_core(network, p, halo_px) - whole(index) for index, p in enumerate(pictures))
        return all(difference.abs().max() <= TOLERANCE for difference in differences)

    # A picture hardly larger than the window would prove little.
    most = reach_px if reach_px == MOST_PX else reach_px - 2 * step
    return next((halo_px for halo_px in range(step, most + 1, step) if enough(halo_px)), None)
