"""The cost of a network: parameters and multiply-accumulates."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lumen.models.base import Network
from lumen.models.plain import PlainNetwork


def count_parameters(network: nn.Module) -> int:
    """Return the number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: Network, height: int = 256, width: int = 256) -> int:
    """Return the multiply-accumulates of one tile.

    Convolutions and linear layers are counted, as is usual; element-wise operations are not. The context encoder over
    the thumbnail is included; the run of a `PlainNetwork` over the thumbnail is not, and comes on top for every tile.

    Height and width are in pixels, multiples of `network.align`. Nothing is computed, only shapes are followed.
    """
    total = 0

    def count(module: Any, inputs: Any, output: Tensor) -> None:
        nonlocal total
        # A transposed convolution uses its kernel once for every input, the others once for every output.
        values = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        total += values.numel() * module.weight[0].numel()

    shapes = copy.deepcopy(network).to("meta")
    for layer in shapes.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            layer.register_forward_hook(count)
    tiles = torch.zeros(1, 3, height, width, device="meta")
    with torch.no_grad():
        if isinstance(shapes, PlainNetwork):
            shapes.whole(tiles)
        else:
            thumbnails = torch.zeros(1, 3, shapes.thumbnail_px, shapes.thumbnail_px, device="meta")
            shapes.enhance(tiles, thumbnails, lambda chosen: chosen)
    return total
