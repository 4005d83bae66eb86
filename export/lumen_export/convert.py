"""Trace a network into an ONNX graph that follows the contract."""

from __future__ import annotations

import logging
import warnings

import onnx
import torch
from torch.export import Dim

from lumen.models import Network
from lumen.spec import SampleType
from lumen_export.lint import tile_nodes
from lumen_export.wrapper import TileModel

OPSET = 20
TORCH_SAMPLES = {"uint8": torch.uint8, "uint16": torch.uint16}


def to_onnx(network: Network, sample: SampleType) -> onnx.ModelProto:
    """Trace a network with free batch, height, width and number of thumbnails.

    Args:
        network: On the CPU; its mode is set to evaluation.
        sample: Integer type of the tiles.

    Returns:
        The graph, without lumen's metadata.
    """
    model = TileModel(network, TORCH_SAMPLES[sample]).eval()
    side = 8 * network.align
    tiles = torch.zeros(2, side, side + network.align, 3, dtype=TORCH_SAMPLES[sample])
    thumbnails = torch.rand(2, network.thumbnail_px, network.thumbnail_px, 3)
    rows, columns, batch = Dim("rows", min=1, max=1 << 14), Dim("columns", min=1, max=1 << 14), Dim("n", min=1)
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
                {0: batch, 1: network.align * rows, 2: network.align * columns},
                {0: batch},
                {0: batch},
            ),
            external_data=False,
        )
    assert program is not None
    model = program.model_proto
    _free_thumbnails(model)
    return model


def _free_thumbnails(model: onnx.ModelProto) -> None:
    """Name the number of thumbnails apart from the number of tiles: one picture's thumbnail serves all its tiles.

    Also between input and output: onnxruntime puts values of one described shape into one buffer.
    """
    per_tile = {"tiles"}.union(*(node.output for node in tile_nodes(model)))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.name not in per_tile:
            for size in value.type.tensor_type.shape.dim:
                if size.dim_param == "n":
                    size.dim_param = "m"
