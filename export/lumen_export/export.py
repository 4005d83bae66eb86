"""From a checkpoint to the ONNX files of a model, checked before they stand under their names."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from lumen.errors import ModelError, OutputError, UsageError
from lumen.models import Network
from lumen.models.cost import count_macs, count_parameters
from lumen.runtime.weights import half_of
from lumen.spec import ModelSpec, Precision, SampleType
from lumen.train.checkpoint import Checkpoint, load_checkpoint
from lumen_export.convert import to_onnx
from lumen_export.halo import calibrate_halo
from lumen_export.lint import lint
from lumen_export.memory import bytes_per_pixel
from lumen_export.verify import Agreement, compare

COST_SIDE_PX = 1024
SAMPLES: tuple[SampleType, ...] = ("uint8", "uint16")

Variant = tuple[SampleType, Precision]
IN_FULL: tuple[Variant, ...] = tuple((sample, "fp32") for sample in SAMPLES)
HALF: Variant = ("uint8", "fp16")  # the 11 bits of a half-precision number are too few for 16-bit pictures


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export gave.

    Attributes:
        files: The written files: 8-bit, 16-bit, then half precision where it was asked for.
        spec: Facts stored in the 8-bit file.
        agreements: Differences between torch and onnxruntime; empty when not checked.
    """

    files: tuple[Path, ...]
    spec: ModelSpec
    agreements: tuple[Agreement, ...]


def twin_path(path: Path, sample: SampleType, precision: Precision = "fp32") -> Path:
    """Return where a file goes: `M.onnx`, and beside it `M.u16.onnx` and, in half precision, `M.fp16.onnx`."""
    if precision == "fp16":
        return half_of(path)
    return path if sample == "uint8" else path.with_name(f"{path.stem}.u16{path.suffix}")


def weights_digest(network: Network) -> str:
    """Return the SHA-256, in hex, of all weights in name order as little-endian float32."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def describe(checkpoint: Checkpoint, network: Network, name: str, scores: Mapping[str, Any]) -> ModelSpec:
    """Measure and collect the facts of a model; memory is filled in once there is a file."""
    side = COST_SIDE_PX
    return ModelSpec(
        name=name,
        architecture=str(checkpoint.recipe["network"]["architecture"]),
        hyperparameters=network.hyperparameters,
        sample="uint8",
        align=network.align,
        halo_px=calibrate_halo(network),
        edge_px=network.edge_px,
        thumbnail_px=network.thumbnail_px,
        bytes_per_px=1,
        gmacs_per_mp=round(count_macs(network, side, side) / side**2 / 1e3, 3),
        parameters=count_parameters(network),
        weights_sha256=weights_digest(network),
        training={
            "recipe": checkpoint.recipe["name"],
            "iterations": checkpoint.iteration,
            "seed": checkpoint.recipe["seed"],
            **checkpoint.facts,
            "scores": dict(scores),
        },
    )


def export_checkpoint(
    checkpoint_path: Path,
    out: Path,
    *,
    name: str | None = None,
    scores: Mapping[str, Any] | None = None,
    check: bool = True,
    precision: Precision = "fp32",
) -> Exported:
    """Write `out` and its 16-bit twin.

    Args:
        checkpoint_path: A file of `lumen train`; its averaged weights are exported.
        out: Path of the 8-bit file, ending in `.onnx`.
        name: Name stored in the files; the stem of `out` by default.
        scores: Measured scores stored in the files, JSON values.
        check: Whether torch and onnxruntime are compared first.
        precision: `fp16` adds an 8-bit file in half precision; the others are there for what it cannot hold.

    Raises:
        UsageError: `out` does not end in `.onnx`, or ends in `.fp16.onnx`.
        ModelError: The checkpoint is damaged, the graph is not safe in tiles, or the results differ.
        OutputError: The files cannot be written.
    """
    if out.suffix != ".onnx" or out == half_of(out):
        raise UsageError(f"expected -o to name the fp32 file, ending in .onnx but not in .fp16.onnx, got {out}")
    variants = (*IN_FULL, HALF) if precision == "fp16" else IN_FULL
    checkpoint = load_checkpoint(checkpoint_path)
    network = checkpoint.network()
    spec = describe(checkpoint, network, name or out.stem, scores or {})
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
            agreements = []
            for sample, kind in variants:
                temporary = Path(folder) / twin_path(out, sample, kind).name
                spec = write_model(_in(kind, checkpoint), replace(spec, sample=sample, precision=kind), temporary)
                if check:
                    agreements.append(compare(network, temporary, sample, precision=kind))
            files = tuple(twin_path(out, sample, kind) for sample, kind in variants)
            for file in files:
                os.replace(Path(folder) / file.name, file)
            if HALF not in variants:  # one of an earlier export would not belong to these
                half_of(out).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}") from error
    return Exported(files=files, spec=replace(spec, sample="uint8", precision="fp32"), agreements=tuple(agreements))


def _in(precision: Precision, checkpoint: Checkpoint) -> Network:
    network = checkpoint.network()
    if precision == "fp16":
        network.halve()
    return network


def write_model(network: Network, spec: ModelSpec, path: Path) -> ModelSpec:
    """Trace, lint and write one file; return the spec with its memory measured.

    Raises:
        ModelError: The graph holds an operator that looks at a whole tile.
    """
    model = to_onnx(network, spec.sample)
    faults = lint(model)
    if faults:
        raise ModelError("the graph would show seams between tiles: " + "; ".join(faults))
    onnx.save(model, path)
    spec = replace(spec, bytes_per_px=max(spec.bytes_per_px, bytes_per_pixel(path)))
    onnx.helper.set_model_props(model, spec.to_metadata())
    onnx.save(model, path)
    return spec
