"""Compares an exported file with the network it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from lumen.errors import ModelError
from lumen.models import Network
from lumen.spec import Precision, SampleType
from lumen_export.convert import example_thumbnail
from lumen_export.exported import Agreement
from lumen_export.wrapper import ToneModel, model_of

TORCH_SAMPLES = {"uint8": torch.uint8, "uint16": torch.uint16}
LIMIT_LEVELS: dict[SampleType, int] = {"uint8": 1, "uint16": 2}
HALF_LIMIT_LEVELS = 2  # of 8 bits
PLAIN_LIMIT_LEVELS = 16  # of 16 bits: the tone curve over the finished result magnifies rounding differences
TILES = 20


def random_tiles(
    network: Network, sample: SampleType, count: int
) -> list[tuple[NDArray[np.integer], NDArray[np.float32]]]:
    """Return random tiles [n, H, W, 3] of many shapes with thumbnails [n or 1, h, w, 3], bright to nearly black."""
    rng = np.random.default_rng(0)
    top = np.iinfo(sample).max
    drawn = []
    for index in range(count):
        batch = 1 + index % 3
        height, width = (network.align * int(rng.integers(1, 40)) for _ in range(2))
        level = 2.0 ** -rng.uniform(0, 7)
        tiles = (rng.random((batch, height, width, 3)) * level * top).astype(sample)
        seen = example_thumbnail(network)
        if network.thumbnail == "fit":
            seen = (network.align * int(rng.integers(1, 24)), network.align * int(rng.integers(1, 24)))
        thumbnails = rng.random((batch if index % 2 else 1, *seen, 3)) * level
        drawn.append((tiles, thumbnails.astype(np.float32)))
    return drawn


def compare(
    network: Network, path: Path, sample: SampleType, count: int = TILES, *, precision: Precision = "fp32"
) -> Agreement:
    """Run torch, in fp32, and onnxruntime on the same tiles.

    Raises:
        ModelError: They differ by more than 1 level of 8 bits (2 for a file in half precision), or 2 of 16 bits (16
            for networks that predict no brightness); or the file gives NaN or infinity.
    """
    model = model_of(network, TORCH_SAMPLES[sample])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    worst, differing, total, lost = 0, 0, 0, 0
    rng = np.random.default_rng(1)
    for tiles, thumbnails in random_tiles(network, sample, count):
        ev = rng.uniform(-1, 1, len(thumbnails)).astype(np.float32)
        feeds = {"tiles": tiles, "thumbnails": thumbnails, "ev": ev}
        if isinstance(model, ToneModel):
            feeds = _with_tones(session, network, feeds, rng)
        enhanced, finite = session.run(["enhanced", "finite"], feeds)
        with torch.no_grad():
            if isinstance(model, ToneModel):
                of_picture = (torch.from_numpy(feeds[name]) for name in ("thumbnails", "ev", "shadows"))
                feeds["tones"] = model.tone(*of_picture)[0].numpy()
            expected = model(*map(torch.from_numpy, feeds.values()))[0]
        difference = np.abs(enhanced.astype(np.int64) - expected.numpy().astype(np.int64))
        worst = max(worst, int(difference.max()))
        differing += int((difference > 0).sum())
        total += difference.size
        lost += int(not finite.all())
    limit = LIMIT_LEVELS[sample]
    if precision == "fp16":
        limit = HALF_LIMIT_LEVELS
    elif sample == "uint16" and not network.predicts_brightness:
        limit = PLAIN_LIMIT_LEVELS
    if lost:
        raise ModelError(f"the {precision} file gives NaN or infinity for {lost} of {count} tiles; it is not written")
    if worst > limit:
        raise ModelError(
            f"onnxruntime ({precision}) and torch differ by {worst} levels of {sample}, at most {limit} expected; "
            "the file is not written"
        )
    return Agreement(sample=sample, precision=precision, tiles=count, worst_levels=worst, differing=differing / total)


def _with_tones(
    session: onnxruntime.InferenceSession,
    network: Network,
    feeds: dict[str, NDArray[Any]],
    rng: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """Return all inputs of contract 2, in order, with places and factors at random, and what the file decides."""
    tiles, thumbnails = feeds["tiles"], feeds["thumbnails"]
    first, last = np.sort(rng.uniform(-0.2, 1.2, (2, len(tiles), 2)), axis=0)
    inputs = {
        "tiles": tiles,
        "tones": np.zeros((len(thumbnails), network.tone_size), np.float32),
        "boxes": np.concatenate([first, last], axis=1).astype(np.float32),
        "thumbnails": thumbnails,
        "ev": feeds["ev"],
        "shadows": rng.uniform(0, 2, len(thumbnails)).astype(np.float32),
    }
    return {**inputs, "tones": np.asarray(session.run(["tone"], inputs)[0])}
