"""Model files that do not keep their contract: from the start, or only for tiles of more than 48 rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.fakes import write_fake_onnx

ROWS = 48  # the tiny tile that is tried when a model is opened has 8

Change = Callable[[Any], None]


def write_wrong_onnx(path: Path, *changes: Change, **spec: Any) -> Path:
    """Write the doubling model with changes to its graph, and return the path."""
    import onnx

    write_fake_onnx(path, radius=0, **spec)
    model = onnx.load(path)
    _add_condition(model.graph)
    for change in changes:
        change(model.graph)
    path.write_bytes(model.SerializeToString())  # unchecked
    return path


def _constant(graph: Any, name: str, value: Any) -> str:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def _add_condition(graph: Any) -> None:
    """Compute `big`: whether a tile has more than 48 rows."""
    from onnx import helper

    node = helper.make_node
    _constant(graph, "one_index", np.array(1, np.int64))
    _constant(graph, "most_rows", np.array(ROWS, np.int64))
    for index, each in enumerate(
        (
            node("Shape", ["tiles"], ["shape_of_tiles"]),
            node("Gather", ["shape_of_tiles", "one_index"], ["rows_of_tiles"]),
            node("Greater", ["rows_of_tiles", "most_rows"], ["big"]),
        )
    ):
        graph.node.insert(index, each)


def _rename_output(graph: Any, name: str) -> str:
    """Give the node that computes an output another name for it, and return that."""
    inner = f"inner_{name}"
    for node in graph.node:
        node.output[:] = [inner if each == name else each for each in node.output]
    return inner


def _cut(graph: Any, axis: int, most: int, *, when_big: bool) -> None:
    from onnx import helper

    inner = _rename_output(graph, "enhanced")
    _constant(graph, "cut_to", np.array([most], np.int64))
    _constant(graph, "cut_not", np.array([1 << 40], np.int64))
    _constant(graph, "cut_from", np.array([0], np.int64))
    _constant(graph, "cut_axis", np.array([axis], np.int64))
    ends = "cut_to"
    if when_big:
        ends = "ends"
        graph.node.append(helper.make_node("Where", ["big", "cut_to", "cut_not"], [ends]))
    graph.node.append(helper.make_node("Slice", [inner, "cut_from", ends, "cut_axis"], ["enhanced"]))


def later_lower(graph: Any) -> None:
    """Results of one row, which numpy would broadcast."""
    _cut(graph, 1, 1, when_big=True)


def later_grey(graph: Any) -> None:
    """Results of one channel, which numpy would broadcast."""
    _cut(graph, 3, 1, when_big=True)


def grey(graph: Any) -> None:
    """Results of one channel, declared as three."""
    _cut(graph, 3, 1, when_big=False)


def lower(graph: Any) -> None:
    """Results of one row, which nothing declares."""
    _cut(graph, 1, 1, when_big=True)
    for node in graph.node:
        node.op_type = "Less" if node.op_type == "Greater" else node.op_type


def unknown_shape(graph: Any) -> None:
    """Say nothing of the result's shape."""
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")


def later_nan(graph: Any) -> None:
    """A brightness that is no number."""
    from onnx import helper

    inner = _rename_output(graph, "brightness")
    _constant(graph, "none", np.array([np.nan], np.float32))
    graph.node.append(helper.make_node("Where", ["big", "none", inner], ["brightness"]))


def nan(graph: Any) -> None:
    """The same from the start."""
    from onnx import helper

    inner = _rename_output(graph, "brightness")
    _constant(graph, "none", np.array([np.nan], np.float32))
    graph.node.append(helper.make_node("Add", [inner, "none"], ["brightness"]))


def text(graph: Any) -> None:
    """A brightness in letters."""
    from onnx import TensorProto, helper

    inner = _rename_output(graph, "brightness")
    graph.node.append(helper.make_node("Cast", [inner], ["brightness"], to=TensorProto.STRING))
    for output in graph.output:
        if output.name == "brightness":
            output.type.tensor_type.elem_type = TensorProto.STRING


def floats(graph: Any) -> None:
    """Results as floats."""
    from onnx import TensorProto, helper

    inner = _rename_output(graph, "enhanced")
    graph.node.append(helper.make_node("Cast", [inner], ["enhanced"], to=TensorProto.FLOAT))
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT


def renamed(graph: Any) -> None:
    """A result of another name."""
    for node in graph.node:
        node.output[:] = ["result" if each == "enhanced" else each for each in node.output]
    graph.output[0].name = "result"


def another_input(graph: Any) -> None:
    """An input that nobody gives."""
    from onnx import TensorProto, helper

    graph.input.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n"]))


def fixed_size(graph: Any) -> None:
    """Tiles of one size only."""
    graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64


def fixed_thumbnail(graph: Any) -> None:
    """Thumbnails of another size than the spec's."""
    for index in (1, 2):
        graph.input[1].type.tensor_type.shape.dim[index].dim_value = 33


def failing(graph: Any) -> None:
    """A graph that cannot run."""
    from onnx import helper

    inner = _rename_output(graph, "enhanced")
    _constant(graph, "odd_shape", np.array([7, 7, 7, 7], np.int64))
    graph.node.append(helper.make_node("Where", ["big", "odd_shape", "odd_shape"], ["new_shape"]))
    graph.node.append(helper.make_node("Reshape", [inner, "new_shape"], ["enhanced"]))


def _loop(graph: Any, condition: str) -> None:
    from onnx import TensorProto, helper

    value, node = helper.make_tensor_value_info, helper.make_node
    body = helper.make_graph(
        [node("Identity", ["going"], ["goes_on"]), node("Identity", ["carried"], ["carries"])],
        "body",
        [
            value("step", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("carried", TensorProto.FLOAT, ["m"]),
        ],
        [value("goes_on", TensorProto.BOOL, []), value("carries", TensorProto.FLOAT, ["m"])],
    )
    for each in graph.node:
        each.input[:] = ["looped" if name == "ev" else name for name in each.input]
    graph.node.insert(3, node("Loop", ["", condition, "ev"], ["looped"], body=body))


def endless_branch(graph: Any) -> None:
    """A loop without end in a branch that no tile takes."""
    from onnx import TensorProto, helper

    endless(graph)
    (loop,) = (node for node in graph.node if node.op_type == "Loop")
    outputs = [helper.make_tensor_value_info(f"{name}_looped", TensorProto.FLOAT, ["m"]) for name in ("then", "else")]
    taken, hidden = helper.make_node("Identity", ["ev"], ["then_looped"]), type(loop)()
    hidden.CopyFrom(loop)
    hidden.output[:] = ["else_looped"]
    branches = [
        helper.make_graph([node], node.output[0], [], [value])
        for node, value in zip((taken, hidden), outputs, strict=True)
    ]
    loop.CopyFrom(helper.make_node("If", ["always"], ["looped"], then_branch=branches[0], else_branch=branches[1]))


def endless(graph: Any) -> None:
    """A loop without end."""
    _loop(graph, _constant(graph, "always", np.array(True)))


def later_endless(graph: Any) -> None:
    """A loop without end, for larger tiles."""
    _loop(graph, "big")
