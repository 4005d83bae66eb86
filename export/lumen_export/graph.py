"""Rewrites a traced graph into one that gives the same result in less time; standard operators alone."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lumen_export.tile_safety import makers_of

BLOCK = 16  # channels; onnxruntime's blocked layout is used for multiples of it


def enter_blocks(model: onnx.ModelProto) -> None:
    """Let resizing by a whole factor run in onnxruntime's blocked layout, also behind arithmetic.

    Only convolutions and pools bring values into that layout, where resizing is several times faster. So a pool over
    single pixels, which changes nothing, is put before each resizing that no convolution precedes.
    """
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    channels = _channels(model)
    nodes = []
    for node in model.graph.node:
        source = node.input[0] if node.input else ""
        wide = channels.get(source, 0)
        if node.op_type == "Resize" and makers.get(source) != "Conv" and wide and wide % BLOCK == 0:
            nodes.append(helper.make_node("MaxPool", [source], [f"{source}_blocked"], kernel_shape=[1, 1]))
            node.input[0] = f"{source}_blocked"
        nodes.append(node)
    replace_nodes(model.graph, nodes)


def _channels(model: onnx.ModelProto) -> dict[str, int]:
    """Return the number of channels of every value of four dimensions, where it is fixed."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.value_info}
    return {name: dims[1].dim_value for name, dims in shapes.items() if len(dims) == 4}


def compute_when_asked(model: onnx.ModelProto, outputs: Collection[str], asked: str) -> None:
    """Compute some outputs only if the input `asked`, float [M], is not NaN throughout; else they are NaN.

    onnxruntime runs all nodes of a graph, whatever outputs are asked for. So those that nothing else needs go into a
    branch of an `If`, with their constants. Nodes that no output needs are dropped: in the branch they would tie it to
    the rest of the graph.

    Args:
        model: Traced graph; `outputs` have sizes [M] or [M, K].
        outputs: Names of outputs of the graph.
        asked: Name of an input of the graph.
    """
    graph = model.graph
    declared = {value.name: value for value in graph.output}
    elsewhere = makers_of(model, *(name for name in declared if name not in outputs))
    needed = makers_of(model, *outputs)
    inner = [node for node in graph.node if node.output[0] in needed - elsewhere]
    outer = [node for node in graph.node if node.output[0] in elsewhere]
    used_outside = {name for node in outer for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name not in used_outside]
    made = {name for node in inner for name in node.output}
    computed = helper.make_graph(
        inner,
        "computed",
        [],
        [declared[name] for name in outputs],
        constants,
        value_info=[value for value in graph.value_info if value.name in made],
    )
    test = [
        helper.make_node("IsNaN", [asked], ["unasked"]),
        helper.make_node("Cast", ["unasked"], ["unasked_count"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMin", ["unasked_count"], ["all_unasked"], keepdims=0),
        helper.make_node("Less", ["all_unasked", "half"], ["some_asked"]),
    ]
    branch = helper.make_node(
        "If",
        ["some_asked"],
        list(outputs),
        then_branch=computed,
        else_branch=_nan_branch([declared[name] for name in outputs], asked),
    )
    kept = [tensor for tensor in graph.initializer if tensor.name in used_outside]
    made_outside = {name for node in outer for name in node.output}
    values = [value for value in graph.value_info if value.name in made_outside]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend([*kept, numpy_helper.from_array(np.array(0.5, np.float32), "half")])
    graph.value_info.extend(values)
    replace_nodes(graph, [*outer, *test, branch])


def _nan_branch(outputs: Collection[onnx.ValueInfoProto], asked: str) -> onnx.GraphProto:
    """Return a graph whose outputs, of sizes [M] or [M, K], repeat the NaN of `asked` [M]."""
    nodes, constants, values = [], [], []
    for output in outputs:
        _, *width = (size.dim_value for size in output.type.tensor_type.shape.dim)
        name = f"no_{output.name}"
        constants.append(numpy_helper.from_array(np.zeros((1, *width), np.float32), f"{name}_zeros"))
        constants.append(numpy_helper.from_array(np.array([-1, *(1 for _ in width)]), f"{name}_sizes"))
        nodes.append(helper.make_node("Reshape", [asked, f"{name}_sizes"], [f"{name}_column"]))
        nodes.append(helper.make_node("Add", [f"{name}_column", f"{name}_zeros"], [name]))
        values.append(onnx.ValueInfoProto(name=name, type=output.type))
    return helper.make_graph(nodes, "unasked", [], values, constants)


def replace_nodes(graph: onnx.GraphProto, nodes: Collection[onnx.NodeProto]) -> None:
    """Make these the nodes of a graph, some of which may be its own."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]  # what is deleted is emptied
    del graph.node[:]
    graph.node.extend(copies)
