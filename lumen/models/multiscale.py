"""What the papers' and tutorials' forms of MIRNet share: streams, resizing between them, channel attention.

Reference:
    Zamir et al., Learning Enriched Features for Real Image Restoration and Enhancement (MIRNet), ECCV 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumen.models.plain import PlainNetwork
from lumen.models.pools import Pools

REDUCTION = 8  # from channels to the hidden layer of attention and fusion


class ChannelAttention(nn.Module):
    """Gate every channel by its global mean."""

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // REDUCTION, 1, bias=bias)
        self.excite = nn.Conv2d(channels // REDUCTION, channels, 1, bias=bias)

    def forward(self, x: Tensor, pools: Pools) -> Tensor:
        """Return x [N, C, H, W] times a gate in (0, 1) of [M, C, 1, 1]."""
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(pools.mean(x)))))


class Resize(nn.Module):
    """Steps from one stream to another: each `down` halves the resolution and doubles the channels, each `up` reverses.

    Stream 0 is the finest one, with `width` channels.
    """

    def __init__(
        self, width: int, source: int, target: int, *, down: Callable[[int], nn.Module], up: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        kind = down if source < target else up
        step = 1 if source < target else -1
        self.steps = nn.ModuleList(kind(width << level) for level in range(source, target, step))

    def forward(self, x: Tensor) -> Tensor:
        """Return x [N, C, H, W] with the resolution and the channels of the target."""
        for step in self.steps:
            x = step(x)
        return x


def fused_across(features: Sequence[Tensor], logits: Sequence[Tensor]) -> Tensor:
    """Return the sum of features [N, C, H, W], weighted by a softmax across them of logits [M, C, 1, 1]."""
    weights = torch.softmax(torch.stack(list(logits)), dim=0)
    return reduce(torch.add, (feature * weight for feature, weight in zip(features, weights.unbind(), strict=True)))


class MultiscaleNetwork(PlainNetwork):
    """A network of streams at several resolutions, in recursive residual groups.

    Args:
        groups: Recursive residual groups.
        blocks: Multi-scale residual blocks in each.
        width: Channels of the finest stream, in multiples of 8; each further one has twice as many.
        streams: At 1, 1/2, 1/4 ... of the resolution; two to four of them.
        thumbnail_px: Longest side of the thumbnail that the pools are taken from, in multiples of 8.

    Raises:
        ValueError: A value is out of range.
    """

    thumbnail = "fit"

    def __init__(self, *, groups: int, blocks: int, width: int, streams: int, thumbnail_px: int) -> None:
        super().__init__()
        if min(groups, blocks) < 1:
            raise ValueError(f"expected groups and blocks of at least 1, got {groups} and {blocks}")
        if width < 8 or width % 8:
            raise ValueError(f"expected a width in multiples of 8, got {width}")
        if not 2 <= streams <= 4:
            raise ValueError(f"expected 2 to 4 streams, got {streams}")
        if thumbnail_px < 32 or thumbnail_px % 8:
            raise ValueError(f"expected thumbnail_px to be a multiple of 8 and at least 32, got {thumbnail_px}")
        self.align = max(4, 1 << (streams - 1))  # at least a pixel of the coarsest stream; 4 for the curve's grid
        self.thumbnail_px = thumbnail_px
        self.hyperparameters = {
            "groups": groups,
            "blocks": blocks,
            "width": width,
            "streams": streams,
            "thumbnail_px": thumbnail_px,
        }
