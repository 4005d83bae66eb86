"""MIRNet whose gates read a context code: exact in tiles, and given the brightness to reach.

::

    thumbnail -> ContextEncoder -> code ----------------------------> every gate of the body
    thumbnail, brightness b -> curve u with mean(curve(thumbnail)) = b
    tile -> curve -> base;  [tile, base] -> PixelUnshuffle(2) -> conv -> RRG -> conv -> PixelShuffle(2) -> gain, offset
    out = base * (1 + gain) + offset

The body has no operator that reads the whole tile, so a tile with a wide enough halo gives the same result as the whole
picture. The brightness is the one thing that cannot be seen in a dark picture: it is predicted separately, and can be
set.

Reference:
    Zamir et al., Learning Enriched Features for Real Image Restoration and Enhancement (MIRNet), ECCV 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumen.models.base import Network
from lumen.models.blocks import RRG
from lumen.models.context import BrightnessHead, ContextEncoder
from lumen.models.curve import apply_curve, solve_curve


class ContextMIRNet(Network):
    """The light family behind `lumen-s`.

    Args:
        widths: Channels of the streams at 1/2, 1/4, 1/8 ... of the resolution; two to four of them.
        blocks: Multi-scale residual blocks in a row.
        code: Length of the context code.
        spatial: Whether the dual attention units have spatial attention.
        neighbours: How many finer and coarser streams each stream reads in the exchange.
        thumbnail_px: Side of the square thumbnail, a multiple of 16, at least 32.
        dropout: Share of the context dropped in training.

    Raises:
        ValueError: A value is out of range.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 48, 96),
        blocks: int = 2,
        code: int = 64,
        spatial: bool = False,
        neighbours: int = 1,
        thumbnail_px: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 2 <= len(widths) <= 4 or any(width < 8 or width % 8 for width in widths):
            raise ValueError(f"expected 2 to 4 widths in multiples of 8, got {list(widths)}")
        if blocks < 1 or code < 1 or neighbours < 1:
            raise ValueError(f"expected blocks, code and neighbours of at least 1, got {blocks}, {code}, {neighbours}")
        if thumbnail_px < 32 or thumbnail_px % 16:
            raise ValueError(f"expected thumbnail_px to be a multiple of 16 and at least 32, got {thumbnail_px}")
        self.align = 2 ** len(widths)
        self.thumbnail_px = thumbnail_px
        self.hyperparameters = {
            "widths": list(widths),
            "blocks": blocks,
            "code": code,
            "spatial": spatial,
            "neighbours": neighbours,
            "thumbnail_px": thumbnail_px,
            "dropout": dropout,
        }
        self.context = ContextEncoder(code, dropout=dropout)
        self.stem = nn.Conv2d(24, widths[0], 3, padding=1)
        self.body = RRG(widths, blocks, code, spatial=spatial, neighbours=neighbours)
        self.head = nn.Conv2d(widths[0], 24, 3, padding=1)
        for parameter in self.head.parameters():  # start as the brightness curve alone
            nn.init.zeros_(parameter)
        self.exposure = BrightnessHead()

    def brightness(self, thumbnails: Tensor) -> Tensor:
        """Predict the mean sRGB level [M] in (0, 1) from thumbnails [M, 3, t, t] in [0, 1]."""
        return self.exposure.choose(thumbnails)

    def restore(self, tiles: Tensor, thumbnails: Tensor, brightness: Tensor) -> Tensor:
        """Restore tiles [N, 3, H, W] in [0, 1], H and W multiples of `align`, to a mean level [M] of the picture."""
        code = self.context(thumbnails)
        with torch.no_grad():
            u = solve_curve(thumbnails, brightness)
        base = apply_curve(tiles, u)
        dtype = self.stem.weight.dtype  # float16 once halved
        x = F.pixel_unshuffle(torch.cat([tiles, base], dim=1), 2).to(dtype)
        x = self.head(self.body(F.relu(self.stem(x)), code.to(dtype)))
        gain, offset = F.pixel_shuffle(x.to(base.dtype), 2).chunk(2, dim=1)
        return base * (1 + gain) + offset

    def halve(self) -> None:
        """Convert stem, body and head to float16; context, curve and the last sum stay float32."""
        for part in (self.stem, self.body, self.head):
            part.half()
