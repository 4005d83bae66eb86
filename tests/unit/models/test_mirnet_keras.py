"""The tutorials' MIRNet, in its published wiring."""

from __future__ import annotations

import torch
from torch import nn

from lumen.models.mirnet_keras import MRB, Down, Up
from tests.support.networks import dark_picture, narrow


def test_every_weight_of_the_published_wiring_is_trained() -> None:
    """What the published graph never reads is not there, so that it is neither counted nor stored."""
    network = narrow("mirnet-keras", wiring="published").train()
    torch.autograd.backward(network.whole(dark_picture(16, 16)).square().mean())
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


@torch.no_grad()
def test_the_published_wiring_takes_the_coarsest_stream_twice() -> None:
    block = MRB(8, 3, "published", lambda _: _Same(), lambda *_: _Sum())
    for resize in (*block.ascend.values(), *block.exchange.values()):
        for step in resize.modules():
            if isinstance(step, (Down, Up)):
                step.register_forward_hook(lambda module, inputs, _: resampled(module, inputs[0]))
    for step in block.descend.modules():
        if isinstance(step, Down):
            step.register_forward_hook(lambda module, inputs, _: resampled(module, inputs[0]))
    nn.init.dirac_(block.conv.weight)
    nn.init.zeros_(block.conv.bias) if block.conv.bias is not None else None
    # All streams hold ones, and every fusion is a sum of three: 3 at the finest, 3 at the coarsest, twice.
    result = block(torch.ones(1, 8, 8, 8), None)
    assert torch.allclose(result, torch.full_like(result, 1 + 3 + 2 * 3))


class _Same(nn.Module):
    def forward(self, x: torch.Tensor, _: object) -> torch.Tensor:
        return x


class _Sum(nn.Module):
    def forward(self, features: list[torch.Tensor], _: object) -> torch.Tensor:
        return torch.stack(features).sum(dim=0)


def resampled(step: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return what a step down or up gives where its weights only pass on: the first channel in all channels."""
    if isinstance(step, Down):
        return x[:, :1, ::2, ::2].expand(-1, 2 * x.shape[1], -1, -1)
    wide = x[:, :1].repeat_interleave(2, 2).repeat_interleave(2, 3)
    return wide.expand(-1, x.shape[1] // 2, -1, -1)
