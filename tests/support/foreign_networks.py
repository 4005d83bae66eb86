"""Tiny ONNX networks of other people, from picture to picture, and what is wrong with some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

FREE = ("n", 3, "h", "w")
Size = str | int


def write_network(
    path: Path,
    nodes: Sequence[NodeProto],
    weights: dict[str, Any],
    *,
    shape: Sequence[Size] = FREE,
    result_shape: Sequence[Size] | None = None,
    dtype: int = TensorProto.FLOAT,
    opset: int = 18,
    more_inputs: Sequence[str] = (),
    more_outputs: Sequence[str] = (),
) -> Path:
    """Write a network from `image` to `better`, and return its path."""
    value = helper.make_tensor_value_info
    inputs = [value("image", dtype, shape), *(value(name, dtype, shape) for name in more_inputs)]
    outputs = [value("better", dtype, result_shape or shape), *(value(name, dtype, shape) for name in more_outputs)]
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    copies = [helper.make_node("Identity", ["better"], [name]) for name in more_outputs]
    graph = helper.make_graph([*nodes, *copies], "network", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def blur(gain: float = 1.5, dtype: str = "float32") -> NDArray[Any]:
    """Return the weights [3, 3, 3, 3] of a blur of each channel, times a gain."""
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    weights = np.zeros((3, 3, 3, 3))
    weights[range(3), range(3)] = gain * kernel
    return weights.astype(dtype)


def conv(into: str, out: str, weights: str = "w", **attributes: Any) -> NodeProto:
    """Return a 3x3 convolution."""
    return helper.make_node("Conv", [into, weights], [out], **{"pads": [1, 1, 1, 1], **attributes})


def planes(path: Path, **changes: Any) -> Path:
    """Write a 3x3 convolution of [N, 3, H, W]."""
    return write_network(path, [conv("image", "better")], {"w": blur()}, **changes)


def channels_last(path: Path, shape: Sequence[Size] = ("n", "h", "w", 3)) -> Path:
    """Write the same for [N, H, W, 3]."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["image"], ["in"], perm=[0, 3, 1, 2]),
        conv("in", "out"),
        node("Transpose", ["out"], ["better"], perm=[0, 2, 3, 1]),
    ]
    return write_network(path, nodes, {"w": blur()}, shape=shape)


def half(path: Path) -> Path:
    """Write the same in half precision."""
    return planes_of(path, blur(dtype="float16"), dtype=TensorProto.FLOAT16)


def planes_of(path: Path, weights: NDArray[Any], **changes: Any) -> Path:
    """Write a 3x3 convolution with other weights."""
    return write_network(path, [conv("image", "better")], {"w": weights}, **changes)


def one_by_one(path: Path, shape: Sequence[Size] = (1, 3, "h", "w")) -> Path:
    """Write one that takes a single picture: its batch is in the numbers of a Reshape."""
    node = helper.make_node
    nodes = [
        conv("image", "blurred"),
        node("Shape", ["blurred"], ["sizes"]),
        node("Slice", ["sizes", "two", "four"], ["sides"]),
        node("Concat", ["ends", "sides"], ["same"], axis=0),
        node("Reshape", ["blurred", "same"], ["better"]),
    ]
    weights = {"w": blur(), "two": np.array([2]), "four": np.array([4]), "ends": np.array([1, 3])}
    return write_network(path, nodes, weights, shape=shape)


def mean_of_all(path: Path) -> Path:
    """Write one that looks at the whole picture: it adds half of the mean."""
    node = helper.make_node
    nodes = [
        node("GlobalAveragePool", ["image"], ["mean"]),
        node("Mul", ["mean", "half"], ["part"]),
        node("Add", ["image", "part"], ["better"]),
    ]
    return write_network(path, nodes, {"half": np.float32(0.5)})


def twice_as_large(path: Path) -> Path:
    """Write an upscaler."""
    nodes = [helper.make_node("Resize", ["image", "", "factors"], ["better"], mode="nearest")]
    return write_network(
        path, nodes, {"factors": np.array([1, 1, 2, 2], np.float32)}, result_shape=("n", 3, "h2", "w2")
    )


def multiples_of(path: Path, size: int) -> Path:
    """Write one that fails unless sides are multiples of `size`: every block of it is given its own mean, in part."""
    node = helper.make_node
    nodes = [
        node("SpaceToDepth", ["image"], ["deep"], blocksize=size),
        node("Mul", ["deep", "gain"], ["louder"]),
        node("DepthToSpace", ["louder"], ["sharp"], blocksize=size),
        node("AveragePool", ["sharp"], ["small"], kernel_shape=[size, size], strides=[size, size]),
        node("Resize", ["small", "", "factors"], ["flat"], mode="nearest"),
        node("Add", ["sharp", "flat"], ["sum"]),
        node("Mul", ["sum", "half"], ["better"]),
    ]
    weights = {
        "gain": np.float32(1.5),
        "half": np.float32(0.5),
        "factors": np.array([1, 1, size, size], np.float32),
    }
    return write_network(path, nodes, weights)


