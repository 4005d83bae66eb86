"""The weights that a new training starts from: of a checkpoint, or of an exported model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from lumen.runtime.model_files import find_model
from lumen.spec import ModelSpec
from lumen.train.checkpoint import chosen_checkpoint, load_checkpoint
from lumen.train.data.load import Example, name_some

log = logging.getLogger(__name__)

MOST_BYTES = 2 << 30  # of the format, which lumen keeps in one file
PREFIX = "network."  # of the initialisers in exported files; then follow the names of the state dict


@dataclass(frozen=True, kw_only=True)
class Start:
    """Trained weights, and what is known of their training.

    Attributes:
        name: For messages.
        weights: State dict.
        held_out_joined: Whether the pictures that were held out joined the training at its end.
        data: The run's split, as `Split.facts` gives it; empty if not known.
    """

    name: str
    weights: Mapping[str, Tensor]
    held_out_joined: bool
    data: Mapping[str, Any]

    def trained_on(self, pairs: Sequence[Example]) -> list[str]:
        """Return the names of those pairs that had been held out, and then joined the training."""
        names = self.data.get("val_pairs", ()) if self.held_out_joined else ()
        seen = set(filter(lambda name: isinstance(name, str), names if isinstance(names, list | tuple) else ()))
        return [pair.name for pair in pairs if pair.name in seen]

    def filled(self, network: nn.Module) -> dict[str, Tensor]:
        """Return the weights, with the network's own for parts that the file lacks; a warning names these."""
        fresh = {name: value for name, value in network.state_dict().items() if name not in self.weights}
        parts = sorted({name.partition(".")[0] for name in fresh})
        if fresh and len(fresh) < len(network.state_dict()):
            log.warning("%s lacks %s: trained from the start", self.name, name_some(parts))
            return {**self.weights, **fresh}
        return dict(self.weights)


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
        weights=checkpoint.ema,
        held_out_joined=bool(checkpoint.facts.get("held_out_joined")),
        data=checkpoint.facts.get("data", {}),
    )


def _read_onnx(path: Path) -> Start:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is too large")
        model = onnx.load(path, load_external_data=False)
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
            raise ValueError("its weights are in another file")
        facts = ModelSpec.from_metadata({entry.key: entry.value for entry in model.metadata_props}).training
        weights = {
            tensor.name.removeprefix(PREFIX): torch.from_numpy(np.array(onnx.numpy_helper.to_array(tensor)))
            for tensor in model.graph.initializer
            if tensor.name.startswith(PREFIX)
        }
    except (DecodeError, *TORCH_FAULTS) as error:
        raise ModelError(f"{path} cannot be read as an ONNX model ({type(error).__name__})") from error
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise ModelError(f"{path} holds weights that are NaN or infinite")
    data = facts.get("data")
    return Start(
        name=str(path),
        weights=weights,
        held_out_joined=bool(facts.get("held_out_joined", True)),  # older files do not say, and bundled ones had
        data=data if isinstance(data, Mapping) else {},
    )
