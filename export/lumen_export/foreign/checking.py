"""Compares written files with the network they were made from, and tiles with whole pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lumen.errors import ModelError, NotFiniteError
from lumen.imaging.thumbnail import thumbnail_for
from lumen.imaging.tiling import cut, paste, plan_tiles
from lumen.runtime.devices import CPU
from lumen.runtime.engine import EngineError
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.onnxruntime_engine import open_session
from lumen.runtime.protocols import Pixels
from lumen.spec import SampleType
from lumen_export.exported import Agreement
from lumen_export.foreign.measuring import LIMIT_S
from lumen_export.foreign.reading import ForeignNetwork, ends_of
from lumen_export.halo_search import hard_pictures

TILES = 6
LIMIT_LEVELS: dict[SampleType, int] = {"uint8": 1, "uint16": 2}
HALF_LIMIT_LEVELS: dict[SampleType, int] = {"uint8": 2, "uint16": 2 * 257}


def compare_with_network(network: ForeignNetwork, model: OnnxModel, folder: Path) -> Agreement:
    """Run a written model and the file that it was made from on the same tiles, without asking for another brightness.

    Raises:
        ModelError: They differ by more than 1 level of 8 bits or 2 of 16 bits; or 2 levels of 8 bits in half precision.
    """
    path = folder / "original.onnx"
    path.write_bytes(network.original.SerializeToString())
    session = open_session(path, CPU, "fp32", 0)
    name, result_name = ends_of(network.original.graph)
    spec, rng = model.spec, np.random.default_rng(0)
    worst, differing, total = 0, 0, 0
    for index in range(TILES):
        height, width = (spec.align * int(rng.integers(1, max(2, 200 // spec.align))) for _ in range(2))
        level = 2.0 ** -rng.uniform(0, 5)
        tile = (rng.random((1, height, width, 3)) * level * spec.levels).astype(spec.sample)
        picture = tile.astype(np.float32) / np.float32(spec.levels)
        fed = picture if network.channels_last else picture.transpose(0, 3, 1, 2)
        fed = np.ascontiguousarray(fed, np.float16 if network.half_in else np.float32)
        try:
            (raw,) = session.run([result_name], {name: fed}, limit_s=LIMIT_S)
        except EngineError as error:
            raise ModelError(f"the network fails for {width}x{height} pixels: {error}") from error
        result = np.asarray(raw, np.float32)
        result = result if network.channels_last else result.transpose(0, 2, 3, 1)
        expected = np.rint(result.clip(0, 1) * np.float32(spec.levels)).astype(np.int64)
        tiles = np.concatenate([tile] * (1 + index % 2))  # a batch, too
        difference = np.abs(_enhanced(model, tiles).astype(np.int64) - expected)
        worst = max(worst, int(difference.max()))
        differing += int((difference > 0).sum())
        total += difference.size
    limit = (HALF_LIMIT_LEVELS if spec.precision == "fp16" else LIMIT_LEVELS)[spec.sample]
    if worst > limit:
        raise ModelError(
            f"the model and the network differ by {worst} levels of {spec.sample}, at most {limit} expected; "
            "nothing is written"
        )
    return Agreement(
        sample=spec.sample, precision=spec.precision, tiles=TILES, worst_levels=worst, differing=differing / total
    )


def compare_tiles(model: OnnxModel) -> int:
    """Return by how many levels tiles differ from the whole picture, in a picture of two tiles and odd size.

    Raises:
        ModelError: By more than one of 8 bits.
    """
    spec = model.spec
    window = 2 * spec.halo_px + 64 // spec.align * spec.align + spec.align
    height, width = window - 3, window + 3 * spec.align + 61
    side = max(height, width)
    pictures = hard_pictures(side)
    worst = 0
    for name in ("noise", "ramp"):
        pixels = np.rint(pictures[name][:height, :width] * spec.levels).astype(spec.sample)
        tiled, whole = (_by_windows(model, pixels, most) for most in (window, 4 * side))
        worst = max(worst, int(np.abs(tiled.astype(np.int64) - whole).max()))
    if worst > spec.levels // 255:
        raise ModelError(
            f"tiles differ from the whole picture by {worst} levels of {spec.sample}; a larger --halo, or --whole "
            "for whole pictures only"
        )
    return worst


def _by_windows(model: OnnxModel, pixels: Pixels, most: int) -> Pixels:
    spec = model.spec
    plan = plan_tiles(
        *pixels.shape[:2], align=spec.align, halo_px=spec.halo_px, edge_px=spec.edge_px, max_window_px=most
    )
    result = np.empty_like(pixels)
    thumbnail = thumbnail_for(pixels, spec)
    for tile in plan.tiles:
        paste(result, plan, tile, _enhanced(model, cut(pixels, plan, tile)[np.newaxis], thumbnail)[0])
    return result


def _enhanced(model: OnnxModel, tiles: Pixels, thumbnail: np.typing.NDArray[np.float32] | None = None) -> Pixels:
    seen = thumbnail_for(tiles[0], model.spec) if thumbnail is None else thumbnail
    try:
        return model.run(tiles, seen[np.newaxis], np.zeros(1, np.float32))
    except NotFiniteError as error:
        raise ModelError(f"the network gives NaN or infinity for {tiles.shape[2]}x{tiles.shape[1]} pixels") from error
