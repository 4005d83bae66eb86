"""Narrow forms of the networks, for tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lumen.models import Network, build_network
from lumen.models.plain import PlainNetwork

SMALL_CONTEXT: dict[str, object] = {"widths": [8, 16], "blocks": 1, "code": 8, "thumbnail_px": 32}
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


def random_context_mirnet() -> Network:
    """Build a network whose every weight matters: the head starts at zero, gates near one."""
    torch.manual_seed(0)
    network = build_network("context-mirnet", **SMALL_CONTEXT).eval()
    for name, parameter in network.named_parameters():
        if name.startswith("head."):
            torch.nn.init.normal_(parameter, std=0.05)
    return network


def copy_of(network: Network) -> Network:
    """Return a `context-mirnet` of its own with the same weights."""
    copy = build_network("context-mirnet", **network.hyperparameters).eval()
    copy.load_state_dict(network.state_dict())
    return copy


def pooled(network: Network) -> Network:
    """Return a copy of a network whose output depends on the mean of the tile."""
    copy = copy_of(network)
    restore = copy.restore

    def seeing_all(tiles: Tensor, thumbnails: Tensor, brightness: Tensor) -> Tensor:
        return restore(tiles, thumbnails, brightness) * (1 + tiles.mean(dim=(2, 3), keepdim=True))

    copy.restore = seeing_all  # type: ignore[method-assign]
    return copy
