"""MIRNet as most tutorials build it, following the example of Keras.

It differs from the authors' release: every convolution has a bias, no weights are shared, ReLU replaces PReLU, streams
begin with the plain input, spatial attention is a 1x1 convolution, the fusion's softmax runs over the channels of each
stream, and resizing is done by maximum pooling and by repetition. The published example feeds the coarsest stream twice
to the last fusion of a block, and leaves the middle one out (`wiring="published"`).

Some build it with the attention of CBAM: channel attention reads averages and maxima through one shared pair of layers,
spatial attention reads 7x7 pixels, and the fusion reads the concatenated pools of all streams, with a softmax across
the streams.

Reference:
    Zamir et al., Learning Enriched Features for Real Image Restoration and Enhancement (MIRNet), ECCV 2020.
    Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumen.models.base import Stage
from lumen.models.blocks import SpatialAttention
from lumen.models.multiscale import REDUCTION, ChannelAttention, MultiscaleNetwork, Resize, fused_across
from lumen.models.pools import Pools

Wiring = Literal["full", "published"]
MIDDLE = 1  # the stream that the published wiring drops
CBAM_KERNEL = 7


class DAU(nn.Module):
    """Dual attention unit: two 3x3 convolutions, both attentions merged by a 1x1 convolution, and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.channel = ChannelAttention(channels, bias=True)
        self.spatial = SpatialAttention(1)
        self.merge = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, pools: Pools) -> Tensor:
        """Return float [N, C, H, W] for x of that shape."""
        y = self.conv2(F.relu(self.conv1(x)))
        z: Tensor = x + self.merge(torch.cat([self.channel(y, pools), self.spatial(y)], dim=1))
        return z


class SKFF(nn.Module):
    """Selective kernel feature fusion: a weighted sum of features, the weights of each a softmax over its channels."""

    def __init__(self, channels: int, streams: int) -> None:
        super().__init__()
        hidden = channels // REDUCTION
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.ModuleList(nn.Conv2d(hidden, channels, 1) for _ in range(streams))

    def forward(self, features: Sequence[Tensor], pools: Pools) -> Tensor:
        """Return float [N, C, H, W], the fusion of as many features of that shape as there are streams."""
        code = F.relu(self.squeeze(pools.mean(reduce(torch.add, features))))
        weights = (torch.softmax(expand(code), dim=1) for expand in self.expand)
        return reduce(torch.add, (feature * weight for feature, weight in zip(features, weights, strict=True)))


class Down(nn.Module):
    """Halve the resolution, double the channels: a branch with a 3x3 convolution plus a plain branch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv3 = nn.Conv2d(channels, 2 * channels, 1)
        self.skip = nn.Conv2d(channels, 2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, 2 C, H / 2, W / 2] for x [N, C, H, W]."""
        y = F.relu(self.conv2(F.relu(self.conv1(x))))
        z: Tensor = self.conv3(F.max_pool2d(y, 2)) + self.skip(F.max_pool2d(x, 2))
        return z


class Up(nn.Module):
    """Double the resolution, halve the channels: a branch with a 3x3 convolution plus a plain branch.

    The 1x1 convolutions run before the repetition, with the same result for a quarter of the work.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv3 = nn.Conv2d(channels, channels // 2, 1)
        self.skip = nn.Conv2d(channels, channels // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C / 2, 2 H, 2 W] for x [N, C, H, W]."""
        y = F.relu(self.conv2(F.relu(self.conv1(x))))
        size = (2 * x.shape[2], 2 * x.shape[3])
        return F.interpolate(self.conv3(y) + self.skip(x), size=size, mode="nearest")


resize = partial(Resize, down=Down, up=Up)


