"""What a graph costs: weights, their digest, and multiply-accumulates."""

from __future__ import annotations

import hashlib
import math

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper, shape_inference

from lumen_export.foreign.reading import FAULTS, ForeignNetwork, tensors_of

_KINDS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)

Shape = tuple[int, ...]


def count_weights(model: ModelProto) -> int:
    """Return the number of floats among the weights and constants of a model."""
    return sum(math.prod(each.dims) for each in tensors_of(model) if each.data_type in _KINDS)


def digest_of_weights(model: ModelProto) -> str:
    """Return the SHA-256, in hex, of all weights and constants of a model, in their order."""
    digest = hashlib.sha256()
    for tensor in tensors_of(model):
        digest.update(f"{tensor.name} {tensor.data_type} {list(tensor.dims)}".encode())
        digest.update(numpy_helper.to_array(tensor).tobytes())
    return digest.hexdigest()


def count_macs_of(network: ForeignNetwork, side: int) -> float:
    """Return the multiply-accumulates, in billions, of convolutions and matrix products for side x side pixels.

    Operators whose shapes onnx cannot tell are left out.
    """
    model = ModelProto()
    model.CopyFrom(network.model)
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    sizes = [1, side, side, 3] if network.channels_last else [1, 3, side, side]
    for value in model.graph.input:
        if value.name not in weights:
            kind = value.type.tensor_type.elem_type
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, sizes))
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        graph = shape_inference.infer_shapes(model, data_prop=True).graph
    except FAULTS:
        return 0.0
    shapes = _shapes(graph) | weights
    return sum(_macs(node, shapes) for node in graph.node) / 1e9


def _shapes(graph: GraphProto) -> dict[str, Shape]:
    """Return the shapes that are known as numbers."""
    found = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    return found


def _macs(node: NodeProto, shapes: dict[str, Shape]) -> int:
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return 0
    first, second, result = (shapes.get(name, ()) for name in (*node.input[:2], node.output[0]))
    if not (first and second and result):
        return 0
    if node.op_type == "Conv":
        return math.prod(result) * math.prod(second[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(second[1:])
    inner = first[-1] if node.op_type == "MatMul" else math.prod(first) // result[0]
    return math.prod(result) * inner
