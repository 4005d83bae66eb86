"""The context MIRNet with a tone stage: everything that is decided per picture is one vector.

::

    thumbnail -> ContextEncoder -> code; statistics -> shape of the curve; brightness -> exposure   (once per picture)
    tone = curve, code -> curve: base of the tile; code: every gate of the body                     (every tile)
    [tile, base] -> PixelUnshuffle(2) -> conv -> RRG -> conv -> PixelShuffle(2) -> gain, offset
    out = base * (1 + gain) + offset; its grey where the picture has no colours

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
from lumen.models.tone import CURVE, ShapeHead, brighten, is_grey, solve_exposure, without_colour


class UnshufflingConv2d(nn.Conv2d):
    """A 3x3 convolution over PixelUnshuffle(2), as one of 6x6 and stride 2: the same sums, without moving the data."""

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C', H / 2, W / 2] for x [N, C / 4, H, W]."""
        wide, channels = self.out_channels, x.shape[1]
        kernel = self.weight.view(wide, channels, 2, 2, 3, 3).permute(0, 1, 4, 2, 5, 3)
        return F.conv2d(x, kernel.reshape(wide, channels, 6, 6), self.bias, stride=2, padding=2)


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
        self.tone_size = CURVE + self.context.project.out_features
        self.shape = ShapeHead(BrightnessHead.FEATURES)

    def tone(self, thumbnails: Tensor, brightness: Tensor) -> Tensor:
        """Compute the tone of pictures, once for all their tiles.

        Args:
            thumbnails: float [M, 3, t, t] in [0, 1].
            brightness: float [M], mean sRGB level of the whole restored picture, in (0, 1).

        Returns:
            float [M, K]: `lumen.models.tone.FIELDS`, then the context code.
        """
        thumbnails, brightness = thumbnails.float(), brightness.float()
        shape = self.shape(self.exposure.features(thumbnails))
        exposure = solve_exposure(thumbnails, brightness, shape)
        grey = is_grey(thumbnails)
        return torch.cat([exposure[:, None], shape, grey[:, None], self.context(thumbnails)], dim=1)

    def restore_toned(self, tiles: Tensor, tone: Tensor) -> Tensor:
        """Restore tiles [N, 3, H, W] in [0, 1] as `tone` [M, K] says, M = 1 or N; not clamped."""
        curve, code = tone[:, :CURVE], tone[:, CURVE:]
        base = brighten(tiles, curve)
        dtype = self.stem.weight.dtype  # float16 once halved
        x = self.stem(torch.cat([tiles, base], dim=1).to(dtype))
        x = self.head(self.body(F.relu(x), code.to(dtype)))
        gain, offset = F.pixel_shuffle(x.to(base.dtype), 2).chunk(2, dim=1)
        return without_colour(base * (1 + gain) + offset, curve[:, -1])

    def restore(self, tiles: Tensor, thumbnails: Tensor, brightness: Tensor) -> Tensor:
        """Restore tiles [N, 3, H, W] in [0, 1], H and W multiples of `align`, to a mean level [M] of the picture.

        Returns:
            float [N, 3, H, W], nominally in [0, 1], not clamped.
        """
        device = tiles.device.type
        with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
            tone = self.tone(thumbnails, brightness)  # a step of Newton's method needs full precision
        return self.restore_toned(tiles, tone)
