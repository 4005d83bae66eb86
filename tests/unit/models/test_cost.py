"""Parameters and multiply-accumulates."""

from __future__ import annotations

import pytest
import torch

from lumen.models import build_network
from lumen.models.cost import count_macs, count_parameters
from lumen.train.recipe.recipe import load_recipe
from tests.support.networks import SMALL_CONTEXT, narrow


def test_lumen_s_stays_within_its_budget() -> None:
    recipe = load_recipe("lumen-s").network
    network = build_network(recipe.architecture, **recipe.hyperparameters)
    assert count_macs(network) <= 2.0e9
    assert count_parameters(network) <= 1_500_000


def test_macs_count_convolutions_by_hand() -> None:
    network = build_network("context-mirnet", **SMALL_CONTEXT)
    small, large = count_macs(network, 64, 64), count_macs(network, 128, 64)
    stem = 24 * 8 * 9 * 32 * 32
    head = 8 * 24 * 9 * 32 * 32
    assert large - small > stem + head
    assert count_macs(network, 192, 64) - large == large - small, "the thumbnail's share is constant"


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
