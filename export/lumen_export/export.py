"""Exports a checkpoint to the ONNX files of a model; they get their names only after all checks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from lumen.errors import ModelError
from lumen.models import Network
from lumen.models.cost import count_macs, count_parameters
from lumen.spec import ModelSpec, Precision
from lumen.train.checkpoint import chosen_checkpoint, load_checkpoint
from lumen_export.bytes_per_px import bytes_per_pixel
from lumen_export.convert import of_16_bits, to_onnx
from lumen_export.exported import FULL_VARIANTS, HALF_VARIANT, Exported, check_out, variant_path, written_together
from lumen_export.halo import calibrate_halo
from lumen_export.pretrained import read_release
from lumen_export.tile_safety import tile_faults
from lumen_export.verify import TILES, compare

COST_SIDE_PX = 1024
HEAVY_GMACS_PER_MP = 500.0  # above this a tile takes a minute, so less is measured and compared
HEAVY_TILES = 6


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A network on the CPU, in evaluation mode, and what is known about its training, as JSON values."""

    network: Network
    architecture: str
    training: Mapping[str, Any]


def read_network(path: Path, architecture: str | None = None) -> TrainedNetwork:
    """Read a checkpoint of `lumen train`, or by its folder that of a run; or the public release of an architecture.

    Raises:
        UsageError: No release of that architecture is known.
        ModelError: The file is missing or damaged, or contains something else.
    """
    if architecture is not None:
        network = read_release(path, architecture)
        return TrainedNetwork(network=network, architecture=architecture, training={"released_as": path.name})
    checkpoint = load_checkpoint(chosen_checkpoint(path))
    recipe = checkpoint.recipe
    facts = {"recipe": recipe["name"], "iterations": checkpoint.iteration, "seed": recipe["seed"], **checkpoint.facts}
    return TrainedNetwork(
        network=checkpoint.network(), architecture=str(recipe["network"]["architecture"]), training=facts
    )


def weights_digest(network: Network) -> str:
    """Return the SHA-256, in hex, of all weights in name order as little-endian float32."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def spec_of(trained: TrainedNetwork, name: str, scores: Mapping[str, Any]) -> ModelSpec:
    """Measure and collect the facts of a model; memory is measured later, on the file."""
    side, network = COST_SIDE_PX, trained.network
    return ModelSpec(
        name=name,
        architecture=trained.architecture,
        hyperparameters=network.hyperparameters,
        sample="uint8",
        align=network.align,
        halo_px=calibrate_halo(network),
        edge_px=network.edge_px,
        contract=network.contract,
        tone_size=network.tone_size,
        thumbnail=network.thumbnail,
        thumbnail_px=network.thumbnail_px,
        bytes_per_px=1,
        gmacs_per_mp=round(count_macs(network, side, side) / side**2 / 1e3, 3),
        parameters=count_parameters(network),
        weights_sha256=weights_digest(network),
        training={**trained.training, "scores": dict(scores)},
    )


def export_checkpoint(
    checkpoint_path: Path,
    out: Path,
    *,
    name: str | None = None,
    scores: Mapping[str, Any] | None = None,
    check: bool = True,
    precision: Precision = "fp32",
    architecture: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write the 8-bit and 16-bit pair of model files, and half precision if requested.

    Args:
        checkpoint_path: A file or folder of `lumen train`, whose averaged weights are exported, or a public release.
        out: Path of the 8-bit file, ending in `.onnx`.
        name: Name stored in the files; the stem of `out` by default.
        scores: Measured scores stored in the files, JSON values.
        check: Whether to compare torch and onnxruntime first.
        precision: `fp16` adds an 8-bit file in half precision; the fp32 files serve where its range is too small.
        architecture: That of the public release; None for a file of `lumen train`.
        progress: Called with what is done next, for people.

    Raises:
        UsageError: `out` does not end in `.onnx`, or ends in `.fp16.onnx`, or a file would replace the checkpoint; no
            release of this architecture is known.
        ModelError: The checkpoint is damaged, tiles would show in the results, or torch and onnxruntime differ.
        OutputError: The files cannot be written.
    """
    variants = (*FULL_VARIANTS, HALF_VARIANT) if precision == "fp16" else FULL_VARIANTS
    check_out(checkpoint_path, out)
    trained = read_network(checkpoint_path, architecture)
    progress("measuring how far the network sees around each pixel")
    spec = spec_of(trained, name or out.stem, scores or {})
    count = HEAVY_TILES if _is_heavy(spec) else TILES
    agreements = []
    with written_together(out, variants) as folder:
        for sample, kind in variants:
            temporary = folder / variant_path(out, sample, kind).name
            progress(f"writing {temporary.name}")
            if kind == "fp16":
                network = deepcopy(trained.network)
                network.halve()
                model = to_onnx(network)
            elif sample == "uint8":
                full = model = to_onnx(trained.network)
            else:
                model = of_16_bits(full)
            spec = write_model(model, replace(spec, sample=sample, precision=kind), temporary)
            if check:
                progress(f"comparing {temporary.name} with torch")
                agreements.append(compare(trained.network, temporary, sample, count, precision=kind))
    files = tuple(variant_path(out, sample, kind) for sample, kind in variants)
    return Exported(files=files, spec=replace(spec, sample="uint8", precision="fp32"), agreements=tuple(agreements))


def _is_heavy(spec: ModelSpec) -> bool:
    return spec.gmacs_per_mp > HEAVY_GMACS_PER_MP


def write_model(model: onnx.ModelProto, spec: ModelSpec, path: Path) -> ModelSpec:
    """Check and write one traced graph; return the spec with the measured memory.

    Raises:
        ModelError: The graph has an operator that reads a whole tile.
    """
    faults = tile_faults(model)
    if faults:
        raise ModelError("the graph would show seams between tiles: " + "; ".join(faults))
    onnx.save(model, path)
    spec = replace(spec, bytes_per_px=max(spec.bytes_per_px, bytes_per_pixel(path, heavy=_is_heavy(spec))))
    onnx.helper.set_model_props(model, spec.to_metadata())
    onnx.save(model, path)
    return spec
