"""The bundled model through the main path: exact in tiles, sound on every size, and within its promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lumen.codecs.codec import read_picture
from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.imaging.picture import Metadata, Picture
from lumen.imaging.thumbnail import area_thumbnail
from lumen.imaging.tiling import TilePlan, box_of, cut, paste, plan_tiles
from lumen.metrics.fidelity import psnr
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.open import ModelSet

EXAMPLES = Path(__file__).parents[2] / "examples"
Pixels = NDArray[np.integer]


@pytest.fixture(scope="module")
def models() -> ModelSet:
    return ModelSet()


@pytest.fixture(scope="module")
def model(models: ModelSet) -> OnnxModel:
    return models.for_sample("uint8")


def plan_for(pixels: Pixels, model: OnnxModel, window_px: int, *, halo_px: int | None = None) -> TilePlan:
    spec = model.spec
    return plan_tiles(
        *pixels.shape[:2],
        align=spec.align,
        halo_px=spec.halo_px if halo_px is None else halo_px,
        edge_px=spec.edge_px,
        max_window_px=window_px,
    )


def run_plan(pixels: Pixels, model: OnnxModel, plan: TilePlan, *, own_context: bool = False, batch: int = 1) -> Pixels:
    """Enhance by a plan, some windows at a time; `own_context` gives every window a thumbnail of itself."""
    result = np.empty_like(pixels)
    whole = area_thumbnail(pixels, model.spec.thumbnail_px)
    ev = np.zeros(1, np.float32)
    for first in range(0, len(plan.tiles), batch):
        tiles = plan.tiles[first : first + batch]
        windows = np.stack([cut(pixels, plan, tile) for tile in tiles])
        thumbnail = area_thumbnail(windows[0], model.spec.thumbnail_px) if own_context else whole
        boxes = np.stack([box_of(plan, tile) for tile in tiles])
        for tile, window in zip(tiles, model.run(windows, thumbnail[None], ev, boxes=boxes), strict=True):
            paste(result, plan, tile, window)
    return result


def dark_picture(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """A picture with shapes, a gradient and noise; dark like a real one."""
    y, x = np.mgrid[0:height, 0:width]
    wave = np.sin(y / rng.uniform(3, 40) + rng.uniform(0, 6)) * np.cos(x / rng.uniform(3, 40))
    base = (1 + wave)[..., None] * rng.uniform(5, 40, 3) + (x / width)[..., None] * rng.uniform(0, 60, 3)
    pixels: Pixels = np.clip(base + rng.normal(0, 4, (height, width, 3)), 0, 255).astype(np.uint8)
    return pixels


def test_tiles_equal_the_whole_picture(model: OnnxModel) -> None:
    rng = np.random.default_rng(2)
    differing = samples = 0
    least = 2 * model.spec.halo_px + model.spec.align
    several = 0
    for case in range(210):
        sides = rng.integers(1, 401, 2) if case % 2 else np.exp(rng.uniform(0, np.log(400), 2))
        window = int(rng.integers(least, 2 * least))
        most = 2 * model.spec.halo_px + 3 * (window - 2 * model.spec.halo_px)  # more tiles are the same again
        height, width = (min(int(side), most) for side in sides)
        pixels = dark_picture(rng, height, width)
        whole = run_plan(pixels, model, plan_for(pixels, model, 1 << 14))
        plan = plan_for(pixels, model, window)
        several += len(plan.tiles) > 1
        tiled = run_plan(pixels, model, plan, batch=int(rng.integers(1, 4)))
        difference = np.abs(whole.astype(int) - tiled)
        assert difference.max() <= 1, (height, width, window)
        differing += int(np.count_nonzero(difference))
        samples += difference.size
    assert several > 80, "most cases must be cut at all"
    assert differing < 1e-4 * samples


def test_tiles_equal_the_whole_picture_in_several_passes(models: ModelSet) -> None:
    pixels = dark_picture(np.random.default_rng(5), 203, 290)
    picture = Picture(pixels=pixels, metadata=Metadata(), format="png")
    whole, tiled = (
        enhance_picture(picture, models, EnhanceOptions(quality_passes=8, tile_px=px)).pixels.astype(int)
        for px in (1024, 144)
    )
    assert np.abs(whole - tiled).max() <= 1
    assert np.mean(whole != tiled) < 1e-3  # one picture; a window off the alignment gives ten times as much
    assert np.mean(whole != enhance_picture(picture, models).pixels) > 0.1  # the passes do differ


def test_the_controls_are_caught(model: OnnxModel) -> None:
    """Without halo, with a context per tile, or off the alignment, tiles differ: the test above can fail."""
    pixels = dark_picture(np.random.default_rng(3), 300, 380)
    whole = run_plan(pixels, model, plan_for(pixels, model, 1 << 14)).astype(int)
    plan = plan_for(pixels, model, 192)
    assert len(plan.tiles) > 1

    def share(result: Pixels, beyond: int = 1) -> float:
        return float((np.abs(result - whole) > beyond).mean())

    exact = run_plan(pixels, model, plan)
    assert share(exact) == 0 and share(exact, beyond=0) < 1e-4
    assert share(run_plan(pixels, model, plan_for(pixels, model, 192, halo_px=0))) > 1e-3
    assert share(run_plan(pixels, model, plan, own_context=True)) > 1e-2
    moved = replace(plan, tiles=tuple(replace(tile, y=max(0, tile.y - 3)) for tile in plan.tiles))
    assert share(run_plan(pixels, model, moved)) > 1e-2


def test_sixteen_bits_go_through_at_their_depth(models: ModelSet) -> None:
    eight = dark_picture(np.random.default_rng(4), 120, 150)
    fine = Picture(pixels=eight.astype(np.uint16) * 257, metadata=Metadata(), format="png")
    coarse = Picture(pixels=eight, metadata=Metadata(), format="png")
    sixteen = enhance_picture(fine, models).pixels
    assert sixteen.dtype == np.uint16
    assert np.abs(sixteen / 257 - enhance_picture(coarse, models).pixels).max() < 1
    assert len(np.unique(sixteen)) > 2000


@pytest.mark.parametrize("name", ["spices", "otters"])
def test_darkened_examples_come_close_to_their_originals(name: str, models: ModelSet) -> None:
    dark = read_picture(EXAMPLES / f"{name}.jpg")
    truth = read_picture(EXAMPLES / "reference" / f"{name}.jpg").pixels
    enhanced = enhance_picture(dark, models).pixels
    assert psnr(enhanced, truth, data_range=255) > psnr(dark.pixels, truth, data_range=255) + 5


def test_black_stays_black_and_white_stays_white(models: ModelSet) -> None:
    for level in (0, 255):
        picture = Picture(pixels=np.full((40, 56, 3), level, np.uint8), metadata=Metadata(), format="png")
        assert np.abs(enhance_picture(picture, models).pixels.astype(int) - level).max() <= 12
