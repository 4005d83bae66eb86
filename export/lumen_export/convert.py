"""Traces a network into an ONNX graph that follows the contract of `lumen.spec`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch.export import Dim

from lumen.models import Network
from lumen_export.graph import compute_when_asked, enter_blocks, replace_nodes
from lumen_export.tile_safety import tile_nodes
from lumen_export.wrapper import ToneModel, model_of

OPSET = 20


def to_onnx(network: Network) -> onnx.ModelProto:
    """Trace a network on the CPU into a graph for 8-bit samples, without lumen's metadata.

    The network is set to evaluation mode.

    Batch, height, width and number of thumbnails are left free.
    """
    module = model_of(network, torch.uint8)
    side = 8 * network.align
    tiles = torch.zeros(2, side, side + network.align, 3, dtype=torch.uint8)
    thumbnails = torch.rand(2, *example_thumbnail(network), 3)
    batch, seen = Dim("n", min=1), {}
    if network.thumbnail == "fit":
        seen = {1: sides("thumbnail_rows", network.align), 2: sides("thumbnail_columns", network.align)}
    tile_sides = {0: batch, 1: sides("rows", network.align), 2: sides("columns", network.align)}
    inputs = {"tiles": tiles, "thumbnails": thumbnails, "ev": torch.zeros(2)}
    outputs = ["enhanced", "brightness", "finite"]
    if isinstance(module, ToneModel):
        tones = module.tone(thumbnails, torch.zeros(2), torch.ones(2))[0].detach()
        boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.25, 0.5, 0.75, 1.0]])
        of_tiles = {"tiles": tiles, "tones": tones, "boxes": boxes}
        inputs = {**of_tiles, "thumbnails": thumbnails, "ev": torch.zeros(2), "shadows": torch.ones(2)}
        outputs = ["enhanced", "finite", "tone", "brightness"]
    free = {name: {0: batch} for name in inputs} | {"tiles": tile_sides, "thumbnails": {0: batch, **seen}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=tuple(free[name] for name in inputs),
            external_data=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # of the tracer: half of the file's text, with paths of this machine
    _free_thumbnails(model)
    _count_tiles(model)
    if isinstance(module, ToneModel):
        _fix_scales(model, inputs)
        enter_blocks(model)
        compute_when_asked(model, ("tone", "brightness"), "ev")
    return model


def of_16_bits(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph of `to_onnx` for 16-bit samples: types and levels alone differ, and tracing again takes long."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph, top = wide.graph, np.iinfo(np.uint16).max
    for value in (*graph.input, *graph.output):
        if value.name in ("tiles", "enhanced"):
            value.type.tensor_type.elem_type = onnx.TensorProto.UINT16
    (cast,) = (node for node in graph.node if "enhanced" in node.output)
    cast.attribute[0].i = onnx.TensorProto.UINT16
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for name, value in (("levels", top), ("level", 1 / top)):
        constants[name].CopyFrom(onnx.numpy_helper.from_array(np.array(value, np.float32), name))
    return wide


def _fix_scales(model: onnx.ModelProto, inputs: Mapping[str, torch.Tensor]) -> None:
    """Give resizing by a whole factor that factor, seen in a run, instead of a size that is computed from the tile's.

    The tracer knows sizes alone; with a constant factor onnxruntime keeps its blocked layout.
    """
    resizes = [node for node in model.graph.node if node.op_type == "Resize"]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    wanted = [name for node in resizes for name in (node.input[0], node.output[0])]
    probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(wanted))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = dict(
        zip(wanted, session.run(wanted, {name: value.numpy() for name, value in inputs.items()}), strict=True)
    )
    for node in resizes:
        before, after = (values[name].shape for name in (node.input[0], node.output[0]))
        if all(a % b == 0 for b, a in zip(before, after, strict=True)):
            factors = np.array(after, np.float32) / np.array(before, np.float32)
            name = f"{node.output[0]}_scales"
            model.graph.initializer.append(onnx.numpy_helper.from_array(factors, name))
            node.input[:] = [node.input[0], "", name]


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
    of_tiles = {"tiles", "boxes"}
    per_tile = of_tiles.union(*(node.output for node in tile_nodes(model, of_tiles)))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.name not in per_tile:
            for size in value.type.tensor_type.shape.dim:
                if size.dim_param == "n":
                    size.dim_param = "m"


def _count_tiles(model: onnx.ModelProto) -> None:
    """Take the number of tiles, where they are reshaped, from the tiles.

    The tracer believes that there are as many thumbnails, and counts whichever input it likes.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    inputs = {value.name for value in model.graph.input}
    for node in tile_nodes(model):
        sizes = makers.get(node.input[1]) if node.op_type == "Reshape" else None
        count = makers.get(sizes.input[0]) if sizes is not None and sizes.op_type == "Concat" else None
        if sizes is not None and count is not None and count.op_type == "Shape" and count.input[0] in inputs:
            sizes.input[0] = "tile_count"
    replace_nodes(model.graph, [onnx.helper.make_node("Shape", ["tiles"], ["tile_count"], end=1), *model.graph.node])
