"""MIRNet's parts, with gates that read a code."""

from __future__ import annotations

import pytest
import torch

from lumen.models.blocks import DAU, MRB, RRG, SKFF, ChannelAttention, Down, SpatialAttention, Up

CODE = 8


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("spatial", [False, True])
def test_dau_keeps_the_shape_and_one_code_serves_a_batch(spatial: bool) -> None:
    unit = DAU(16, CODE, spatial=spatial).eval()
    x, code = noise(3, 16, 12, 20), noise(1, CODE)
    together = unit(x, code)
    assert together.shape == x.shape
    assert torch.allclose(together, unit(x, code.expand(3, -1)), atol=1e-6)


def test_a_zero_code_and_bias_leave_channels_as_they_are() -> None:
    gate = ChannelAttention(16, CODE)
    torch.nn.init.zeros_(gate.gate.bias)
    x = noise(1, 16, 4, 4)
    assert torch.equal(gate(x, torch.zeros(1, CODE)), x)
    assert not torch.allclose(gate(x, noise(1, CODE)), x)


def test_spatial_attention_gates_between_nothing_and_all() -> None:
    x = noise(2, 8, 9, 9)
    gated = SpatialAttention()(x)
    assert torch.all(gated.abs() <= x.abs())
    ratio = (gated / x)[0, :, 4, 4]
    assert torch.allclose(ratio, ratio[0].expand(8), atol=1e-5), "one gate for all channels of a pixel"


def test_skff_weights_sum_to_one_over_the_streams() -> None:
    shares = SKFF(16, CODE, 3)(noise(2, CODE))
    assert [share.shape for share in shares] == [(2, 16, 1, 1)] * 3
    assert torch.allclose(torch.stack(shares).sum(dim=0), torch.ones(2, 16, 1, 1))
    assert all(torch.all(share > 0) for share in shares)


@pytest.mark.parametrize("steps", [1, 2])
def test_resizing_changes_resolution_and_width(steps: int) -> None:
    x = noise(2, 16, 16, 24)
    down = Down(16, 32, steps)(x)
    assert down.shape == (2, 32, 16 >> steps, 24 >> steps)
    assert Up(32, 16, steps)(down).shape == x.shape


def test_mrb_reads_only_its_neighbours() -> None:
    widths = (8, 16, 24)
    streams = [noise(1, 8, 16, 16), noise(1, 16, 8, 8), noise(1, 24, 4, 4)]
    changed = [*streams[:2], streams[2] + 1]
    code = noise(1, CODE)
    for neighbours, reaches in ((1, False), (2, True)):
        block = MRB(widths, CODE, spatial=False, neighbours=neighbours)
        before, after = block(streams, code), block(changed, code)
        assert [tuple(s.shape) for s in before] == [tuple(s.shape) for s in streams]
        assert torch.equal(before[0], after[0]) is not reaches


def test_rrg_keeps_the_shape() -> None:
    group = RRG((8, 16, 24), 2, CODE, spatial=True, neighbours=1)
    x = noise(1, 8, 16, 32)
    assert group(x, noise(1, CODE)).shape == x.shape


def test_a_group_upsamples_one_sum_and_equals_its_parts() -> None:
    group = RRG((8, 16, 24), 2, CODE, spatial=False, neighbours=2).eval()
    x, code = noise(1, 8, 16, 16), noise(1, CODE)
    streams = [x]
    for down in group.descend:
        streams.append(down(streams[-1]))
    for block in group.blocks:
        streams = block(streams, code)
    top = streams[2]
    for up, stream in zip(reversed(group.ascend), reversed(streams[:2]), strict=True):
        top = stream + up(top)
    assert torch.allclose(group(x, code), x + group.conv(top), atol=1e-5)
