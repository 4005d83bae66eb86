"""Global pools, which a tile cannot compute by itself: computed, recorded, or replayed.

A network with global pools runs over the thumbnail once, and every pool is recorded in the order of the calls. When it
runs over a tile, it gets these pools instead of the tile's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Pools:
    """Pools of the given features, as in the papers."""

    def mean(self, x: Tensor) -> Tensor:
        """Return float [N, C, 1, 1], the means of x [N, C, H, W]; summed in float32, whatever the type of x."""
        return x.mean(dim=(2, 3), keepdim=True, dtype=torch.float32).to(x.dtype)

    def max(self, x: Tensor) -> Tensor:
        """Return float [N, C, 1, 1], the maxima of x [N, C, H, W]."""
        return x.amax(dim=(2, 3), keepdim=True)


class Recorder(Pools):
    """Pools of the given features, recorded.

    Attributes:
        taken: The pools returned, in order.
    """

    def __init__(self) -> None:
        self.taken: list[Tensor] = []

    def mean(self, x: Tensor) -> Tensor:
        """Return the means of x, and record them."""
        self.taken.append(super().mean(x))
        return self.taken[-1]

    def max(self, x: Tensor) -> Tensor:
        """Return the maxima of x, and record them."""
        self.taken.append(super().max(x))
        return self.taken[-1]


class Replay(Pools):
    """Recorded pools, float [M, C, 1, 1] each with M = 1 or N, whatever the features."""

    def __init__(self, taken: Sequence[Tensor]) -> None:
        self._left = iter(taken)

    def mean(self, x: Tensor) -> Tensor:
        """Return the next recorded pool, be it of means or of maxima."""
        return next(self._left).to(x.dtype)

    max = mean


OWN = Pools()
