"""The weights that a new training starts from: of a checkpoint, or of an exported model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from lumen.errors import ModelError
from lumen.extras import TORCH_FAULTS
from lumen.files.paths import type_of
from lumen.models.tone_mirnet import UnshufflingConv2d
from lumen.runtime.model_files import find_model
from lumen.spec import ModelSpec
from lumen.train.checkpoint import chosen_checkpoint, load_checkpoint
from lumen.train.data.load import Example, name_some
from lumen.train.recipe.sections import NetworkConfig

log = logging.getLogger(__name__)

MOST_BYTES = 2 << 30  # of the format, which lumen keeps in one file
PREFIX = "network."  # of the initialisers in exported files; then follow the names of the state dict


@dataclass(frozen=True, kw_only=True)
class Start:
    """Trained weights, and what is known of their training.

    Attributes:
        name: For messages.
        network: Architecture and hyperparameters.
        weights: State dict.
        held_out_joined: Whether the pictures that were held out joined the training at its end.
        data: The run's split, as `Split.facts` gives it; empty if not known.
    """

    name: str
    network: NetworkConfig
    weights: Mapping[str, Tensor]
    held_out_joined: bool
    data: Mapping[str, Any]

    def trained_on(self, pairs: Sequence[Example]) -> list[str]:
        """Return the names of those pairs whose names the training had, those held out only if they joined it."""
        keys = ("trained_pairs", "val_pairs") if self.held_out_joined else ("trained_pairs",)
        known = [names for key in keys if isinstance(names := self.data.get(key), list | tuple)]
        seen = {name for names in known for name in names if isinstance(name, str)}
        return [pair.name for pair in pairs if pair.name in seen]

    def filled(self, network: nn.Module) -> dict[str, Tensor]:
        """Return the weights, with the network's own for parts that the file lacks; a warning names these."""
        weights = dict(self.weights)
        for name, module in network.named_modules():
            kernel = weights.get(f"{name}.weight")
            if isinstance(module, UnshufflingConv2d) and kernel is not None and kernel.shape[2:] == (6, 6):
                weights[f"{name}.weight"] = module.weight_of(kernel)
        fresh = {name: value for name, value in network.state_dict().items() if name not in weights}
        parts = sorted({name.partition(".")[0] for name in fresh})
        if fresh and len(fresh) < len(network.state_dict()):
            log.warning("%s lacks %s: trained from the start", self.name, name_some(parts))
            return {**weights, **fresh}
        return weights


def read_start(source: str) -> Start:
    """Read a checkpoint, that of a run by its folder, an exported model, or a bundled model by its name.

    Raises:
        ModelError: There is no such file or model, or it is damaged.
    """
    path = Path(source)
    if path.suffix == ".onnx" or not (path.suffix or type_of(path)):
        return _read_onnx(find_model(source, "uint8"))
    checkpoint = load_checkpoint(chosen_checkpoint(path))
    return Start(
        name=source,
        network=NetworkConfig(**checkpoint.recipe["network"]),
        weights=checkpoint.ema,
        held_out_joined=bool(checkpoint.facts.get("held_out_joined")),
        data=checkpoint.facts.get("data", {}),
    )


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and those of its branches."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _kernels(graphs: Sequence[onnx.GraphProto]) -> dict[str, str]:
    """Return the names that kernels of convolutions had before the export computed them from weights, by theirs."""
    nodes = chain.from_iterable(graph.node for graph in graphs)
    convolutions = [node.input for node in nodes if node.op_type == "Conv" and len(node.input) == 3]
    return {
        kernel: bias.removesuffix("bias") + "weight"
        for _, kernel, bias in convolutions
        if bias.endswith(".bias") and not kernel.startswith(PREFIX)
    }


def _read_onnx(path: Path) -> Start:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is too large")
        model = onnx.load(path, load_external_data=False)
        graphs = list(_graphs(model.graph))
        tensors = [tensor for graph in graphs for tensor in graph.initializer]
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors):
            raise ValueError("its weights are in another file")
        kernels = _kernels(graphs)
        spec = ModelSpec.from_metadata({entry.key: entry.value for entry in model.metadata_props})
        weights = {
            name.removeprefix(PREFIX): torch.from_numpy(np.array(onnx.numpy_helper.to_array(tensor)))
            for tensor in tensors
            if (name := kernels.get(tensor.name, tensor.name)).startswith(PREFIX)
        }
    except (DecodeError, *TORCH_FAULTS) as error:
        raise ModelError(f"{path} cannot be read as an ONNX model ({type(error).__name__})") from error
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise ModelError(f"{path} holds weights that are NaN or infinite")
    facts = spec.training
    data = facts.get("data")
    return Start(
        name=str(path),
        network=NetworkConfig(architecture=spec.architecture, hyperparameters=spec.hyperparameters),
        weights=weights,
        held_out_joined=bool(facts.get("held_out_joined", True)),  # older files do not say, and bundled ones had
        data=data if isinstance(data, Mapping) else {},
    )
