"""A plain residual network: 3x3 convolutions at full resolution, no pools, a reach of 14 pixels.

::

    x -> conv -> groups x [conv, blocks x (conv, ReLU, add), conv, add] -> conv -> + x
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from lumen.models.base import Stage
from lumen.models.plain import PlainNetwork
from lumen.models.pools import Pools


class Step(nn.Module):
    """A convolution, ReLU, and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C, H, W] for x of that shape."""
        return x + F.relu(self.conv(x))


class Group(nn.Module):
    """Steps between two convolutions, and a skip."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(width, width, 3, padding=1)
        self.steps = nn.ModuleList(Step(width) for _ in range(blocks))
        self.conv_out = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C, H, W] for x of that shape."""
        y = self.conv_in(x)
        for step in self.steps:
            y = step(y)
        z: Tensor = x + self.conv_out(y)
        return z


class Body(Stage):
    """Groups in a row."""

    def __init__(self, width: int, groups: int, blocks: int) -> None:
        super().__init__()
        self.groups = nn.ModuleList(Group(width, blocks) for _ in range(groups))

    def forward(self, x: Tensor) -> Tensor:
        """Return float [N, C, H, W] for x of that shape."""
        for group in self.groups:
            x = self.through(group, x)
        return x


class Residual(PlainNetwork):
    """Residual groups without streams, attention or pools: 446,659 parameters by default.

    Args:
        groups: Residual groups in a row.
        blocks: Steps in each group.
        width: Channels.

    Raises:
        ValueError: A value is out of range.
    """

    thumbnail_px = 128  # used only to choose the brightness
    align = 1

    def __init__(self, *, groups: int = 3, blocks: int = 2, width: int = 64) -> None:
        super().__init__()
        if min(groups, blocks, width) < 1:
            raise ValueError(f"expected groups, blocks and width of at least 1, got {groups}, {blocks}, {width}")
        self.hyperparameters = {"groups": groups, "blocks": blocks, "width": width}
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        self.body = Body(width, groups, blocks)
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def correction(self, pictures: Tensor, pools: Pools) -> Tensor:  # noqa: ARG002
        """Return what is added to pictures [N, 3, H, W] of any size; no pools are used."""
        y: Tensor = self.conv_out(self.body(self.conv_in(pictures)))
        return y
