"""Finds operators that read a whole tile: with them tiles would differ from the whole picture."""

from __future__ import annotations

from collections.abc import Collection

import onnx

GLOBAL_OPERATORS = frozenset(
    {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "InstanceNormalization", "GroupNormalization"}
)
REDUCTIONS = frozenset({"ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceL2"})
CHANNEL_AXIS = 1


def tile_nodes(model: onnx.ModelProto, of: Collection[str] = ("tiles",)) -> list[onnx.NodeProto]:
    """Return the nodes whose values depend on the values of `tiles` or other inputs, not only on their shape."""
    reached = set(of)
    nodes = []
    for node in model.graph.node:
        if node.op_type not in ("Shape", "Size") and reached & set(node.input):
            reached |= set(node.output)
            nodes.append(node)
    return nodes


def makers_of(model: onnx.ModelProto, *outputs: str) -> set[str]:
    """Return the first output of every node that `outputs` are computed from; nodes are in execution order."""
    needed, makers = set(outputs), set()
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            makers.add(node.output[0])
    return makers


def tile_faults(model: onnx.ModelProto) -> list[str]:
    """Return a line for everything in a graph of `to_onnx` that would make tiles differ from the whole picture.

    Nodes that only check whether a tile is finite may read all of it.
    """
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    faults = []
    makers = makers_of(model, "enhanced")
    for node in tile_nodes(model):
        if node.output[0] not in makers:
            continue
        if node.op_type in GLOBAL_OPERATORS:
            faults.append(f"{node.op_type} {node.name!r} pools over the whole tile")
        elif node.op_type in REDUCTIONS:
            axes = constants.get(node.input[1]) if len(node.input) > 1 else None
            if axes is None or {int(axis) for axis in axes.ravel()} != {CHANNEL_AXIS}:
                faults.append(f"{node.op_type} {node.name!r} reduces over more than the channels")
        elif node.op_type == "Resize" and len(node.input) > 3 and node.input[3] in constants:
            faults.append(f"Resize {node.name!r} has a fixed output size")
    return faults
