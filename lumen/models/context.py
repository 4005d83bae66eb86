"""What is computed from the thumbnail of the whole picture: the context code and the brightness to aim at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FLOOR = 2e-3  # half an 8-bit level; below it the logarithm would only magnify quantisation


def log_level(x: Tensor) -> Tensor:
    """Return the logarithm of sRGB levels in [0, 1], scaled to about [-1, 1]; 0 maps to -1, 1 to 1."""
    low = math.log(FLOOR)
    return 1 - 2 * torch.log(x + FLOOR) / low


class ContextEncoder(nn.Module):
    """Strided convolutions over the thumbnail, then mean and maximum (with dropout in training), then a code.

    The first convolution has `width` channels; each further one doubles them, up to four times as many.
    """

    def __init__(self, code: int, width: int = 16, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        widths = [6, width, 2 * width, 4 * width, 4 * width]
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 3, stride=2, padding=1) for i in range(len(widths) - 1)
        )
        self.project = nn.Linear(2 * widths[-1], code)

    def forward(self, thumbnails: Tensor) -> Tensor:
        """Return float [M, code] for thumbnails [M, 3, t, t] in [0, 1]."""
        return self.code(self.features(thumbnails))

    def features(self, thumbnails: Tensor) -> Tensor:
        """Return float [M, 4 width, t / 16, t / 16] for thumbnails [M, 3, t, t] in [0, 1]."""
        x = torch.cat([thumbnails, log_level(thumbnails)], dim=1)
        for conv in self.convs:
            x = F.relu(conv(x))
        return x

    def code(self, x: Tensor) -> Tensor:
        """Return float [M, code] for features [M, 4 width, g, g]."""
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        code: Tensor = self.project(self.dropout(pooled))
        return code


class BrightnessHead(nn.Module):
    """Predict how much brighter a picture should become, from statistics of its thumbnail.

    The level to reach hardly depends on the dark picture. So the head predicts that level `t`, and how far to go
    towards it: `log gain = g * (t - log mean)` with g in (0, 1), near 0 for a picture that is already well lit. It
    reads statistics: a convolutional encoder was worse than a constant on held-out scenes (`benchmarks/README.md`).

    Args:
        hidden: Width of the hidden layer.
        dropout: Share of it dropped in training; a head easily memorises a few hundred scenes.
        input_dropout: Share of the statistics dropped in training.
    """

    THRESHOLDS = 16
    GRID = 4
    SCALES = (1, 2, 4, 8, 16)
    QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 0.995)
    SATURATIONS = (0.1, 0.5, 0.9)
    FEATURES = 1 + 3 * (THRESHOLDS + 1 + 2 * len(SCALES) + GRID * GRID) + len(QUANTILES) + 1 + len(SATURATIONS)
    USUAL_LEVEL = 0.43  # initial prediction: about the mean level of well-lit photographs
    thresholds: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(self, hidden: int = 256, dropout: float = 0.6, input_dropout: float = 0.2) -> None:
        super().__init__()
        self.input_dropout = nn.Dropout(input_dropout)
        self.hidden = nn.Linear(self.FEATURES, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, 2)
        self.register_buffer("thresholds", torch.linspace(-0.9, 0.9, self.THRESHOLDS), persistent=False)
        self.register_buffer("centre", torch.zeros(self.FEATURES))
        self.register_buffer("scale", torch.ones(self.FEATURES))
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([0.0, math.log(self.USUAL_LEVEL)]))

    def features(self, thumbnails: Tensor) -> Tensor:
        """Return float [M, FEATURES] for thumbnails [M, 3, t, t] in [0, 1].

        In log levels: the mean, the distribution and spread of each channel, the differences of neighbours at five
        scales, a 4x4 grid, quantiles and the maximum of the grey picture. And quantiles of the saturation.
        """
        sparse = thumbnails[:, :, 2::4, 2::4]  # a sixteenth of the pixels is enough for the distribution
        level = log_level(sparse)
        thresholds = self.thresholds.view(1, 1, -1, 1, 1)
        shares = torch.sigmoid((level[:, :, None] - thresholds) * 10).mean(dim=(3, 4)).flatten(1)
        spread = (level - level.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(2, 3)).sqrt()
        steps = [_steps(log_level(F.avg_pool2d(thumbnails, scale))) for scale in self.SCALES]
        grid = log_level(F.avg_pool2d(thumbnails, thumbnails.shape[-1] // self.GRID)).flatten(1)
        grey = thumbnails.mean(dim=1)
        quantiles = log_level(_quantiles(grey[:, 2::4, 2::4], self.QUANTILES))
        brightest = log_level(grey.amax(dim=(1, 2)))[:, None]
        highest = sparse.amax(dim=1)
        saturation = _quantiles((highest - sparse.amin(dim=1)) / (highest + FLOOR), self.SATURATIONS)
        mean = log_level(thumbnails.mean(dim=(1, 2, 3)))[:, None]
        return torch.cat([mean, shares, spread, *steps, grid, quantiles, brightest, saturation], dim=1)

    def predict(self, features: Tensor, mean: Tensor) -> Tensor:
        """Return float [M], log(mean to reach / current mean), for features [M, FEATURES] and the current mean [M]."""
        x = self.input_dropout((features - self.centre) / self.scale)
        out = self.out(self.dropout(F.relu(self.hidden(x))))
        gain: Tensor = torch.sigmoid(4 * out[:, 0]) * (out[:, 1] - torch.log(mean.clamp(min=1e-4)))
        return gain

    def choose(self, thumbnails: Tensor) -> Tensor:
        """Return float [M], the mean level to aim at: at most 0.95, but never below the picture's own mean."""
        mean = thumbnails.mean(dim=(1, 2, 3))
        gain = F.relu(self.predict(self.features(thumbnails), mean))
        return torch.maximum(mean, (mean * torch.exp(gain)).clamp(max=0.95))


def _steps(level: Tensor) -> Tensor:
    """Return float [M, 6], the mean absolute difference of neighbours in [M, 3, h, w], across and down, per channel."""
    across = (level[..., 1:] - level[..., :-1]).abs().mean(dim=(2, 3))
    down = (level[..., 1:, :] - level[..., :-1, :]).abs().mean(dim=(2, 3))
    return torch.cat([across, down], dim=1)


def _quantiles(plane: Tensor, shares: Sequence[float]) -> Tensor:
    """Return float [M, len(shares)], the values of [M, h, w] below which these shares lie, without interpolation."""
    ordered = plane.flatten(1).sort(dim=1).values
    return ordered[:, [round(share * (ordered.shape[1] - 1)) for share in shares]]