class MRB(nn.Module):
    """Multi-scale residual block: streams, a DAU each, full exchange, a DAU each, and a final fusion.

    The finest stream has `width` channels, each further one twice as many. The wiring `published` drops the middle
    stream in the final fusion, and takes the coarsest one twice.
    """

    def __init__(
        self,
        width: int,
        streams: int,
        wiring: Wiring,
        dau: Callable[[int], nn.Module],
        skff: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__()
        every = range(streams)
        # The streams that continue after the exchange; what would never be read is not built.
        self.ending = [i for i in every if wiring == "full" or i != MIDDLE]
        self.last = [i if i in self.ending else streams - 1 for i in every]
        self.descend = nn.ModuleList(resize(width, i, i + 1) for i in range(streams - 1))
        self.first_daus = nn.ModuleList(dau(width << i) for i in every)
        self.exchange = nn.ModuleDict(
            {str(i): nn.ModuleList(resize(width, source, i) for source in every) for i in self.ending}
        )
        self.skffs = nn.ModuleDict({str(i): skff(width << i, streams) for i in self.ending})
        self.second_daus = nn.ModuleDict({str(i): dau(width << i) for i in self.ending})
        self.ascend = nn.ModuleDict({str(i): resize(width, i, 0) for i in self.ending})
        self.fuse = skff(width, streams)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, pools: Pools) -> Tensor:
        """Return float [N, C, H, W] for x of that shape."""
        streams = [x]
        for down in self.descend:
            streams.append(down(streams[-1]))
        streams = [dau(stream, pools) for dau, stream in zip(self.first_daus, streams, strict=True)]
        ends = {i: self._end(i, streams, pools) for i in self.ending}
        y: Tensor = x + self.conv(self.fuse([ends[i] for i in self.last], pools))
        return y

    def _end(self, target: int, streams: Sequence[Tensor], pools: Pools) -> Tensor:
        """Fuse all streams at one resolution, and upsample the result to the finest one."""
        name = str(target)
        resizers = self.exchange[name]
        assert isinstance(resizers, nn.ModuleList)
        parts = [resizer(stream) for resizer, stream in zip(resizers, streams, strict=True)]
        y: Tensor = self.ascend[name](self.second_daus[name](self.skffs[name](parts, pools), pools))
        return y


class RRG(Stage):
    """Recursive residual group: a convolution, blocks, a convolution, and a skip."""

    def __init__(self, width: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(width, width, 3, padding=1)
        self.blocks = nn.ModuleList(blocks)
        self.conv_out = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, pools: Pools) -> Tensor:
        """Return float [N, C, H, W] for x of that shape."""
        y = self.conv_in(x)
        for block in self.blocks:
            y = self.through(block, y, pools)
        z: Tensor = x + self.conv_out(y)
        return z


class KerasMIRNet(MultiscaleNetwork):
    """The tutorials' form: 44,157,007 parameters by default, 36,351,613 in the published wiring.

    Args:
        groups, blocks, width, streams, thumbnail_px: As for `MultiscaleNetwork`.
        wiring: `full`, or `published` (of three streams).

    Raises:
        ValueError: A value is out of range.
    """

    dau: Callable[[int], nn.Module] = DAU
    skff: Callable[[int, int], nn.Module] = SKFF

    def __init__(
        self,
        *,
        groups: int = 3,
        blocks: int = 2,
        width: int = 64,
        streams: int = 3,
        wiring: Wiring = "full",
        thumbnail_px: int = 512,
    ) -> None:
        super().__init__(groups=groups, blocks=blocks, width=width, streams=streams, thumbnail_px=thumbnail_px)
        if wiring not in get_args(Wiring) or (wiring == "published" and streams != 3):
            raise ValueError(f"expected wiring full, or published with 3 streams, got {wiring!r} with {streams}")
        self.hyperparameters = {**self.hyperparameters, "wiring": wiring}
        kind = type(self)
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        self.groups = nn.ModuleList(
            RRG(width, [MRB(width, streams, wiring, kind.dau, kind.skff) for _ in range(blocks)]) for _ in range(groups)
        )
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def correction(self, pictures: Tensor, pools: Pools) -> Tensor:
        """Return what is added to pictures [N, 3, H, W], sides in multiples of `align`."""
        y = self.conv_in(pictures)
        for group in self.groups:
            y = group(y, pools)
        z: Tensor = self.conv_out(y)
        return z


class CBAMChannelAttention(ChannelAttention):
    """Gate every channel by its global mean and maximum."""

    def forward(self, x: Tensor, pools: Pools) -> Tensor:
        """Return x [N, C, H, W] times a gate in (0, 1) of [M, C, 1, 1]."""
        mean, highest = (self.excite(F.relu(self.squeeze(pool))) for pool in (pools.mean(x), pools.max(x)))
        return x * torch.sigmoid(mean + highest)


class CBAMDAU(DAU):
    """Dual attention unit with both attentions of CBAM."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.channel = CBAMChannelAttention(channels, bias=True)
        self.spatial = SpatialAttention(CBAM_KERNEL)


class CBAMSKFF(nn.Module):
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
    """The tutorials' MIRNet with the attention of CBAM; arguments are those of `KerasMIRNet`."""

    dau = CBAMDAU
    skff = CBAMSKFF
