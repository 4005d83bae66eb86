"""The tutorial's MIRNet with the attention of CBAM.

Channel attention reads averages and maxima through one shared layer pair, spatial attention looks at 7x7 pixels, and
the fusion reads the pools of all streams side by side, with a softmax across the streams.

Reference:
    Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumen.models import mirnet_keras, multiscale
from lumen.models.blocks import SpatialAttention
from lumen.models.mirnet_keras import KerasMIRNet
from lumen.models.multiscale import REDUCTION, fused_across
from lumen.models.pools import Pools

KERNEL = 7


class ChannelAttention(multiscale.ChannelAttention):
    """Gate every channel by its global mean and maximum."""

    def forward(self, x: Tensor, pools: Pools) -> Tensor:
        """Return x [N, C, H, W] times a gate in (0, 1) of [M, C, 1, 1]."""
        mean, highest = (self.excite(F.relu(self.squeeze(pool))) for pool in (pools.mean(x), pools.max(x)))
        return x * torch.sigmoid(mean + highest)


class DAU(mirnet_keras.DAU):
    """Dual attention unit with CBAM's two attentions."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.channel = ChannelAttention(channels, bias=True)
        self.spatial = SpatialAttention(KERNEL)


class SKFF(nn.Module):
    """Selective kernel feature fusion: a weighted sum of features, the weights a softmax across the streams."""

    def __init__(self, channels: int, streams: int) -> None:
        super().__init__()
        hidden = channels // REDUCTION
        self.squeeze = nn.Conv2d(streams * channels, hidden, 1)
        self.expand = nn.ModuleList(nn.Conv2d(hidden, channels, 1) for _ in range(streams))

    def forward(self, features: Sequence[Tensor], pools: Pools) -> Tensor:
        """Return float [N, C, H, W], the fusion of as many features of that shape as there are streams."""
        pooled = torch.cat([pools.mean(feature) for feature in features], dim=1)
        code = F.relu(self.squeeze(pooled))
        return fused_across(features, [expand(code) for expand in self.expand])


class CBAMMIRNet(KerasMIRNet):
    """The tutorial's streams with the attention of CBAM; arguments as of `KerasMIRNet`."""

    dau = DAU
    skff = SKFF
