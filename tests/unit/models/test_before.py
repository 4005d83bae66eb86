"""Checkpoints of an earlier version: each network has the same tensors, and computes the same with them.

`tests/data/before/networks.json` holds what that version gave for weights that follow from their names alone.
"""

from __future__ import annotations

import json
import math
from typing import Any
from zlib import crc32

import pytest
import torch

from lumen.models import build_network
from lumen.models.plain import PlainNetwork
from tests.conftest import ROOT
from tests.support.releases import pattern

GIVEN: dict[str, dict[str, Any]] = json.loads((ROOT / "tests" / "data" / "before" / "networks.json").read_text())


def named_weights(name: str, shape: torch.Size) -> torch.Tensor:
    wave = torch.sin(torch.arange(math.prod(shape)) * 0.7 + crc32(name.encode()) % 1000).view(shape)
    return 0.25 + 0.1 * wave if len(shape) < 2 else wave * 1.2 / math.sqrt(math.prod(shape[1:]))


@pytest.mark.parametrize("form", GIVEN)
@torch.no_grad()
def test_a_network_computes_what_it_did_before(form: str) -> None:
    given = GIVEN[form]
    network = build_network(given["architecture"], **given["hyperparameters"]).eval()
    state = network.state_dict()
    shapes = " ".join(f"{name}{list(value.shape)}" for name, value in state.items())  # optimisers count on the order
    assert (len(state), crc32(shapes.encode())) == (given["tensors"], given["names"])
    network.load_state_dict({name: named_weights(name, value.shape) for name, value in state.items()})
    tiles = pattern(16, 24)
    if isinstance(network, PlainNetwork):
        brightness, result = network.brightness(tiles), network.whole(tiles)
    else:
        thumbnail = pattern(32, 32)
        brightness, result = network.brightness(thumbnail), network.restore(tiles, thumbnail, torch.tensor([0.45]))
    assert float(brightness) == pytest.approx(given["brightness"], abs=1e-4)
    assert result[0, :, ::7, ::11].flatten().tolist() == pytest.approx(given["pixels"], rel=1e-4, abs=1e-4)
