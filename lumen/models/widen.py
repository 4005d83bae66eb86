"""Start a wider network from a trained one: it computes the same function, with room to learn more.

Every channel is copied, and each layer that read it reads the copies with weights that sum to the old weight. These
shares are drawn at random, so that the copies do not stay equal in training.

Reference:
    Chen et al., Net2Net: Accelerating Learning via Knowledge Transfer, ICLR 2016.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lumen.models.blocks import SKFF
from lumen.models.plain import PlainNetwork

SHARES = (0.25, 0.75)  # range of the copies' shares, before they are scaled to sum to 1


def widened(weights: Mapping[str, Tensor], network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Return a state dict for `network` that computes what a narrower network of its kind does with `weights`.

    The widths of `network` are multiples of the narrower one's; everything else is equal. The seed draws the shares.

    Raises:
        ValueError: The names differ, a size is not a multiple, or copied channels would not give the same function.
    """
    wanted = network.state_dict()
    if wanted.keys() != weights.keys():
        raise ValueError("expected a network of the same blocks")
    if isinstance(network, PlainNetwork) and any(wanted[name].shape != weights[name].shape for name in wanted):
        raise ValueError("expected the same sizes: only context-mirnet can be widened")
    streams = {f"{name}.weights": part.streams for name, part in network.named_modules() if isinstance(part, SKFF)}
    generator = torch.Generator().manual_seed(seed)
    return {
        name: _widened(weights[name].cpu(), value.shape, streams.get(name.rpartition(".")[0], 1), generator)
        for name, value in wanted.items()
    }


def _widened(weight: Tensor, shape: torch.Size, streams: int, generator: torch.Generator) -> Tensor:
    """Copy outputs (dimension 0, in `streams` equal parts), and split inputs (dimension 1) among the copies."""
    factors = [new // old for new, old in zip(shape, weight.shape, strict=True)]
    if weight.ndim == 0 or weight.shape == shape:
        return weight.clone()
    if any(old * factor != new for old, factor, new in zip(weight.shape, factors, shape, strict=True)):
        raise ValueError(f"expected sizes in multiples of {tuple(weight.shape)}, got {tuple(shape)}")
    parts = [part.repeat(factors[0], *[1] * (weight.ndim - 1)) for part in weight.chunk(streams)]
    wide = torch.cat(parts)
    if weight.ndim < 2 or factors[1] == 1:
        return wide
    size = (wide.shape[0], factors[1], *wide.shape[1:2], *[1] * (weight.ndim - 2))
    shares = torch.empty(size).uniform_(*SHARES, generator=generator)
    return (wide[:, None] * shares / shares.sum(dim=1, keepdim=True)).flatten(1, 2)
