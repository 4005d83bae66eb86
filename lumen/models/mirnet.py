"""MIRNet as its authors released it: 31,787,419 parameters.

::

    x -> conv -> RRG x groups -> conv -> + x
    RRG:  blocks, conv, + input
    MSRB: streams, a DAU each, full exchange, the same DAUs again, all brought up and fused, conv, + input

No convolution has a bias. Several parts share weights: both DAUs of a stream; all DAUs of the network one PReLU slope;
the steps down that begin the streams and those between neighbours in the exchange; and the fusion of the finest stream
and the one at the end of a block.

Reference:
    Zamir et al., Learning Enriched Features for Real Image Restoration and Enhancement (MIRNet), ECCV 2020.
    Zhang, Making Convolutional Networks Shift-Invariant Again, ICML 2019 (the blur before each step down).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumen.models.base import Stage
from lumen.models.blocks import gated_pixels
from lumen.models.multiscale import REDUCTION, ChannelAttention, MultiscaleNetwork, Resize, fused_across
from lumen.models.pools import Pools

LEAST_HIDDEN = 4  # channels in the hidden layer of a fusion


def conv(channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    """Return a convolution that keeps the size, without bias."""
    return nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=False)


class Blur(nn.Module):
    """Halve the resolution after a [1 2 1] filter in both directions, with reflected edges; no weights."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(row, row)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C, H / 2, W / 2] for x [N, C, H, W] with even sides."""
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, -1, -1, -1)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=channels)


