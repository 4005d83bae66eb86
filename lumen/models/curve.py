"""The brightness curve: one global tone curve per picture that reaches a given mean level."""

from __future__ import annotations

import torch
from torch import Tensor

U_MIN, U_MAX = -12.0, 12.0
STEPS = 16  # the last step is 24 / 2**16: a change of the mean far under one 8-bit level
U_EPS = 1e-3


def apply_curve(level: Tensor, u: Tensor) -> Tensor:
    """Map levels by `log(1 + k x) / log(1 + k)` with `k = exp(u) - 1`.

    u = 0 is the identity, positive u lifts the shadows, negative u darkens; 0 and 1 are fixed.

    Args:
        level: float [N, C, H, W] in [0, 1].
        u: float [M], M = 1 or N.

    Returns:
        float [N, C, H, W] in [0, 1].
    """
    u = torch.where(u.abs() < U_EPS, torch.full_like(u, U_EPS), u).view(-1, 1, 1, 1)
    return torch.log1p(torch.expm1(u) * level) / u


def solve_curve(thumbnails: Tensor, brightness: Tensor, steps: int = STEPS) -> Tensor:
    """Find the u for which the curve gives the thumbnails a mean level.

    Bisects on every fourth pixel in both directions, a fixed number of times, so that it unrolls into a graph.

    Args:
        thumbnails: float [M, 3, t, t] in [0, 1].
        brightness: float [M], the wanted mean level in (0, 1).
        steps: Number of bisections.

    Returns:
        float [M] in [-12, 12]; the nearest end if no u reaches the level (a black picture stays black).
    """
    sample = thumbnails[:, :, 2::4, 2::4]
    low = torch.full_like(brightness, U_MIN)
    high = torch.full_like(brightness, U_MAX)
    for _ in range(steps):
        middle = (low + high) / 2
        too_dark = apply_curve(sample, middle).mean(dim=(1, 2, 3)) < brightness
        low, high = torch.where(too_dark, middle, low), torch.where(too_dark, high, middle)
    return (low + high) / 2
