"""MIRNet's parts, with gates that read a context code instead of pooling the tile.

MIRNet weights its features by global average pools, so each tile would be weighted by its own content. Here every gate
reads a code that is computed once from the whole picture; the rest follows the paper.

Shapes: features are float [N, C, H, W]; codes are float [M, D] with M = 1 (one picture) or M = N.

Reference:
    Zamir et al., Learning Enriched Features for Real Image Restoration and Enhancement (MIRNet), ECCV 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumen.models.base import Stage


class SpatialAttention(nn.Module):
    """Gate every pixel by the maximum and the mean of its channels (MIRNet, section 3.2)."""

    def __init__(self, kernel: int = 5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return x [N, C, H, W] times a gate in (0, 1) of [N, 1, H, W]."""
        return gated_pixels(x, self.conv)


def gated_pixels(x: Tensor, conv: nn.Module) -> Tensor:
    """Return x [N, C, H, W] times a gate in (0, 1) of [N, 1, H, W]: `conv` over maximum and mean of the channels."""
    pooled = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
    gate: Tensor = torch.sigmoid(conv(pooled))
    return x * gate


class ChannelAttention(nn.Module):
    """Gate every channel by the context code."""

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.gate = nn.Linear(code, channels)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Return x [N, C, H, W] times a gate in (0, 2) of [M, C, 1, 1]; 1 for a code and bias of zero."""
        return x * (2 * torch.sigmoid(self.gate(code)))[:, :, None, None]


class DAU(nn.Module):
    """Dual attention unit: two 3x3 convolutions, channel and (optionally) spatial attention, and a skip."""

    def __init__(self, channels: int, code: int, *, spatial: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.channel = ChannelAttention(channels, code)
        self.spatial = SpatialAttention() if spatial else None
        self.merge = nn.Conv2d(2 * channels, channels, 1) if spatial else None

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Return float [N, C, H, W] for x [N, C, H, W] and code [M, D]."""
        y = self.conv2(F.relu(self.conv1(x)))
        gated: Tensor = self.channel(y, code)
        if self.spatial is not None and self.merge is not None:
            gated = self.merge(torch.cat([self.spatial(y), gated], dim=1))
        return x + gated


class SKFF(nn.Module):
    """Selective kernel feature fusion: a weighted sum of streams, the weights a softmax over the streams."""

    def __init__(self, channels: int, code: int, streams: int) -> None:
        super().__init__()
        self.streams = streams
        self.weights = nn.Linear(code, streams * channels)

    def forward(self, code: Tensor) -> tuple[Tensor, ...]:
        """Return the weights of the streams, float [M, C, 1, 1] each, for code [M, D]."""
        logits = self.weights(code).view(code.shape[0], self.streams, -1, 1, 1)
        return torch.softmax(logits, dim=1).unbind(dim=1)


class Down(nn.Module):
    """Halve the resolution `steps` times: area mean (an anti-aliasing filter), then a 1x1 convolution."""

    def __init__(self, channels: int, out_channels: int, steps: int) -> None:
        super().__init__()
        self.factor = 2**steps
        self.conv = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C', H / 2**steps, W / 2**steps]."""
        y: Tensor = self.conv(F.avg_pool2d(x, self.factor))
        return y


class Up(nn.Module):
    """Double the resolution `steps` times: a 1x1 convolution, then bilinear interpolation."""

    def __init__(self, channels: int, out_channels: int, steps: int) -> None:
        super().__init__()
        self.factor = 2**steps
        self.conv = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C', H * 2**steps, W * 2**steps]."""
        return upsampled(self.convolved(x), self.factor)

    def convolved(self, x: Tensor) -> Tensor:
        """Return float [N, C', H, W]."""
        y: Tensor = self.conv(x)
        return y