def any_size_but_in_blocks(path: Path) -> Path:
    """Write one that runs at any size, but whose result depends on where its blocks of 4 pixels begin."""
    node = helper.make_node
    nodes = [
        node("AveragePool", ["image"], ["small"], kernel_shape=[4, 4], strides=[4, 4], ceil_mode=1),
        node("Resize", ["small", "", "factors"], ["large"], mode="nearest"),
        node("Shape", ["image"], ["sizes"]),
        node("Slice", ["large", "zeros", "sizes"], ["better"]),
    ]
    weights = {"factors": np.array([1, 1, 4, 4], np.float32), "zeros": np.zeros(4, np.int64)}
    return write_network(path, nodes, weights)


def unpadded(path: Path) -> Path:
    """Write one that loses a pixel at every edge."""
    return write_network(
        path, [conv("image", "better", pads=[0, 0, 0, 0])], {"w": blur()}, result_shape=("n", 3, "a", "b")
    )


def in_levels(path: Path) -> Path:
    """Write one whose result is in levels of 255."""
    return planes_of(path, blur(gain=255.0))


def grey(path: Path) -> Path:
    """Write one for one channel."""
    return planes_of(path, blur()[:1, :1], shape=("n", 1, "h", "w"))


def without_operators(path: Path) -> Path:
    """Write one whose output is a weight."""
    return write_network(path, [], {"better": np.zeros((1, 3, 8, 8), np.float32)})


def with_data_beside(path: Path, location: str = "net.onnx.data") -> Path:
    """Write a network whose weights are in another file, which is named but not moved."""
    planes(path)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(model.SerializeToString())
    return path


def with_functions(path: Path, depth: int, calls: int) -> Path:
    """Write one of nested functions: each calls the next so many times; depth 0 calls itself."""
    planes(path)
    model = onnx.load(path)
    node, opset = helper.make_node, [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    model.opset_import.append(opset[1])
    for level in range(max(depth, 1)):
        last = depth > 0 and level == depth - 1
        names = ["x", *(f"v{call}" for call in range(calls - 1)), "y"]
        inner = "f0" if depth == 0 else f"f{level + 1}"
        body = (
            [node("Identity", ["x"], ["y"])]
            if last
            else [node(inner, [a], [b], domain="own") for a, b in pairwise(names)]
        )
        model.functions.append(helper.make_function("own", f"f{level}", ["x"], ["y"], body, opset))
    model.graph.node[0].input[0] = "called"
    model.graph.node.insert(0, node("f0", ["image"], ["called"], domain="own"))
    path.write_bytes(model.SerializeToString())
    return path


def changed(path: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    """Change a file that was written."""
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def with_operator_of(path: Path, domain: str, name: str) -> Path:
    """Write one with an operator that is not ONNX's own."""
    nodes = [conv("image", "blurred"), helper.make_node(name, ["blurred"], ["better"], domain=domain)]
    write_network(path, nodes, {"w": blur()})
    return changed(path, lambda model: model.opset_import.append(helper.make_opsetid(domain, 1)))


def with_choice(path: Path) -> Path:
    """Write one with inner graphs, which use weights of the outer one and of their own."""
    result = helper.make_tensor_value_info("r", TensorProto.FLOAT, FREE)
    doubling = [helper.make_node("Mul", ["image", "own"], ["r"])]
    yes = helper.make_graph([conv("image", "r")], "yes", [], [result])
    no = helper.make_graph(doubling, "no", [], [result], [numpy_helper.from_array(np.array(2, np.float32), "own")])
    nodes = [helper.make_node("If", ["always"], ["better"], then_branch=yes, else_branch=no)]
    return write_network(path, nodes, {"w": blur(), "always": np.array(True)})


def with_weights_as_inputs(path: Path) -> Path:
    """Write one as files of IR version 3 are: their weights are inputs, too."""
    weights = helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 3, 3, 3])

    def change(model: onnx.ModelProto) -> None:
        model.ir_version = 3
        model.graph.input.append(weights)

    return changed(planes(path, opset=9), change)


def with_constants(path: Path) -> Path:
    """Write one whose weights are in operators."""
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(blur()))
    return write_network(path, [constant, conv("image", "better")], {})


def endless(path: Path) -> Path:
    """Write one with a loop without end."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Identity", ["going"], ["goes"]), helper.make_node("Identity", ["x"], ["y"])]
    step = [
        value("i", TensorProto.INT64, []),
        value("going", TensorProto.BOOL, []),
        value("x", TensorProto.FLOAT, FREE),
    ]
    ends = [value("goes", TensorProto.BOOL, []), value("y", TensorProto.FLOAT, FREE)]
    loop = helper.make_node("Loop", ["", "always", "image"], ["better"], body=helper.make_graph(nodes, "b", step, ends))
    return write_network(path, [loop], {"always": np.array(True)})


def huge(path: Path) -> Path:
    """Write one that asks for 256 TB."""
    nodes = [
        helper.make_node("Expand", ["one", "sizes"], ["all"]),
        helper.make_node("ReduceMean", ["all"], ["mean"], keepdims=0),
        helper.make_node("Add", ["image", "mean"], ["better"]),
    ]
    return write_network(path, nodes, {"one": np.float32(1), "sizes": np.array([1 << 20, 1 << 20, 64])})
