"""Counting what a network costs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lumen.models.base import Network


def count_parameters(network: nn.Module) -> int:
    """Return the number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: Network, height: int = 256, width: int = 256) -> int:
    """Return the multiply-accumulates of one tile, the thumbnail's share included.

    Convolutions and linear layers are counted, as the field does; element-wise work is not.

    Args:
        network: On any device.
        height: Tile height in pixels, a multiple of `network.align`.
        width: Tile width in pixels, a multiple of `network.align`.
    """
    total = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    device = next(network.parameters()).device
    thumbnails = torch.full((1, 3, network.thumbnail_px, network.thumbnail_px), 0.1, device=device)
    try:
        with torch.no_grad():
            tiles = torch.zeros(1, 3, height, width, device=device)
            network.restore(tiles, thumbnails, network.brightness(thumbnails))
    finally:
        for hook in hooks:
            hook.remove()
    return total
