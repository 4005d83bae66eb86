"""Graphs in which OpenVINO keeps NaN.

By IEEE 754 and in ONNX Runtime a NaN stays one until the end, where the output `finite` tells of it. On x86 OpenVINO
computes some operators by instructions that return the other operand, or their limit, for NaN. The numbers are wrong
then, and nothing shows it. These operators are replaced by others that give the same numbers and keep NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SLOPE = (
    1e-30  # of numbers below zero, in place of 0: fused into convolutions as well, and multiplies instead of choosing
)


def keep_nan(model: Any) -> None:
    """Replace the operators of an `openvino.Model` that lose NaN, in place."""
    for graph in graphs_of(model):
        for node in graph.get_ordered_ops():
            make = _MADE.get(node.get_type_name())
            if make is not None:
                _replace(node, make)


def graphs_of(model: Any) -> Iterator[Any]:
    """Yield an `openvino.Model`, and the branches of every `If` in it."""
    yield model
    for node in model.get_ops():
        if node.get_type_name() == "If":
            yield from graphs_of(node.get_then_body())
            yield from graphs_of(node.get_else_body())


def _replace(node: Any, make: Callable[[Any], Any]) -> None:
    """Have everything that reads a node read what is made of it, under the same name."""
    old = node.output(0)
    readers, names = old.get_target_inputs(), old.get_names()
    new = make(node).output(0)
    for reader in readers:
        reader.replace_source_output(new)
    old.set_names(set())
    new.set_names(names)


def _leaky(node: Any) -> Any:
    from openvino import opset13 as ops

    return ops.prelu(node.input_value(0), ops.constant(np.array([SLOPE], np.float32)))


def _chosen(node: Any) -> Any:
    """Return a node that gives the result, or the operand that is NaN."""
    from openvino import opset13 as ops

    result = node
    for value in (each.get_source_output() for each in node.inputs()):
        if value.get_node().get_type_name() != "Constant" and value.element_type.is_real():
            result = ops.select(ops.not_equal(value, value), value, result)
    return result


def _mean_if_nan(node: Any) -> Any:
    from openvino import opset13 as ops

    value, axes = (each.get_source_output() for each in node.inputs())
    if not value.element_type.is_real():
        return node
    mean = ops.reduce_mean(value, axes, node.get_keep_dims())
    return ops.select(ops.not_equal(mean, mean), mean, node)


_MADE: dict[str, Callable[[Any], Any]] = {
    "Relu": _leaky,
    "Minimum": _chosen,
    "Maximum": _chosen,
    "Clamp": _chosen,
    "Exp": _chosen,
    "ReduceMax": _mean_if_nan,
    "ReduceMin": _mean_if_nan,
}
