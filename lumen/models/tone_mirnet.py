"""The context MIRNet with a tone stage: everything that is decided per picture is one vector.

::

    thumbnail -> ContextEncoder -> code, grid of local light; statistics -> shape; brightness -> exposure  (per picture)
    tone = curve, grid, code -> base of the tile: local light, then the curve; code: every gate of the body  (per tile)
    [tile, base] -> PixelUnshuffle(2) -> conv -> RRG -> conv -> PixelShuffle(2) -> gain, offset
    out = base * (1 + gain) + offset; then the strength of its colours, and its highlights

Reference:
    Zamir et al., Learning Enriched Features for Real Image Restoration and Enhancement (MIRNet), ECCV 2020.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumen.models.context import BrightnessHead
from lumen.models.context_mirnet import ContextMIRNet
from lumen.models.local import STEPS, LocalHead, local_gain
from lumen.models.tone import (
    CRUSHED_TOE,
    CRUSHED_U,
    CURVE,
    SQUARE,
    U_MAX,
    VIVID,
    ShapeHead,
    brighten,
    crushed_blacks,
    finish,
    half_level,
    is_grey,
    mean_channel,
    mean_level,
    share_finished,
    solve_exposure,
)

LEAST_LEVEL = 1e-3  # keeps powers and logarithms finite


class UnshufflingConv2d(nn.Conv2d):
    """A 3x3 convolution over PixelUnshuffle(2), as one of 6x6 and stride 2: the same sums, without moving the data."""

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C', H / 2, W / 2] for x [N, C / 4, H, W]."""
        wide, channels = self.out_channels, x.shape[1]
        kernel = self.weight.view(wide, channels, 2, 2, 3, 3).permute(0, 1, 4, 2, 5, 3)
        return F.conv2d(x, kernel.reshape(wide, channels, 6, 6), self.bias, stride=2, padding=2)

    @staticmethod
    def weight_of(kernel: Tensor) -> Tensor:
        """Return the weight float [C', C, 3, 3] whose kernel is float [C', C / 4, 6, 6], as exported files hold it."""
        wide, channels = kernel.shape[:2]
        return kernel.view(wide, channels, 3, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(wide, 4 * channels, 3, 3)


def shuffled(x: Tensor) -> Tensor:
    """Return PixelShuffle(2) of x [N, 4 C, h, w], float [N, C, 2 h, 2 w]: columns first, then rows.

    onnxruntime moves the data of two such steps in a third of the time of DepthToSpace.
    """
    count, channels, height, width = x.shape
    columns = x.reshape(count, channels // 2, 2, height * width).transpose(2, 3)
    rows = columns.reshape(count, channels // 4, 2, height, 2 * width).transpose(2, 3)
    return rows.reshape(count, channels // 4, 2 * height, 2 * width)


class ToneMIRNet(ContextMIRNet):
    """The network of the recipe `lumen-tone`: a `ContextMIRNet` whose curve has a predicted shape and keeps colours.

    Args:
        **hyperparameters: Those of `ContextMIRNet`.

    Raises:
        ValueError: A value is out of range.
    """

    contract = 2

    def __init__(self, **hyperparameters: Any) -> None:
        super().__init__(**hyperparameters)
        self.stem = UnshufflingConv2d(24, self.stem.out_channels, 3, padding=1)
        self.shape = ShapeHead(BrightnessHead.FEATURES)
        self.local = LocalHead(self.context.project.in_features // 2)
        self.grid_size = STEPS * (self.thumbnail_px // 16) ** 2
        self.tone_size = CURVE + self.grid_size + self.context.project.out_features

    def tone(self, thumbnails: Tensor, brightness: Tensor, shadows: Tensor | None = None) -> Tensor:
        """Compute the tone of pictures, once for all their tiles.

        Args:
            thumbnails: float [M, 3, t, t] in [0, 1].
            brightness: float [M], mean sRGB level of the whole restored picture, in (0, 1).
            shadows: float [M], factor of the local light; 1 if not given.

        Returns:
            float [M, K]: `lumen.models.tone.FIELDS`, the grid of local light, the context code.
        """
        thumbnails, brightness = thumbnails.float(), brightness.float()
        features = self.context.features(thumbnails)
        crushed = crushed_blacks(thumbnails)
        grid = self.local(features) * ((1 if shadows is None else shadows) * (1 - crushed))[:, None]
        toe, *rest = self.shape(self.exposure.features(thumbnails)).split(1, dim=1)
        shape = torch.cat([torch.maximum(toe, CRUSHED_TOE * crushed[:, None]), *rest], dim=1)
        highest = U_MAX + (CRUSHED_U - U_MAX) * crushed
        exposure = solve_exposure(self.lit(thumbnails, grid), brightness, shape, highest)
        vivid = 0.0 if self.training else VIVID  # the loss would undo it
        colour = (1 - is_grey(thumbnails)) * (1 + vivid * share_finished(exposure) * (1 - crushed))
        return torch.cat([exposure[:, None], shape, colour[:, None], grid, self.context.code(features)], dim=1)

    def lit(self, thumbnails: Tensor, grid: Tensor) -> Tensor:
        """Return means over 4x4 pixels of thumbnails [M, 3, t, t] after local light, float [M, 3, t / 4, t / 4]."""
        small = F.avg_pool2d(thumbnails, 4)
        return (small * local_gain(mean_channel(small), grid, whole_boxes(small))).clamp(max=1)

    def reached(self, thumbnails: Tensor, tone: Tensor) -> Tensor:
        """Return the mean level [M] that tones [M, K] give thumbnails [M, 3, t, t]."""
        return mean_level(self.lit(thumbnails, tone[:, CURVE : CURVE + self.grid_size]), tone[:, :CURVE])

    @torch.no_grad()
    def attainable(self, high: Tensor, thumbnails: Tensor, brightness: Tensor) -> Tensor:
        """Return references as bright as the bounds of the curve let the pictures become.

        With the references themselves the network would learn to lift flat blacks to grey. A power keeps their lights;
        that of the mean levels is about right for all.
        """
        with torch.autocast(high.device.type, enabled=False):
            reached = self.reached(thumbnails, self.tone(thumbnails, brightness)).clamp(min=LEAST_LEVEL)
            power = (torch.log(reached) / torch.log(brightness)).clamp(min=1)
            return high.clamp(min=LEAST_LEVEL) ** power[:, None, None, None]

    def restore_toned(self, tiles: Tensor, boxes: Tensor, tone: Tensor) -> Tensor:
        """Restore tiles to the tone of their pictures.

        Args:
            tiles: float [N, 3, H, W] in [0, 1].
            boxes: float [N, 4], top, left, bottom and right as fractions of the picture; outside 0 to 1 in its
                reflection.
            tone: float [M, K], M = 1 or N.

        Returns:
            float [N, 3, H, W], not clamped.
        """
        return self.refine(tiles, self.base(tiles, boxes, tone), tone)

    def base(self, tiles: Tensor, boxes: Tensor, tone: Tensor) -> Tensor:
        """Return the base of tiles, brightened by local light and curve; arguments and shape as in `restore_toned`."""
        gain = local_gain(half_level(tiles), tone[:, CURVE : CURVE + self.grid_size], boxes)
        gain = F.interpolate(gain, tiles.shape[2:], mode="bilinear", align_corners=False)
        return brighten((tiles * gain).clamp(max=1), tone[:, :CURVE])

    def refine(self, tiles: Tensor, base: Tensor, tone: Tensor) -> Tensor:
        """Return the restored tiles [N, 3, H, W] for their base of the same shape."""
        dtype = self.stem.weight.dtype  # float16 once halved
        x = self.stem(torch.cat([tiles, base], dim=1).to(dtype))
        x = self.head(self.body(F.relu(x), tone[:, CURVE + self.grid_size :].to(dtype)))
        gain, offset = shuffled(x.to(base.dtype)).chunk(2, dim=1)
        return finish(base * (1 + gain) + offset, tiles, tone[:, :CURVE], min(SQUARE, self.align))

    def restore(self, tiles: Tensor, thumbnails: Tensor, brightness: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Restore tiles [N, 3, H, W] in [0, 1], H and W multiples of `align`, to a mean level [M] of the picture.

        `boxes` as in `restore_toned`; without them the tiles are whole pictures.

        Returns:
            float [N, 3, H, W], nominally in [0, 1], not clamped.
        """
        device = tiles.device.type
        boxes = whole_boxes(tiles) if boxes is None else boxes
        with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
            tone = self.tone(thumbnails, brightness)  # a step of Newton's method needs full precision, a curve as well
            base = self.base(tiles, boxes, tone)
        return self.refine(tiles, base, tone)

    def forward(self, tiles: Tensor, thumbnails: Tensor, brightness: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Return the result of `restore`, from which the loss is computed."""
        return self.restore(tiles, thumbnails, brightness, boxes)


def whole_boxes(tiles: Tensor) -> Tensor:
    """Return float [N, 4], the boxes of tiles that are whole pictures."""
    return torch.tensor([[0.0, 0.0, 1.0, 1.0]], dtype=tiles.dtype, device=tiles.device).expand(tiles.shape[0], -1)