def upsampled(x: Tensor, factor: int) -> Tensor:
    """Return x [N, C, H, W] as float [N, C, factor * H, factor * W]."""
    size = (x.shape[2] * factor, x.shape[3] * factor)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def resize(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Return the module that resizes stream `source` to the resolution and width of stream `target`."""
    if source == target:
        return nn.Identity()
    kind = Down if source < target else Up
    return kind(widths[source], widths[target], abs(source - target))


class MRB(nn.Module):
    """Multi-scale residual block: a DAU on every stream, then every stream is fused with its neighbours by SKFF.

    In MIRNet every stream reads every other. Reading only the next finer and the next coarser one saves the costly
    resizing between the outermost streams, which reach each other through the next block.
    """

    def __init__(self, widths: Sequence[int], code: int, *, spatial: bool, neighbours: int) -> None:
        super().__init__()
        count = len(widths)
        self.sources = [[j for j in range(count) if abs(i - j) <= neighbours] for i in range(count)]
        self.daus = nn.ModuleList(DAU(width, code, spatial=spatial) for width in widths)
        self.resizers = nn.ModuleList(
            nn.ModuleList(resize(widths, source, target) for source in self.sources[target]) for target in range(count)
        )
        self.skffs = nn.ModuleList(SKFF(widths[i], code, len(self.sources[i])) for i in range(count))

    def forward(self, streams: Sequence[Tensor], code: Tensor) -> list[Tensor]:
        """Return as many streams, of the same shapes."""
        pairs = self.pairs(streams, code)
        return [fine if coarse is None else fine + upsampled(coarse, 2) for fine, coarse in pairs]

    def pairs(self, streams: Sequence[Tensor], code: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """Return the streams of `forward` as pairs of what they have in full, and at half of their resolution.

        The second is still to be upsampled and added; the coarsest stream has none.
        """
        features = [dau(stream, code) for dau, stream in zip(self.daus, streams, strict=True)]
        fused: list[tuple[Tensor, Tensor | None]] = []
        for target, skff in enumerate(self.skffs):
            resizers = self.resizers[target]
            assert isinstance(resizers, nn.ModuleList)
            fine: Tensor = streams[target]
            coarse: Tensor | None = None
            for source, resizer, share in zip(self.sources[target], resizers, skff(code), strict=True):
                if isinstance(resizer, Up) and resizer.factor == 2:
                    coarse = resizer.convolved(features[source]) * share
                else:
                    fine = fine + resizer(features[source]) * share
            fused.append((fine, coarse))
        return fused


class RRG(Stage):
    """Recursive residual group: blocks in a row, coarser streams upsampled and added, a 3x3 convolution, and a skip.

    What the last block and the coarser stream add to a stream is upsampled as one sum.
    """

    def __init__(self, widths: Sequence[int], blocks: int, code: int, *, spatial: bool, neighbours: int) -> None:
        super().__init__()
        self.descend = nn.ModuleList(Down(widths[i], widths[i + 1], 1) for i in range(len(widths) - 1))
        self.blocks = nn.ModuleList(MRB(widths, code, spatial=spatial, neighbours=neighbours) for _ in range(blocks))
        self.ascend = nn.ModuleList(Up(widths[i + 1], widths[i], 1) for i in range(len(widths) - 1))
        self.conv = nn.Conv2d(widths[0], widths[0], 3, padding=1)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Return float [N, C, H, W] for x [N, C, H, W] and code [M, D]."""
        streams = [x]
        for down in self.descend:
            streams.append(down(streams[-1]))
        *blocks, last = self.blocks
        for block in blocks:
            streams = self.through(block, streams, code)
        assert isinstance(last, MRB)
        *finer, (top, _) = self.through(last.pairs, streams, code)
        for up, (fine, coarse) in zip(reversed(self.ascend), reversed(finer), strict=True):
            assert isinstance(up, Up) and coarse is not None
            top = fine + upsampled(coarse + up.convolved(top), 2)
        y: Tensor = x + self.conv(top)
        return y
