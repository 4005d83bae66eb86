"""Narrow forms of the papers' networks, for tests."""

from __future__ import annotations

import torch
from torch import nn

from lumen.models import build_network
from lumen.models.plain import PlainNetwork

NARROW: dict[str, dict[str, object]] = {
    "mirnet": {"groups": 1, "blocks": 1, "width": 8, "thumbnail_px": 64},
    "mirnet-keras": {"groups": 1, "blocks": 1, "width": 8, "thumbnail_px": 64},
    "mirnet-cbam": {"groups": 1, "blocks": 1, "width": 8, "thumbnail_px": 64},
    "residual": {"groups": 1, "blocks": 2, "width": 8},
}
POOLED = tuple(name for name in NARROW if name != "residual")


def narrow(architecture: str, **changes: object) -> PlainNetwork:
    """Build a narrow network whose every weight matters, in evaluation mode."""
    torch.manual_seed(0)
    network = build_network(architecture, **{**NARROW[architecture], **changes}).eval()
    assert isinstance(network, PlainNetwork)
    for name, value in network.named_parameters():
        if value.ndim > 1:
            nn.init.normal_(value, std=0.8 * (2 / value[0].numel()) ** 0.5)
            if name == "conv_out.weight":
                value.data.mul_(0.2)
            elif "excite" in name or "expand" in name:
                value.data.mul_(4)  # gates that depend on what is pooled
    return network


def dark_picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Return float [1, 3, height, width] in [0, 0.4]: broad shapes with noise, unlike in its halves."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 4, 5, generator=generator)
    broad = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    ramp = torch.linspace(0.2, 1, width)
    return (0.35 * broad * ramp + 0.05 * torch.rand(1, 3, height, width, generator=generator)).clamp(0, 1)
