"""What is read from the thumbnail of the whole picture: the context code and the brightness to aim at."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FLOOR = 2e-3  # half an 8-bit level: below it the logarithm only magnifies quantisation


def log_level(x: Tensor) -> Tensor:
    """Return the logarithm of sRGB levels in [0, 1], scaled to about [-1, 1]; 0 maps to -1, 1 to 1."""
    low = math.log(FLOOR)
    return 1 - 2 * torch.log(x + FLOOR) / low


class ContextEncoder(nn.Module):
    """Strided convolutions over the thumbnail, then mean and maximum, then a code.

    Args:
        code: Length of the code.
        width: Channels of the first convolution; each further one doubles them, up to four times this.
    """

    def __init__(self, code: int, width: int = 16) -> None:
        super().__init__()
        widths = [6, width, 2 * width, 4 * width, 4 * width]
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 3, stride=2, padding=1) for i in range(len(widths) - 1)
        )
        self.project = nn.Linear(2 * widths[-1], code)

    def forward(self, thumbnails: Tensor) -> Tensor:
        """Return float [M, code] for thumbnails [M, 3, t, t] in [0, 1]."""
        x = torch.cat([thumbnails, log_level(thumbnails)], dim=1)
        for conv in self.convs:
            x = F.relu(conv(x))
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        code: Tensor = self.project(pooled)
        return code


class BrightnessHead(nn.Module):
    """Predict how much brighter a picture should become, from its thumbnail alone.

    Args:
        width: Channels of the first convolution of its own encoder.
        hidden: Width of the hidden layer.
        dropout: Share of the features dropped in training; a few hundred scenes are easily learnt by heart.
    """

    THRESHOLDS = 16
    thresholds: Tensor

    def __init__(self, width: int = 8, hidden: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        self.encoder = ContextEncoder(hidden, width)
        self.hidden = nn.Linear(hidden + 3 * self.THRESHOLDS + 1, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, 1)
        self.register_buffer("thresholds", torch.linspace(-0.9, 0.9, self.THRESHOLDS), persistent=False)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def log_gain(self, thumbnails: Tensor) -> Tensor:
        """Return float [M], the predicted log(wanted mean / present mean), for thumbnails [M, 3, t, t] in [0, 1]."""
        level = log_level(thumbnails[:, :, 2::4, 2::4])  # a sixteenth of the pixels tells the distribution
        thresholds = self.thresholds.view(1, 1, -1, 1, 1)
        shares = torch.sigmoid((level[:, :, None] - thresholds) * 10).mean(dim=(3, 4)).flatten(1)
        mean = log_level(thumbnails.mean(dim=(1, 2, 3)))[:, None]
        features = torch.cat([self.encoder(F.avg_pool2d(thumbnails, 2)), shares, mean], dim=1)
        gain: Tensor = self.out(self.dropout(F.relu(self.hidden(self.dropout(features)))))
        return gain[:, 0]

    def choose(self, thumbnails: Tensor) -> Tensor:
        """Return float [M], the mean level to aim at: never below the picture's own mean, at most 0.95."""
        mean = thumbnails.mean(dim=(1, 2, 3))
        gain = F.relu(self.log_gain(thumbnails))
        return torch.maximum(mean, (mean * torch.exp(gain)).clamp(max=0.95))
