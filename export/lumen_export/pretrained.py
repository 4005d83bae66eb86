"""Reads the weights of public releases: a state dict with their names becomes one with lumen's names.

Only the release by MIRNet's authors is known. Its hyper-parameters follow from the names and shapes. Shared weights are
stored several times in such a file, and all copies must be equal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lumen.errors import ModelError, UsageError
from lumen.files.paths import type_of
from lumen.models import Network, build_network
from lumen.train.checkpoint import read_tensors

CONTAINER = "state_dict"  # key of the weights in a release, beside the epoch and the optimiser
PARALLEL = "module."  # prefix that DataParallel adds to every name
SHOWN = 3  # names shown in a message

STEP = {  # names within one step down or up, in which the last convolution stands at another place
    "conv1.weight": "top.0.weight",
    "slope1.weight": "top.1.weight",
    "conv2.weight": "top.2.weight",
    "slope2.weight": "top.3.weight",
    "skip.weight": "bot.1.weight",
}
STEPS = {"down": STEP | {"conv3.weight": "top.5.weight"}, "up": STEP | {"conv3.weight": "top.4.weight"}}
FILTERS = ("top.4.filt", "bot.0.filt")  # the fixed blur, which lumen does not store
UNIT = {
    "conv1.weight": "body.0.weight",
    "conv2.weight": "body.2.weight",
    "spatial.weight": "SA.spatial.conv.weight",
    "channel.squeeze.weight": "CA.conv_du.0.weight",
    "channel.excite.weight": "CA.conv_du.2.weight",
    "merge.weight": "conv1x1.weight",
}
FUSION = {"squeeze.weight": "conv_du.0.weight", "slope.weight": "conv_du.1.weight"}


# For each of lumen's names, those of the release, all with equal values.
Names = dict[str, tuple[str, ...]]


def read_release(path: Path, architecture: str) -> Network:
    """Build a network with the weights of a public release, on the CPU, in evaluation mode.

    The file, by `torch.save`, holds the state dict, or a mapping with it under `state_dict`. Tensors and plain values
    only; nothing else is unpickled.

    Raises:
        UsageError: No release of that architecture is known.
        ModelError: The file is missing or damaged, or its names or shapes are not those of the architecture.
    """
    if architecture != "mirnet":
        raise UsageError(
            f"expected --architecture out of mirnet, got {architecture!r}; a checkpoint of `lumen train` needs no "
            "--architecture"
        )
    weights = read_weights(path)
    try:
        hyperparameters = mirnet_hyperparameters(weights)
        network = build_network(architecture, **hyperparameters)
    except (LookupError, UsageError) as error:
        raise ModelError(f"{path} does not contain weights of {architecture} as released ({error})") from error
    network.load_state_dict(translated(weights, network, *mirnet_names(**hyperparameters), path))
    return network.eval()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file, without the prefix of DataParallel.

    Raises:
        ModelError: The file is missing, damaged, or contains something else.
    """
    if not type_of(path):
        raise ModelError(f"expected weights at {path}, found none")
    try:
        found: Any = read_tensors(path)
    except ModelError as error:
        raise ModelError(
            f"{path} is damaged, or contains more than weights and plain values, which is not loaded "
            f"({type(error.__cause__ or error).__name__})"
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get(CONTAINER), Mapping):
        found = found[CONTAINER]
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise ModelError(f"expected a state dict in {path}, or one under {CONTAINER!r}; found neither")
    parallel = all(str(name).startswith(PARALLEL) for name in found)
    return {str(name).removeprefix(PARALLEL) if parallel else str(name): value for name, value in found.items()}


