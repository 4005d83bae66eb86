"""How far a network in tiles is from itself run whole: run `python benchmarks/pools.py CHECKPOINT PICTURES`.

Over tiles its pools are those of a thumbnail. For thumbnails of several sizes, smaller than the pictures and larger,
the largest and the mean difference from the network run over the whole picture are printed, in levels of 8 bits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lumen.errors import UsageError
from lumen.imaging.thumbnail import thumbnail_for
from lumen.models.plain import PlainNetwork
from lumen.train.checkpoint import load_checkpoint
from lumen.train.data.layouts import picture_files
from lumen.train.data.load import decode_all

SIDES_PX = (1024, 512, 256, 128)


@torch.no_grad()
def apart(network: PlainNetwork, pixels: NDArray[np.uint8], whole: torch.Tensor, side_px: int) -> torch.Tensor:
    """Return the differences in levels [1, 3, H, W] with pools of a thumbnail of at most `side_px`."""
    network.thumbnail_px = side_px
    thumbnail = torch.from_numpy(thumbnail_for(pixels, network)).permute(2, 0, 1)[None]
    result, _ = network.enhance(as_tensor(pixels), thumbnail, lambda chosen: chosen)
    return (levels(result) - whole).abs()


def as_tensor(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Return pixels uint8 [H, W, 3] as float [1, 3, H, W] in [0, 1]."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def levels(result: torch.Tensor) -> torch.Tensor:
    """Return a result as it is stored, 0 to 255."""
    return (result.clamp(0, 1) * 255).round()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each size of the thumbnail."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("pictures", type=Path, help="a folder; sides are cut to multiples of the network's align")
    parser.add_argument("--count", type=int, default=4, help="how many of the pictures")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES_PX, help="longest sides of the thumbnails")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    network = load_checkpoint(args.checkpoint).network()
    if not isinstance(network, PlainNetwork) or network.thumbnail != "fit":
        raise UsageError(f"expected a network with global pools, got {type(network).__name__}")
    rows: dict[int, list[tuple[float, float]]] = {side: [] for side in args.sides}
    for pixels in decode_all(list(picture_files(args.pictures).values())[: args.count]):
        height, width = (side - side % network.align for side in pixels.shape[:2])
        cut = np.ascontiguousarray(pixels[:height, :width])
        with torch.no_grad():
            whole = levels(network.whole(as_tensor(cut)))
        for side in rows:
            difference = apart(network, cut, whole, side)
            rows[side].append((float(difference.max()), float(difference.mean())))
    if not args.json:
        print("| longest side of the thumbnail | largest difference, levels | mean |\n|---|---|---|")
    for side, found in rows.items():
        largest, mean = max(each for each, _ in found), float(np.mean([each for _, each in found]))
        row = {"side_px": side, "largest": largest, "mean": mean}
        print(json.dumps(row) if args.json else f"| {side} | {largest:.0f} | {mean:.4f} |", flush=True)


if __name__ == "__main__":
    main()
