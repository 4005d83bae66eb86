"""Graphs rewritten for speed give the same results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lumen_export.graph import compute_when_asked, enter_blocks


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[Any]],
    outputs: dict[str, Sequence[Any]],
    constants: dict[str, np.ndarray],
) -> onnx.ModelProto:
    def declared(values: dict[str, Sequence[Any]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()]

    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "g", declared(inputs), declared(outputs), tensors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def run(model: onnx.ModelProto, outputs: Sequence[str] | None, **feeds: np.ndarray) -> list[np.ndarray]:
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(outputs, feeds))


def two_halves() -> onnx.ModelProto:
    """Return a graph with y = 2 x, and with level [M] and tone [M, 3] of `ev`, which fail beyond 2."""
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["y"]),
        helper.make_node("Cast", ["ev"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["tone"]),
        helper.make_node("Mul", ["ev", "two"], ["level"]),
    ]
    constants: dict[str, np.ndarray] = {
        "two": np.array(2, np.float32),
        "table": np.arange(9, dtype=np.float32).reshape(3, 3),
    }
    outputs: dict[str, Sequence[Any]] = {"y": ["n"], "tone": ["m", 3], "level": ["m"]}
    return graph(nodes, {"x": ["n"], "ev": ["m"]}, outputs, constants)


def test_outputs_that_are_asked_for_are_computed() -> None:
    model = two_halves()
    feeds = {"x": np.ones(4, np.float32), "ev": np.array([2, 0], np.float32)}
    before = run(model, None, **feeds)
    compute_when_asked(model, ("tone", "level"), "ev")
    after = run(model, None, **feeds)
    assert all(map(np.array_equal, before, after))
    assert [each.name for each in model.graph.output] == ["y", "tone", "level"]


def test_outputs_that_are_not_asked_for_cost_nothing() -> None:
    model = two_halves()
    feeds = {"x": np.ones(4, np.float32), "ev": np.array([np.nan, np.nan], np.float32)}
    with pytest.raises(Exception, match="out of data bounds"):
        run(model, ["y"], **feeds)  # all nodes run, whatever is asked for
    compute_when_asked(model, ("tone", "level"), "ev")
    y, tone, level = run(model, None, **feeds)
    assert np.array_equal(y, np.full(4, 2))
    assert tone.shape == (2, 3) and level.shape == (2,) and np.isnan(tone).all() and np.isnan(level).all()


def test_what_both_halves_use_stays_outside() -> None:
    model = two_halves()
    compute_when_asked(model, ("tone", "level"), "ev")
    branch = next(node for node in model.graph.node if node.op_type == "If")
    (inner,) = (each.g for each in branch.attribute if each.name == "then_branch")
    assert [each.name for each in inner.initializer] == ["table"]
    assert {"two", "half"} == {each.name for each in model.graph.initializer}


def test_what_no_output_needs_is_dropped_and_ties_nothing_together() -> None:
    model = two_halves()
    model.graph.node.append(helper.make_node("Shape", ["y"], ["sizes"]))  # as tracers leave them
    compute_when_asked(model, ("tone", "level"), "ev")
    branch = next(node for node in model.graph.node if node.op_type == "If")
    (inner,) = (each.g for each in branch.attribute if each.name == "then_branch")
    nodes = [*model.graph.node, *inner.node]
    assert "Shape" not in {node.op_type for node in nodes}
    assert "y" not in {name for node in inner.node for name in node.input}


@pytest.mark.parametrize(("between", "channels", "pooled"), [("Mul", 16, 1), ("Mul", 3, 0), ("Conv", 16, 0)])
def test_resizing_behind_arithmetic_enters_the_blocked_layout(between: str, channels: int, pooled: int) -> None:
    rng = np.random.default_rng(0)
    weights = rng.random((channels, channels, 1, 1) if between == "Conv" else (1, channels, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node(between, ["x", "w"], ["z"]),
        helper.make_node("Resize", ["z", "", "scales"], ["y"], mode="linear"),
    ]
    constants = {"w": weights, "scales": np.array([1, 1, 2, 2], np.float32)}
    model = graph(nodes, {"x": [1, channels, 4, 6]}, {"y": [1, channels, 8, 12]}, constants)
    x = rng.random((1, channels, 4, 6)).astype(np.float32)
    (before,) = run(model, ["y"], x=x)
    enter_blocks(model)
    assert [node.op_type for node in model.graph.node].count("MaxPool") == pooled
    assert np.allclose(run(model, ["y"], x=x)[0], before, atol=1e-6)
