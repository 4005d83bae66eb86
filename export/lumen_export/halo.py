"""How many pixels around a tile its result depends on, measured."""

from __future__ import annotations

import torch
from torch import Tensor

from lumen.errors import ModelError
from lumen.models import Network

STEP_PX = 8
LEAST_PX = 32
MOST_PX = 256
TOLERANCE = 0.05 / 255  # a twentieth of an 8-bit level
CORE_PX = 64


def halo_pictures(side: int) -> dict[str, Tensor]:
    """Return float [3, side, side] pictures in [0, 1] that are hard on halos."""
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
def halo_error(network: Network, picture: Tensor, halo_px: int) -> float:
    """Return the largest difference, in levels of [0, 1], of a cut core against the whole picture's result.

    Args:
        network: In evaluation mode.
        picture: float [3, H, W] in [0, 1], H and W multiples of the network's align and over 64 + 2 * halo_px.
        halo_px: Multiple of the network's align.
    """
    whole = picture[None]
    thumbnail = torch.nn.functional.interpolate(whole, (network.thumbnail_px,) * 2, mode="area")
    brightness = torch.tensor([0.45])
    result = network.restore(whole, thumbnail, brightness).clamp(0, 1)
    top = (picture.shape[1] - CORE_PX) // 2 // network.align * network.align
    window = slice(top - halo_px, top + CORE_PX + halo_px)
    part = network.restore(whole[:, :, window, window], thumbnail, brightness).clamp(0, 1)
    core = part[:, :, halo_px : halo_px + CORE_PX, halo_px : halo_px + CORE_PX]
    return float((core - result[:, :, top : top + CORE_PX, top : top + CORE_PX]).abs().max())


def calibrate_halo(network: Network) -> int:
    """Return the halo in pixels: the smallest that keeps the error under a twentieth of a level, and one step more.

    Raises:
        ModelError: Even 256 pixels are not enough: the network looks at the whole tile.
    """
    step = max(STEP_PX, network.align)
    pictures = list(halo_pictures(CORE_PX + 2 * MOST_PX + 2 * step).values())
    for halo_px in range(step, MOST_PX + 1, step):
        if all(halo_error(network, picture, halo_px) <= TOLERANCE for picture in pictures):
            return max(LEAST_PX, halo_px + step)
    raise ModelError(f"a halo of {MOST_PX} px does not make tiles equal the whole picture; the body looks too far")
