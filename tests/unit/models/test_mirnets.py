"""The papers' networks: their parameters, their wiring, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lumen.errors import UsageError
from lumen.models import build_network
from lumen.models.cost import count_macs, count_parameters
from lumen.models.mirnet import Blur
from lumen.models.mirnet_keras import MRB, Down, Up
from tests.support.papers import NARROW, POOLED, dark_picture, narrow


@pytest.mark.parametrize(
    ("architecture", "changes", "parameters"),
    [
        ("mirnet", {}, 31_787_419),
        ("mirnet-keras", {}, 44_157_007),
        ("mirnet-keras", {"wiring": "published"}, 36_351_613),
        ("mirnet-cbam", {}, 44_295_631),
        ("residual", {}, 446_659),
    ],
)
def test_the_full_forms_have_the_parameters_of_their_originals(
    architecture: str, changes: dict[str, object], parameters: int
) -> None:
    with torch.device("meta"):
        network = build_network(architecture, **changes)
    assert count_parameters(network) == parameters


def test_macs_of_the_residual_network_by_hand() -> None:
    with torch.device("meta"):
        network = build_network("residual")
    assert count_macs(network) == (2 * 3 * 64 + 12 * 64 * 64) * 9 * 256 * 256


def test_macs_of_a_transposed_convolution_count_its_inputs() -> None:
    """Of the finest stream's four times as many pixels, each weight of a transposed convolution meets a quarter."""
    plain, wide = (count_macs(narrow("mirnet", streams=streams), 64, 64) for streams in (2, 3))
    assert 0 < plain < wide < 2 * plain + 64 * 64 * 10_000


@pytest.mark.parametrize("architecture", POOLED)
@pytest.mark.parametrize("streams", [2, 3, 4])
def test_two_to_four_streams_give_pictures_of_the_same_size(architecture: str, streams: int) -> None:
    network = narrow(architecture, streams=streams)
    assert network.align == max(4, 2 ** (streams - 1))
    pictures = dark_picture(2 * network.align, 3 * network.align)
    assert network.whole(pictures).shape == pictures.shape


@pytest.mark.parametrize("architecture", NARROW)
def test_every_weight_is_trained(architecture: str) -> None:
    network = narrow(architecture, groups=2).train()
    torch.autograd.backward(network(dark_picture(16, 16), torch.empty(0), torch.empty(0)).square().mean())
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


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


def test_the_blur_is_that_of_the_release() -> None:
    """[1 2 1] in both directions, every second pixel, the rim reflected."""
    row = torch.tensor([0.0, 4.0, 8.0, 4.0])
    expected = torch.tensor([(2 * 0 + 4 + 4) / 4, (4 + 16 + 4) / 4])
    blurred = Blur()(row.expand(1, 1, 4, 4))
    assert torch.allclose(blurred, expected.expand(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("architecture", "wrong", "message"),
    [
        ("mirnet", {"width": 12}, "multiples of 8"),
        ("mirnet", {"streams": 5}, "2 to 4 streams"),
        ("mirnet", {"groups": 0}, "groups and blocks of at least 1"),
        ("mirnet-keras", {"wiring": "half"}, "wiring full, or published"),
        ("mirnet-keras", {"wiring": "published", "streams": 2}, "published with 3 streams"),
        ("mirnet-cbam", {"thumbnail_px": 100}, "multiple of 8"),
        ("residual", {"blocks": 0}, "at least 1"),
        ("residual", {"streams": 2}, "streams"),
    ],
)
def test_wrong_hyperparameters_are_named(architecture: str, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_network(architecture, **wrong)
