"""Checkpoints: written completely or not at all, and read without running code from the file."""

from __future__ import annotations

import io
import json
import logging
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lumen.errors import ModelError, UsageError
from lumen.extras import TORCH_FAULTS
from lumen.files.atomic import write_atomically
from lumen.files.paths import is_folder, is_plain_file, type_of
from lumen.models import Network, build_network

log = logging.getLogger(__name__)

FORMAT = 1
# Types of the fields of a file.
_TYPES: dict[str, tuple[type, ...]] = {
    "iteration": (int,),
    "recipe": (Mapping,),
    "weights": (Mapping,),
    "ema": (Mapping,),
    "optimizer": (Mapping, type(None)),
    "best": (float, int),
    "facts": (Mapping,),
    "state": (Mapping,),
}


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
        """Build the network with the averaged weights, on the CPU, in evaluation mode.

        Raises:
            ModelError: The weights are not those of the network in the recipe.
        """
        config = self.recipe["network"]
        try:
            check_weights(self.ema, config["architecture"], config["hyperparameters"])
            network = build_network(config["architecture"], **config["hyperparameters"])
            network.load_state_dict(dict(self.ema))
        except (UsageError, *TORCH_FAULTS) as error:
            said = str(error).strip().partition("\n")[0]
            raise ModelError(f"the checkpoint does not hold the network of its recipe: {said}") from error
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
    values = read_tensors(path)
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ModelError(f"expected a checkpoint made by `lumen train`, got another file: {path}")
    try:
        checkpoint = Checkpoint(**values)
        _check(checkpoint)
    except TORCH_FAULTS as error:
        raise ModelError(f"checkpoint {path} is damaged or not one of lumen's ({_shortly(error)})") from error
    return checkpoint


def chosen_checkpoint(path: Path) -> Path:
    """Return a checkpoint's path as it is, and for the folder of a run its best one, or else its last one.

    Raises:
        ModelError: The folder holds neither.
    """
    if not is_folder(path):
        return path
    for name in ("best.pt", "last.pt"):
        if is_plain_file(path / name):
            if name != "best.pt":
                log.warning("%s has no best.pt before its first validation: last.pt is taken", path)
            return path / name
    raise ModelError(f"expected a checkpoint or the folder of a run, got a folder without best.pt and last.pt: {path}")


def read_tensors(path: Path) -> Any:
    """Read what `torch.save` wrote: tensors and plain values only, and no more of them than the file is long.

    Raises:
        ModelError: There is no such file, or it is damaged or of another kind.
    """
    if not type_of(path):
        raise ModelError(f"expected a checkpoint at {path}, found none")
    if not is_plain_file(path):  # opening a pipe would wait for a writer
        raise ModelError(f"expected a checkpoint, got something that is no file: {path}")
    try:
        if zipfile.is_zipfile(path):
            _check_sizes(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
        for tensor in _tensors(values):
            if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
                raise ValueError("a tensor larger than its data")
    except TORCH_FAULTS as error:
        raise ModelError(f"checkpoint {path} is damaged or not one of lumen's ({_shortly(error)})") from error
    return values


def check_weights(weights: Mapping[str, Tensor], architecture: str, hyperparameters: Mapping[str, Any]) -> None:
    """Check that weights are those of a network, without the memory that it would take.

    Hyper-parameters from elsewhere may ask for more layers or larger ones than any machine holds.

    Raises:
        UsageError: There is no such network.
        ValueError: It has other weights, or more parts than there are weights.
    """
    parts = 0

    def count(*_: object) -> None:
        nonlocal parts
        parts += 1
        if parts > 10 * len(weights) + 1000:
            raise ValueError("it has more layers than there are weights")

    hook = torch.nn.modules.module.register_module_module_registration_hook(count)
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            expected = build_network(architecture, **hyperparameters).state_dict()
    finally:
        hook.remove()
    if expected.keys() != weights.keys():
        raise ValueError("it has other weights")
    for name, value in expected.items():
        if value.shape != weights[name].shape:
            raise ValueError(f"expected {name} as {list(value.shape)}, got {list(weights[name].shape)}"[:200])


def _check_sizes(path: Path) -> None:
    """Refuse a file that unpacks to more than it holds; torch compresses nothing."""
    with zipfile.ZipFile(path) as file:
        if sum(entry.file_size for entry in file.infolist()) > path.stat().st_size:
            raise ValueError("it unpacks to more than it holds")


def _check(checkpoint: Checkpoint) -> None:
    """Raise one of `TORCH_FAULTS` where a value is not of its type, or is no number."""
    for name, types in _TYPES.items():
        value = getattr(checkpoint, name)
        if not isinstance(value, types) or isinstance(value, bool):
            raise TypeError(f"{name} is {type(value).__name__}")
    if checkpoint.iteration < 0 or math.isnan(checkpoint.best):
        raise ValueError("iteration or best is out of range")
    _check_facts(checkpoint)
    found: list[Mapping[Any, Any]] = [checkpoint.weights, checkpoint.ema]
    for weights in found:
        for name, value in weights.items():
            if not isinstance(name, str) or not isinstance(value, Tensor):
                raise TypeError(f"the weights hold {type(value).__name__}")
    for tensor in _tensors([checkpoint.weights, checkpoint.ema, checkpoint.optimizer]):
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError("weights that are NaN or infinite")


def _check_facts(checkpoint: Checkpoint) -> None:
    """Do the same for what the network is built from and what is exported with it."""
    recipe, facts = checkpoint.recipe, checkpoint.facts
    network = recipe["network"]
    for value, kind in (
        (recipe["name"], str),
        (recipe["seed"], int),
        (network["architecture"], str),
        (network["hyperparameters"], Mapping),
        (facts.get("validation", {}), Mapping),
        (facts.get("data", {}), Mapping),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"the recipe or the facts hold {type(value).__name__}")
    if not all(isinstance(name, str) for name in network["hyperparameters"]):
        raise TypeError("the network's hyperparameters")
    json.dumps([dict(recipe), dict(facts)])


def _tensors(values: Any) -> Iterator[Tensor]:
    """Yield all tensors in nested values."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _tensors(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


def _shortly(error: Exception) -> str:
    """Return the kind of an error, and what it says if lumen says it."""
    said = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {said}" if len(said) < 80 else type(error).__name__
