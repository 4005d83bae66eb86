"""Traces a network into an ONNX graph that follows the contract of `lumen.spec`."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import onnx
import torch
from torch.export import Dim

from lumen.models import Network
from lumen.spec import SampleType
from lumen_export.tile_safety import tile_nodes
from lumen_export.wrapper import TileModel

OPSET = 20
TORCH_SAMPLES = {"uint8": torch.uint8, "uint16": torch.uint16}


def to_onnx(network: Network, sample: SampleType) -> onnx.ModelProto:
    """Trace a network on the CPU into a graph without lumen's metadata, and set the network to evaluation mode.

    Batch, height, width and number of thumbnails are left free.
    """
    model = TileModel(network, TORCH_SAMPLES[sample]).eval()
    side = 8 * network.align
    tiles = torch.zeros(2, side, side + network.align, 3, dtype=TORCH_SAMPLES[sample])
    thumbnails = torch.rand(2, *example_thumbnail(network), 3)
    batch, seen = Dim("n", min=1), {}
    if network.thumbnail == "fit":
        seen = {1: sides("thumbnail_rows", network.align), 2: sides("thumbnail_columns", network.align)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model,
            (tiles, thumbnails, torch.zeros(2)),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["tiles", "thumbnails", "ev"],
            output_names=["enhanced", "brightness", "finite"],
            dynamic_shapes=(
                {0: batch, 1: sides("rows", network.align), 2: sides("columns", network.align)},
                {0: batch, **seen},
                {0: batch},
            ),
            external_data=False,
        )
    assert program is not None
    model = program.model_proto
    _free_thumbnails(model)
    return model


def sides(name: str, align: int) -> Any:
    """Return a free size, in multiples of `align`."""
    free = Dim(name, min=1, max=1 << 14)
    return free if align == 1 else align * free


def example_thumbnail(network: Network) -> tuple[int, int]:
    """Return height and width of the thumbnail to trace with: the fixed size, or one unlike the tile's size."""
    if network.thumbnail == "square":
        return network.thumbnail_px, network.thumbnail_px
    return 6 * network.align, 7 * network.align


def _free_thumbnails(model: onnx.ModelProto) -> None:
    """Give the number of thumbnails another name than the number of tiles: one thumbnail may serve many tiles.

    Inner values are renamed too: onnxruntime reuses one buffer for values whose shapes have the same names.
    """
    per_tile = {"tiles"}.union(*(node.output for node in tile_nodes(model)))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.name not in per_tile:
            for size in value.type.tensor_type.shape.dim:
                if size.dim_param == "n":
                    size.dim_param = "m"
