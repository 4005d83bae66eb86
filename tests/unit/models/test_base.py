"""Activations that are computed again instead of being kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from lumen.models.plain import PlainNetwork
from tests.support.networks import NARROW, dark_picture, narrow


def saved_bytes(network: PlainNetwork, crops: Tensor) -> tuple[int, list[Tensor]]:
    """Return the bytes that the forward pass keeps for the backward pass, and the gradients."""
    kept = 0

    def note(value: Tensor) -> Tensor:
        nonlocal kept
        kept += value.numel() * value.element_size()
        return value

    network.zero_grad()
    with saved_tensors_hooks(note, lambda value: value):
        loss = F.l1_loss(network.whole(crops), torch.ones_like(crops))
    torch.autograd.backward(loss)
    return kept, [value.grad.clone() for value in network.parameters() if value.grad is not None]


@pytest.mark.parametrize("architecture", NARROW)
def test_checkpointing_keeps_little_and_gives_the_same_gradients(architecture: str) -> None:
    network = narrow(architecture, groups=2).train()
    crops = dark_picture(16, 16)
    kept, gradients = saved_bytes(network, crops)
    network.checkpoint_activations()
    less, same = saved_bytes(network, crops)
    assert less < kept / 2
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gradients, same, strict=True))
    network.checkpoint_activations(False)
    assert saved_bytes(network, crops)[0] == kept
