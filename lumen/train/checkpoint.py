"""Checkpoints: written completely or not at all, and read without running code from the file."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lumen.errors import ModelError
from lumen.files.atomic import write_atomically
from lumen.models import Network, build_network

FORMAT = 1
# What torch.load was seen to raise on files of other kinds.
READ_FAULTS = (
    OSError,
    EOFError,
    pickle.UnpicklingError,
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A training at some iteration, as it is stored.

    Attributes:
        iteration: Steps done.
        recipe: The effective recipe, as `Recipe.to_dict` gives it.
        weights: State dict of the network.
        ema: State dict of the averaged network, which is validated and exported.
        optimizer: State dict of the optimiser; None in `best`.
        best: Best validation score so far.
        facts: About the run: validation scores, data, split, versions.
        state: What else resuming needs: rate on plateaus, scale of the loss. Empty in `best`, and in older files.
    """

    iteration: int
    recipe: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    ema: Mapping[str, Tensor]
    optimizer: Mapping[str, Any] | None
    best: float
    facts: Mapping[str, Any]
    state: Mapping[str, Any] = field(default_factory=dict)

    def network(self) -> Network:
        """Build the network with the averaged weights, on the CPU, in evaluation mode."""
        config = self.recipe["network"]
        network = build_network(config["architecture"], **config["hyperparameters"])
        network.load_state_dict(dict(self.ema))
        return network.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint atomically; raises what `write_atomically` raises."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **vars(checkpoint)}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint: tensors and plain values only, nothing else is unpickled.

    Raises:
        ModelError: The file is missing, damaged, or not a checkpoint of lumen.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ModelError(f"expected a checkpoint made by `lumen train`, got another file: {path}")
        return Checkpoint(**values)
    except FileNotFoundError as error:
        raise ModelError(f"expected a checkpoint at {path}, found none") from error
    except READ_FAULTS as error:
        raise ModelError(f"checkpoint {path} is damaged or not one of lumen's ({type(error).__name__})") from error
