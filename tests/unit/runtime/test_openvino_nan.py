"""Operators by which OpenVINO would lose a NaN."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from lumen.runtime.openvino_engine import load_core
from lumen.runtime.openvino_nan import keep_nan

pytestmark = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")

Make = Callable[[Any, Any], Any]

LEVELS = np.linspace(-2, 3, 96, dtype=np.float32).reshape(1, 4, 4, 6)

MAKE: dict[str, Make] = {
    "relu": lambda ops, x: ops.relu(x),
    "relu of a convolution": lambda ops, x: ops.relu(
        ops.convolution(x, np.ones((4, 4, 3, 3), np.float32), [1, 1], [1, 1], [1, 1], [1, 1])
    ),
    "minimum": lambda ops, x: ops.minimum(x, ops.constant(np.float32(1))),
    "maximum": lambda ops, x: ops.maximum(ops.constant(np.float32(0)), x),
    "both": lambda ops, x: ops.minimum(ops.maximum(x, ops.constant(np.float32(0))), ops.constant(np.float32(1))),
    "of two": lambda ops, x: ops.minimum(ops.multiply(x, ops.constant(np.float32(2))), x),
    "clamp": lambda ops, x: ops.clamp(x, 0, 1),
    "exp": lambda ops, x: ops.exp(x),
    "largest": lambda ops, x: ops.reduce_max(x, np.array([2, 3]), True),
    "smallest": lambda ops, x: ops.reduce_min(x, np.array([1, 2, 3]), False),
}


def run(make: Make, values: Any, precision: str, *, kept: bool) -> Any:
    import openvino
    from openvino import opset13 as ops

    given = ops.parameter(list(values.shape), np.float32)
    last = make(ops, given)
    last.output(0).set_names({"result"})
    model = openvino.Model([last], [given], "model")
    if kept:
        keep_nan(model)
        assert model.output("result").any_name == "result"
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1}
    return load_core().compile_model(model, "CPU", settings)(values)["result"]


@pytest.mark.parametrize("operator", ["Relu", "Exp"])
def test_nan_is_kept_in_branches(operator: str) -> None:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    branches = [
        helper.make_graph([helper.make_node(each, ["x"], [name])], name, [], [value(name, TensorProto.FLOAT, ["n"])])
        for name, each in (("then", operator), ("else", "Neg"))
    ]
    graph = helper.make_graph(
        [helper.make_node("If", ["asked"], ["y"], then_branch=branches[0], else_branch=branches[1])],
        "graph",
        [value("asked", TensorProto.BOOL, []), value("x", TensorProto.FLOAT, ["n"])],
        [value("y", TensorProto.FLOAT, ["n"])],
    )
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    feeds = {"asked": np.array(True), "x": np.array([np.nan, -1, 2] * 16, np.float32)}
    lost, kept = load_core().read_model(data), load_core().read_model(data)
    keep_nan(kept)
    before, after = (load_core().compile_model(each, "CPU")(feeds)["y"] for each in (lost, kept))
    assert np.isnan(after[::3]).all() and np.array_equal(after[2::3], before[2::3])
    assert not np.isnan(before).all()


@pytest.mark.parametrize("name", MAKE)
def test_nan_is_kept_and_numbers_stay(name: str) -> None:
    for precision in ("f32", "bf16"):
        before, after = (run(MAKE[name], LEVELS, precision, kept=kept) for kept in (False, True))
        assert np.array_equal(before, np.where(np.abs(after) < 1e-20, 0, after))
        one = LEVELS.copy()
        one[0, 1, 2, 3] = np.nan
        assert np.isnan(run(MAKE[name], one, precision, kept=True)).any()
