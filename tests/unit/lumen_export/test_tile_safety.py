"""Graphs that would show tiles."""

from __future__ import annotations

import onnx

from lumen.models import Network
from lumen_export.convert import to_onnx
from lumen_export.exported import Exported
from lumen_export.tile_safety import tile_faults
from tests.support.networks import pooled


def test_the_family_is_safe_and_a_global_pool_is_caught(network: Network, exported: Exported) -> None:
    for path in exported.files:
        assert tile_faults(onnx.load(path)) == []
    faults = tile_faults(to_onnx(pooled(network)))
    assert len(faults) == 1 and "ReduceMean" in faults[0]


def test_pooling_operators_are_caught() -> None:
    node = onnx.helper.make_node("GlobalAveragePool", ["tiles"], ["enhanced"], name="gap")
    graph = onnx.helper.make_graph([node], "g", [], [])
    assert tile_faults(onnx.helper.make_model(graph)) == ["GlobalAveragePool 'gap' pools over the whole tile"]
