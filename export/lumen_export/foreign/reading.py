"""Reads an ONNX file of anybody, with its data beside it, and refuses what is no network from picture to picture.

The file is data: nothing in it is run here, and only files beside it are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    checker,
    helper,
    inliner,
    shape_inference,
    version_converter,
)
from onnx.external_data_helper import uses_external_data

from lumen.errors import ModelError
from lumen.files.paths import is_plain_file
from lumen.spec import PREFIX

LEAST_OPSET = 18  # from it on `ReduceMean` takes its axes as an input, as in the graph around the network
MOST_BYTES = (1 << 31) - (1 << 24)  # of a file of protobuf, with room for what is added
MOST_NODES = 1_000_000
FLOATS = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}
# What onnx was seen to raise for files of other kinds.
FAULTS = (
    checker.ValidationError,
    shape_inference.InferenceError,
    version_converter.ConvertError,
    DecodeError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    RecursionError,
    MemoryError,
)


@dataclass(frozen=True, kw_only=True)
class ForeignNetwork:
    """A graph with one picture in and one out, as the file says; what it does not say is None.

    Attributes:
        original: The file with its data.
        model: The same in opset 18 or newer, without functions.
        half_in: Whether the input is float16.
        half_out: Whether the output is float16.
        channels_last: Whether it is [N, H, W, 3] instead of [N, 3, H, W].
        one_by_one: Whether it takes a single picture at a time.
    """

    original: ModelProto
    model: ModelProto
    half_in: bool
    half_out: bool
    channels_last: bool | None
    one_by_one: bool | None


def read_foreign(path: Path) -> ForeignNetwork:
    """Read a network.

    Raises:
        ModelError: The file is missing, damaged, or not a network from one picture to one picture.
    """
    if not is_plain_file(path):
        raise ModelError(f"expected an ONNX file, got {path}, which is no file")
    if path.stat().st_size > MOST_BYTES:
        raise ModelError(f"expected an ONNX file of at most 2 GB, got {path.stat().st_size / 1e9:.1f} GB in {path}")
    try:
        original = onnx.load_model_from_string(path.read_bytes())
        if any(entry.key == f"{PREFIX}contract" for entry in original.metadata_props):
            raise ModelError(f"{path} is a model of lumen already; use it as it is, with --model {path}")
        _load_data(original, path)
        checker.check_model(original)
        picture, result = _ends(original.graph)
        model = _plain(original)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except FAULTS as error:
        raise ModelError(f"expected an ONNX model in {path}: {_line(error)}") from error
    shapes = [_shape(each) for each in (picture, result)]
    return ForeignNetwork(
        original=original,
        model=model,
        half_in=picture.type.tensor_type.elem_type == TensorProto.FLOAT16,
        half_out=result.type.tensor_type.elem_type == TensorProto.FLOAT16,
        channels_last=_is_channels_last(picture.name, shapes[0]),
        one_by_one=True if any(shape and shape[0] == 1 for shape in shapes) else None,
    )


def ends_of(graph: GraphProto) -> tuple[str, str]:
    """Return the names of the picture and of the result."""
    picture, result = _ends(graph)
    return picture.name, result.name


def _ends(graph: GraphProto) -> tuple[ValueInfoProto, ValueInfoProto]:
    """Return the input and the output; old files name the weights among the inputs."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in weights]
    for kind, found in (("input", inputs), ("output", graph.output)):
        if len(found) != 1:
            names = ", ".join(each.name for each in found)[:200] or "none"
            raise ModelError(
                f"expected a network with one {kind}, a picture, got {len(found)} ({names}); "
                "export it again with the picture alone"
            )
        dtype = found[0].type.tensor_type.elem_type
        if dtype not in FLOATS:
            name = TensorProto.DataType.Name(dtype).lower() if dtype else "something that is no tensor"
            raise ModelError(
                f"expected the {kind} {found[0].name!r} as float32 or float16 in [0, 1], got {name}; "
                "export the network without the conversion of its levels"
            )
    if graph.output[0].name not in {name for node in graph.node for name in node.output}:
        raise ModelError("expected a network that computes its output, got one without any operator for it")
    return inputs[0], graph.output[0]


def _shape(value: ValueInfoProto) -> list[int | None]:
    """Return the sizes that a value declares, None for each that is free."""
    return [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]