def translated(
    weights: Mapping[str, Tensor], network: Network, names: Names, filters: list[str], path: Path
) -> dict[str, Tensor]:
    """Return a state dict for `network`, after checking every name and shape, and the fixed filters.

    Raises:
        ModelError: A name is missing or unknown, a shape or filter differs, or copies of shared weights differ.
    """
    wanted = network.state_dict()
    expected = {theirs: wanted[own].shape for own, several in names.items() for theirs in several}
    missing = sorted((expected.keys() | set(filters)) - weights.keys())
    extra = sorted(weights.keys() - expected.keys() - set(filters))
    wrong = [
        f"{name} is {list(weights[name].shape)} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in weights and weights[name].shape != shape
    ]
    for what, found in (("lacks", missing), ("has unknown names:", extra), ("has other shapes:", wrong)):
        if found:
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise ModelError(f"{path} {what} {', '.join(found[:SHOWN])}{more}")
    row = torch.tensor([1.0, 2.0, 1.0]) / 4
    for name in filters:
        kernel = weights[name]
        if kernel.shape[1:] != (1, 3, 3) or not torch.allclose(kernel.float(), torch.outer(row, row), atol=1e-4):
            raise ModelError(f"{path}: expected the filter [1 2 1] in {name}, got different values")
    for several in names.values():
        for other in several[1:]:
            if not torch.equal(weights[several[0]], weights[other]):
                raise ModelError(f"{path}: {several[0]} and {other} differ, but the network shares them")
    return {own: weights[several[0]].to(wanted[own].dtype) for own, several in names.items()}


def mirnet_hyperparameters(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the hyper-parameters of `mirnet` that a release's names and shapes imply.

    Raises:
        LookupError: The names are not those of a MIRNet.
    """
    if "conv_in.weight" not in weights:
        raise LookupError("it lacks conv_in.weight")
    blocks = [found for name in weights if (found := re.match(r"body\.(\d+)\.body\.(\d+)\.blocks\.(\d+)\.", name))]
    if not blocks:
        raise LookupError("it lacks body.0.body.0.blocks.0")
    groups, in_each, streams = (1 + max(int(found[part]) for found in blocks) for part in (1, 2, 3))
    return {"groups": groups, "blocks": in_each, "streams": streams, "width": len(weights["conv_in.weight"])}


def mirnet_names(*, groups: int, blocks: int, streams: int, width: int) -> tuple[Names, list[str]]:
    """Return the names of a MIRNet with these hyper-parameters, and those of its fixed filters."""
    theirs: Names = {name: (name,) for name in ("conv_in.weight", "conv_out.weight")}
    filters: list[str] = []
    slopes = []
    for group, block in product(range(groups), range(blocks)):
        own, other = f"groups.{group}.blocks.{block}.", f"body.{group}.body.{block}."
        inside, blurs = _block_names(streams, width)
        theirs |= {own + name: tuple(other + each for each in several) for name, several in inside.items()}
        filters += [other + name for name in blurs]
        slopes += [f"{other}blocks.{stream}.{turn}.body.1.weight" for stream, turn in product(range(streams), range(2))]
    for group in range(groups):
        theirs[f"groups.{group}.conv.weight"] = (f"body.{group}.body.{blocks}.weight",)
    theirs["slope.weight"] = tuple(slopes)
    return theirs, filters


def _block_names(streams: int, width: int) -> tuple[Names, list[str]]:
    """Return the names within one multi-scale block, and those of its fixed filters."""
    theirs: Names = {"conv_out.weight": ("conv_out.weight",)}
    filters: list[str] = []
    for i in range(streams):
        for own, other in UNIT.items():
            theirs[f"daus.{i}.{own}"] = tuple(f"blocks.{i}.{turn}.{other}" for turn in range(2))
        for own, other in FUSION.items():
            theirs[f"skffs.{i}.{own}"] = (f"selective_kernel.{i}.{other}",)
        for k in range(streams):
            theirs[f"skffs.{i}.expand.{k}.weight"] = (f"selective_kernel.{i}.fcs.{k}.weight",)
    for i, j in product(range(streams), repeat=2):
        kind = "down" if i < j else "up"
        ways = {f"resizers.{i}to{j}": f"{kind}.{width << i}_{1 << abs(i - j)}"} if i != j else {}
        if i > j == 0:
            ways[f"ascend.{i - 1}"] = f"last_up.{i}"
        for (own, other), step in product(ways.items(), range(abs(i - j))):
            for mine, yours in STEPS[kind].items():
                theirs[f"{own}.steps.{step}.{mine}"] = (f"{other}.body.{step}.{yours}",)
            if kind == "down":
                filters += [f"{other}.body.{step}.{name}" for name in FILTERS]
    return theirs, filters
