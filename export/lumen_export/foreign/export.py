"""Exports a network from an ONNX file as a model of lumen: wrapped_network, measured, written and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from lumen.config import RuntimeOptions
from lumen.errors import ModelError, UsageError
from lumen.runtime.open import open_model
from lumen.spec import RANGES, ModelSpec, Precision, SampleType
from lumen_export.bytes_per_px import bytes_per_pixel
from lumen_export.exported import FULL_VARIANTS, Exported, check_out, variant_path, written_together
from lumen_export.foreign.checking import compare_tiles, compare_with_network
from lumen_export.foreign.counting import count_macs_of, count_weights, digest_of_weights
from lumen_export.foreign.measuring import Tiling, measure_layout, measure_tiles
from lumen_export.foreign.reading import ForeignNetwork, opset_of, read_foreign
from lumen_export.foreign.wrapping import wrapped_network

THUMBNAIL_PX = 128  # used only to choose the brightness
COST_SIDE_PX = 256
HEAVY_GMACS_PER_MP = 500.0  # as in lumen_export.export


def export_network(
    path: Path,
    out: Path,
    *,
    name: str | None = None,
    scores: Mapping[str, Any] | None = None,
    check: bool = True,
    halo: int | None = None,
    align: int | None = None,
    whole: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write the 8-bit and 16-bit pair of model files for a network in an ONNX file.

    Args:
        path: A network from one picture to one of its size, [N, 3, H, W] or [N, H, W, 3] with free H and W, of float32
            or float16 in [0, 1].
        out: Path of the 8-bit file, ending in `.onnx`.
        name: Name stored in the files; the stem of `out` by default.
        scores: Measured scores stored in the files, JSON values.
        check: Whether to compare the files with the network, and tiles with whole pictures.
        halo: Pixels that a tile sees around what is kept of it; None measures it.
        align: The multiple of sizes that the network needs; None measures it.
        whole: The model is given whole pictures only.
        progress: Called with what is done next, for people.

    Raises:
        UsageError: `out` is no such name, or the options contradict each other.
        ModelError: The file is no such network, or tiles would differ from the whole picture.
        OutputError: The files cannot be written.
    """
    _check_tiling(halo, align, whole=whole)
    check_out(path, out)
    read = read_foreign(path)
    progress("measuring how far the network sees around each pixel")
    agreements = []
    with written_together(out, FULL_VARIANTS) as folder:
        network, run = measure_layout(read, folder, align or 1)
        half = network.half_in or network.half_out
        tiling = measure_tiles(run, align=align, halo_px=halo, whole=whole, half=half)
        spec = _spec_of(network, tiling, name=name or out.stem, whole=whole)
        spec = replace(spec, training={"network": path.name, "scores": dict(scores or {})})
        for sample, _ in FULL_VARIANTS:
            file = folder / variant_path(out, sample).name
            progress(f"writing {file.name}")
            spec = _write(network, replace(spec, sample=sample), file)
        for sample, _ in FULL_VARIANTS:
            options = RuntimeOptions(model=str(folder / out.name), device="cpu")
            model = open_model(options, sample=sample)
            if check:
                progress(f"comparing {variant_path(out, sample).name} with the network")
                agreements.append(compare_with_network(network, model, folder))
            if check and not whole:
                compare_tiles(model)
    files = tuple(variant_path(out, *variant) for variant in FULL_VARIANTS)
    return Exported(files=files, spec=replace(spec, sample="uint8"), agreements=tuple(agreements))


def _check_tiling(halo: int | None, align: int | None, *, whole: bool) -> None:
    """Refuse options that contradict each other, or that no model may have."""
    if whole and halo is not None:
        raise UsageError("expected --halo or --whole, got both: a whole picture has no halo")
    for option, value, key in (("--halo", halo, "halo_px"), ("--align", align, "align")):
        least, most = RANGES[key]
        if value is not None and not least <= value <= most:
            raise UsageError(f"expected {option} from {least} to {most}, got {value}")


def _spec_of(network: ForeignNetwork, tiling: Tiling, *, name: str, whole: bool) -> ModelSpec:
    """Collect the facts of a model; memory is measured later, on the file."""
    side = _multiple(COST_SIDE_PX, tiling.align)
    precision: Precision = "fp16" if network.half_in or network.half_out else "fp32"
    return ModelSpec(
        name=name,
        architecture="onnx",
        hyperparameters={"layout": "NHWC" if network.channels_last else "NCHW", "opset": opset_of(network.model)},
        sample="uint8",
        align=tiling.align,
        halo_px=tiling.halo_px,
        edge_px=0,
        thumbnail_px=_multiple(THUMBNAIL_PX, tiling.align),
        bytes_per_px=1,
        gmacs_per_mp=round(count_macs_of(network, side) / side**2 * 1e6, 3),
        parameters=count_weights(network.model),
        weights_sha256=digest_of_weights(network.model),
        precision=precision,
        whole=whole,
    )


def _write(network: ForeignNetwork, spec: ModelSpec, path: Path) -> ModelSpec:
    """Write one file; return the spec with the measured memory."""
    sample: SampleType = spec.sample
    model = wrapped_network(network, sample, spec.thumbnail_px)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the network cannot be wrapped: {str(error).partition(chr(10))[0]}") from error
    path.write_bytes(model.SerializeToString())
    heavy = spec.gmacs_per_mp > HEAVY_GMACS_PER_MP
    measured = bytes_per_pixel(path, heavy=heavy, align=spec.align)
    spec = replace(spec, bytes_per_px=min(max(spec.bytes_per_px, measured), RANGES["bytes_per_px"][1]))
    onnx.helper.set_model_props(model, spec.to_metadata())
    path.write_bytes(model.SerializeToString())
    return spec


def _multiple(size: int, of: int) -> int:
    return -(-size // of) * of