def _is_channels_last(name: str, shape: list[int | None]) -> bool | None:
    """Return the layout, or None if the sizes do not tell it; refuse sizes that are none of a picture."""
    said = f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
    if len(shape) != 4:
        raise ModelError(f"expected the input {name!r} as [N, 3, H, W] or [N, H, W, 3], got {said}")
    if shape[0] not in (None, 1):
        raise ModelError(f"expected a network for one picture at a time or for any number, got {shape[0]} in {said}")
    if 3 not in (shape[1], shape[3]):
        if shape[1] is None and shape[3] is None:
            return None
        raise ModelError(f"expected the input {name!r} with 3 channels, got {said}")
    last = shape[1] != 3
    sides = shape[1:3] if last else shape[2:]
    if any(side is not None for side in sides):
        raise ModelError(
            f"expected a network for pictures of any size, got {said}; export it again with free height and width "
            "(`dynamic_axes` or `dynamic_shapes` of torch.onnx.export)"
        )
    return last


def _load_data(model: ModelProto, path: Path) -> None:
    """Read what tensors keep in files of their own; only from plain files beside the model, and only so much."""
    room = MOST_BYTES - path.stat().st_size
    for tensor in tensors_of(model):
        if not uses_external_data(tensor):
            continue
        facts = {entry.key: entry.value for entry in tensor.external_data}
        name, wanted = facts.get("location", ""), math.prod(tensor.dims) * _bytes_each(tensor)
        data = path.parent / name
        if PurePosixPath(name).name != name or "\\" in name or data.is_symlink() or not is_plain_file(data):
            raise ModelError(f"expected the data of {path.name} in a file beside it, got {name!r}, which is none")
        room -= wanted
        if wanted < 0 or room < 0:
            raise ModelError(f"expected weights of at most 2 GB together, got more in {path} and {name}")
        with data.open("rb") as stream:
            stream.seek(int(facts.get("offset", 0)))
            content = stream.read(wanted)
        if len(content) != wanted or int(facts.get("length", wanted)) != wanted:
            raise ModelError(f"expected {wanted} bytes for {tensor.name!r} in {data}, got other data; copy it again")
        tensor.raw_data = content
        del tensor.external_data[:]
        tensor.data_location = TensorProto.DEFAULT


def _bytes_each(tensor: TensorProto) -> int:
    return int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def tensors_of(message: Message) -> Iterator[TensorProto]:
    """Yield all tensors in a model: weights and constants, in its graph, inner graphs and functions."""
    if isinstance(message, TensorProto):
        yield message
    elif isinstance(message, ModelProto):
        yield from tensors_of(message.graph)
        for function in message.functions:
            yield from tensors_of(function)
    elif isinstance(message, GraphProto):
        yield from message.initializer
        for part in (*message.sparse_initializer, *message.node):
            yield from tensors_of(part)
    elif isinstance(message, onnx.SparseTensorProto):
        yield from (message.values, message.indices)
    elif isinstance(message, FunctionProto):
        for node in message.node:
            yield from tensors_of(node)
    elif isinstance(message, NodeProto):
        for attribute in message.attribute:
            for part in _parts(attribute):
                yield from tensors_of(part)


def _parts(attribute: AttributeProto) -> list[Message]:
    alone = [getattr(attribute, name) for name in ("t", "g", "sparse_tensor") if attribute.HasField(name)]
    return [*alone, *attribute.tensors, *attribute.graphs, *attribute.sparse_tensors]


def _plain(original: ModelProto) -> ModelProto:
    """Return a model in opset 18 or newer, without functions and without what only describes it."""
    if original.graph.sparse_initializer:
        raise ModelError("expected dense weights, got sparse ones; export the network again with dense weights")
    model = ModelProto()
    model.CopyFrom(original)
    if model.functions:
        _check_functions(model)
        model = inliner.inline_local_functions(model)
    version = opset_of(model)
    if version < LEAST_OPSET:
        try:
            model = version_converter.convert_version(model, LEAST_OPSET)
        except FAULTS as error:
            raise ModelError(
                f"expected opset {LEAST_OPSET} or newer, or one that onnx can convert, got {version}: {_line(error)}; "
                f"export the network again with opset {LEAST_OPSET}"
            ) from error
    return model


def opset_of(model: ModelProto) -> int:
    """Return the version of ONNX's own operators in a model."""
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)


def _check_functions(model: ModelProto) -> None:
    """Refuse functions that call themselves, or that would grow beyond measure where they are put in place."""
    functions = {(each.domain, each.name): each for each in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    active: set[tuple[str, str]] = set()

    def size(key: tuple[str, str]) -> int:
        if key in active:
            raise ModelError(f"expected functions that end, got {key[1]!r}, which calls itself")
        if key not in sizes:
            active.add(key)
            sizes[key] = total(functions[key].node)
            active.remove(key)
        return sizes[key]

    def total(nodes: Iterable[NodeProto]) -> int:
        count = 0
        for node in _all_nodes(nodes):
            key = (node.domain, node.op_type)
            count += size(key) if key in functions else 1
        return count

    if total(model.graph.node) > MOST_NODES:
        raise ModelError(f"expected a graph of at most {MOST_NODES:,} operators, got more with its functions in place")


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _all_nodes(graph.node)


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
