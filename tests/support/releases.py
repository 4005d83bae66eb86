"""A state dict as MIRNet's authors release it, with made-up weights, built from what is known of its names."""

from __future__ import annotations

import math
import re
from zlib import crc32

import torch
from torch import Tensor

WIDTH = 8
STREAMS = 3


def release_shapes() -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a release of one group with one block, three streams and 8 channels."""
    block = "body.0.body.0."
    shapes: dict[str, tuple[int, ...]] = {
        "conv_in.weight": (WIDTH, 3, 3, 3),
        "body.0.body.1.weight": (WIDTH, WIDTH, 3, 3),
        "conv_out.weight": (3, WIDTH, 3, 3),
        block + "conv_out.weight": (WIDTH, WIDTH, 3, 3),
    }
    for stream, c in enumerate((8, 16, 32)):
        for turn in range(2):
            unit = f"{block}blocks.{stream}.{turn}."
            shapes |= {
                unit + "body.0.weight": (c, c, 3, 3),
                unit + "body.1.weight": (1,),
                unit + "body.2.weight": (c, c, 3, 3),
                unit + "SA.spatial.conv.weight": (1, 2, 5, 5),
                unit + "CA.conv_du.0.weight": (c // 8, c, 1, 1),
                unit + "CA.conv_du.2.weight": (c, c // 8, 1, 1),
                unit + "conv1x1.weight": (c, 2 * c, 1, 1),
            }
        fusion, hidden = f"{block}selective_kernel.{stream}.", max(c // 8, 4)
        shapes |= {fusion + "conv_du.0.weight": (hidden, c, 1, 1), fusion + "conv_du.1.weight": (1,)}
        shapes |= {fusion + f"fcs.{source}.weight": (c, hidden, 1, 1) for source in range(STREAMS)}
    for name, c, steps in (("down.8_4", 8, 2), ("down.8_2", 8, 1), ("down.16_2", 16, 1)):
        for step in range(steps):
            shapes |= _down(f"{block}{name}.body.{step}.", c << step)
    ups = (("up.32_4", 32, 2), ("up.32_2", 32, 1), ("up.16_2", 16, 1), ("last_up.1", 16, 1), ("last_up.2", 32, 2))
    for name, c, steps in ups:
        for step in range(steps):
            shapes |= _up(f"{block}{name}.body.{step}.", c >> step)
    return shapes


def _down(name: str, c: int) -> dict[str, tuple[int, ...]]:
    return {
        name + "top.0.weight": (c, c, 1, 1),
        name + "top.1.weight": (1,),
        name + "top.2.weight": (c, c, 3, 3),
        name + "top.3.weight": (1,),
        name + "top.4.filt": (c, 1, 3, 3),
        name + "top.5.weight": (2 * c, c, 1, 1),
        name + "bot.0.filt": (c, 1, 3, 3),
        name + "bot.1.weight": (2 * c, c, 1, 1),
    }


def _up(name: str, c: int) -> dict[str, tuple[int, ...]]:
    return {
        name + "top.0.weight": (c, c, 1, 1),
        name + "top.1.weight": (1,),
        name + "top.2.weight": (c, c, 3, 3),
        name + "top.3.weight": (1,),
        name + "top.4.weight": (c // 2, c, 1, 1),
        name + "bot.1.weight": (c // 2, c, 1, 1),
    }


def release_weights() -> dict[str, Tensor]:
    """Return weights that follow from the names alone; those that the network shares are equal."""
    weights = {}
    for name, shape in release_shapes().items():
        if name.endswith(".filt"):
            row = torch.tensor([1.0, 2.0, 1.0])
            weights[name] = (torch.outer(row, row) / 16).expand(shape).clone()
            continue
        slope = re.search(r"blocks\.\d\.\d\.body\.1\.weight$", name)
        shared = "slope" if slope else re.sub(r"(blocks\.\d)\.\d\.", r"\1.", name)
        phase = crc32(shared.encode()) % 1000
        wave = torch.sin(torch.arange(math.prod(shape)) * 0.7 + phase).view(shape)
        weights[name] = 0.25 + 0.1 * wave if len(shape) == 1 else wave * 1.2 / math.sqrt(math.prod(shape[1:]))
    return weights


def pattern(height: int, width: int) -> Tensor:
    """Return float [1, 3, height, width] in [0, 0.5]."""
    row, column = torch.arange(height)[:, None], torch.arange(width)[None, :]
    planes = [0.25 + 0.25 * torch.sin(row * 0.31 + column * (0.17 + 0.05 * channel) + channel) for channel in range(3)]
    return torch.stack(planes)[None]