class DAU(nn.Module):
    """Dual attention unit: two 3x3 convolutions, both attentions merged by a 1x1 convolution, and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, 3)
        self.conv2 = conv(channels, channels, 3)
        self.spatial = conv(2, 1, 5)
        self.channel = ChannelAttention(channels, bias=False)
        self.merge = conv(2 * channels, channels, 1)

    def forward(self, x: Tensor, slope: nn.PReLU, pools: Pools) -> Tensor:
        """Return float [N, C, H, W] for x of that shape; `slope` is shared by the whole network."""
        y = self.conv2(slope(self.conv1(x)))
        z: Tensor = x + self.merge(torch.cat([gated_pixels(y, self.spatial), self.channel(y, pools)], dim=1))
        return z


class SKFF(nn.Module):
    """Selective kernel feature fusion: a weighted sum of features, the weights a softmax across the streams."""

    def __init__(self, channels: int, streams: int) -> None:
        super().__init__()
        hidden = max(channels // REDUCTION, LEAST_HIDDEN)
        self.squeeze = conv(channels, hidden, 1)
        self.slope = nn.PReLU()
        self.expand = nn.ModuleList(conv(hidden, channels, 1) for _ in range(streams))

    def forward(self, features: Sequence[Tensor], pools: Pools) -> Tensor:
        """Return float [N, C, H, W], the fusion of as many features of that shape as there are streams."""
        code = self.slope(self.squeeze(pools.mean(reduce(torch.add, features))))
        return fused_across(features, [expand(code) for expand in self.expand])


class Down(nn.Module):
    """Halve the resolution, double the channels: a branch with a 3x3 convolution plus a plain branch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, 1)
        self.slope1 = nn.PReLU()
        self.conv2 = conv(channels, channels, 3)
        self.slope2 = nn.PReLU()
        self.conv3 = conv(channels, 2 * channels, 1)
        self.skip = conv(channels, 2 * channels, 1)
        self.blur = Blur()

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, 2 C, H / 2, W / 2] for x [N, C, H, W]."""
        y = self.slope2(self.conv2(self.slope1(self.conv1(x))))
        z: Tensor = self.conv3(self.blur(y)) + self.skip(self.blur(x))
        return z


class Up(nn.Module):
    """Double the resolution, halve the channels: a branch with a transposed convolution plus a bilinear one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, 1)
        self.slope1 = nn.PReLU()
        self.conv2 = nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.slope2 = nn.PReLU()
        self.conv3 = conv(channels, channels // 2, 1)
        self.skip = conv(channels, channels // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C / 2, 2 H, 2 W] for x [N, C, H, W]; the bilinear branch halves its channels first."""
        y = self.conv3(self.slope2(self.conv2(self.slope1(self.conv1(x)))))
        size = (2 * x.shape[2], 2 * x.shape[3])
        z: Tensor = y + F.interpolate(self.skip(x), size=size, mode="bilinear", align_corners=False)
        return z


resize = partial(Resize, down=Down, up=Up)


class MSRB(nn.Module):
    """Multi-scale residual block."""

    def __init__(self, width: int, streams: int) -> None:
        super().__init__()
        every = range(streams)
        self.daus = nn.ModuleList(DAU(width << i) for i in every)
        self.resizers = nn.ModuleDict(
            {f"{i}to{j}": resize(width, i, j) for i in every for j in every if i != j}  # keys name source and target
        )
        self.skffs = nn.ModuleList(SKFF(width << i, streams) for i in every)
        self.ascend = nn.ModuleList(resize(width, i, 0) for i in range(1, streams))
        self.conv_out = conv(width, width, 3)

    def forward(self, x: Tensor, slope: nn.PReLU, pools: Pools) -> Tensor:
        """Return float [N, C, H, W] for x of that shape; `slope` is shared by all DAUs."""
        streams = [self.daus[0](x, slope, pools)]
        for i, dau in enumerate(self.daus[1:]):
            streams.append(dau(self.resizers[f"{i}to{i + 1}"](streams[-1]), slope, pools))
        fused = [self._fused(target, streams, pools) for target in range(len(streams))]
        first, *rest = (dau(stream, slope, pools) for dau, stream in zip(self.daus, fused, strict=True))
        ends = [first, *(up(stream) for up, stream in zip(self.ascend, rest, strict=True))]
        y: Tensor = x + self.conv_out(self.skffs[0](ends, pools))
        return y

    def _fused(self, target: int, streams: Sequence[Tensor], pools: Pools) -> Tensor:
        """Fuse all streams at the resolution of one of them."""
        parts = [
            stream if source == target else self.resizers[f"{source}to{target}"](stream)
            for source, stream in enumerate(streams)
        ]
        y: Tensor = self.skffs[target](parts, pools)
        return y


class RRG(Stage):
    """Recursive residual group: blocks, a convolution, and a skip."""

    def __init__(self, width: int, blocks: int, streams: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MSRB(width, streams) for _ in range(blocks))
        self.conv = conv(width, width, 3)

    def forward(self, x: Tensor, slope: nn.PReLU, pools: Pools) -> Tensor:
        """Return float [N, C, H, W] for x of that shape; `slope` is shared by all DAUs."""
        y = x
        for block in self.blocks:
            y = self.through(block, y, slope, pools)
        z: Tensor = x + self.conv(y)
        return z


class MIRNet(MultiscaleNetwork):
    """The authors' form; arguments are those of `MultiscaleNetwork`."""

    def __init__(
        self, *, groups: int = 3, blocks: int = 2, width: int = 64, streams: int = 3, thumbnail_px: int = 512
    ) -> None:
        super().__init__(groups=groups, blocks=blocks, width=width, streams=streams, thumbnail_px=thumbnail_px)
        self.conv_in = conv(3, width, 3)
        self.slope = nn.PReLU()
        self.groups = nn.ModuleList(RRG(width, blocks, streams) for _ in range(groups))
        self.conv_out = conv(width, 3, 3)

    def correction(self, pictures: Tensor, pools: Pools) -> Tensor:
        """Return what is added to pictures [N, 3, H, W], sides in multiples of `align`."""
        y = self.conv_in(pictures)
        for group in self.groups:
            y = group(y, self.slope, pools)
        z: Tensor = self.conv_out(y)
        return z
