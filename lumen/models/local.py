"""Local light: how much each place of a picture is exposed before the curve, so that dark parts open up.

A grid over the picture, predicted from its thumbnail, holds steps of exposure between bins of brightness: a pixel gets
all steps above its own bin, so that darker pixels get more light and the order of levels stays. It is read at half the
resolution, by position and brightness.

Reference:
    Gharbi et al., Deep Bilateral Learning for Real-Time Image Enhancement, ACM TOG 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEPS = 3  # between four bins of brightness
LARGEST_STEP = 0.7  # log of the gain of one step: about a stop, three together
BEND = 0.2  # linear level at the middle of the bins, which are narrower in the dark
SHARPNESS = 4.0  # of the sigmoid, so that the prediction learns as fast as the rest
START = -0.75  # logit over the sharpness of the first prediction: a gain of 3 % a step


class LocalHead(nn.Module):
    """Predict the grid from the features of a thumbnail."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(channels, STEPS, 1)
        for name, parameter in self.out.named_parameters():
            nn.init.constant_(parameter, START if name == "bias" else 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """Return float [M, 3 g^2] in [0, 0.7] for features [M, C, g, g]: log gains, darkest bin first."""
        return (LARGEST_STEP * torch.sigmoid(SHARPNESS * self.out(features))).flatten(1)


def local_gain(level: Tensor, grid: Tensor, boxes: Tensor) -> Tensor:
    """Return the factors by which tiles are exposed before the curve.

    Args:
        level: float [N, 1, h, w] in [0, 1], the mean of the channels.
        grid: float [M, 3 g^2] as `LocalHead` gives it, scaled as the user asks; M = 1 or N.
        boxes: float [N, 4], top, left, bottom and right of each tile as fractions of the picture; outside 0 to 1 in its
            reflection.

    Returns:
        float [N, 1, h, w], at least 1.
    """
    side = round((grid.shape[1] // STEPS) ** 0.5)
    rows = _hats(level.shape[2], boxes[:, 0], boxes[:, 2], side)[:, None]
    columns = _hats(level.shape[3], boxes[:, 1], boxes[:, 3], side)[:, None]
    steps = rows @ grid.view(-1, STEPS, side, side) @ columns.transpose(2, 3)
    bins = STEPS * (1 + BEND) * level / (level + BEND)
    above = torch.arange(1, STEPS + 1, device=bins.device, dtype=bins.dtype).view(1, -1, 1, 1)
    return torch.exp((steps * (above - bins).clamp(0, 1)).sum(dim=1, keepdim=True))


def _hats(count: int, first: Tensor, last: Tensor, side: int) -> Tensor:
    """Return float [N, count, side]: how much the cells of a grid weigh at positions from `first` to `last` [N]."""
    place = (torch.arange(count, device=first.device, dtype=first.dtype) + 0.5) / count
    place = first[:, None] + (last - first)[:, None] * place
    place = 1 - (1 - place.abs()).abs()  # mirrored at both ends
    cell = (side * place - 0.5).clamp(0, side - 1)
    return F.relu(1 - (cell[:, :, None] - torch.arange(side, device=first.device, dtype=first.dtype)).abs())
