"""Global pools, which tiles cannot take by themselves: from the picture at hand, noted down, or as noted before.

A network with global pools runs over the thumbnail once and notes every pool in the order in which it is asked for;
run over a tile, it is given these instead of the tile's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Pools:
    """Pools of the features at hand, as the papers have them."""

    def mean(self, x: Tensor) -> Tensor:
        """Return float [N, C, 1, 1], the means of x [N, C, H, W]; summed in float32, whatever the type of x."""
        return x.mean(dim=(2, 3), keepdim=True, dtype=torch.float32).to(x.dtype)

    def max(self, x: Tensor) -> Tensor:
        """Return float [N, C, 1, 1], the maxima of x [N, C, H, W]."""
        return x.amax(dim=(2, 3), keepdim=True)


class Recorder(Pools):
    """Pools of the features at hand, noted down.

    Attributes:
        taken: What was returned, in order.
    """

    def __init__(self) -> None:
        self.taken: list[Tensor] = []

    def mean(self, x: Tensor) -> Tensor:
        """Return the means of x, and note them."""
        self.taken.append(super().mean(x))
        return self.taken[-1]

    def max(self, x: Tensor) -> Tensor:
        """Return the maxima of x, and note them."""
        self.taken.append(super().max(x))
        return self.taken[-1]


class Replay(Pools):
    """Pools as they were noted, float [M, C, 1, 1] each with M = 1 or N, whatever the features at hand."""

    def __init__(self, taken: Sequence[Tensor]) -> None:
        self._left = iter(taken)

    def mean(self, x: Tensor) -> Tensor:
        """Return the next of what was noted."""
        return next(self._left).to(x.dtype)

    def max(self, x: Tensor) -> Tensor:
        """Return the next of what was noted."""
        return next(self._left).to(x.dtype)


OWN = Pools()
