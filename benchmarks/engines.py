"""What a model costs in each engine and precision of this machine's CPU: run `python benchmarks/engines.py`.

All run the same window of a photograph in turns, on one thread, and time is CPU time, so that other load slows all of
them alike: read the ratios. Then each enhances photographs, and its results are compared with those of ONNX Runtime in
fp32 and, where there is one, with the reference.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import processor
from lumen.codecs.codec import read_picture
from lumen.config import DEFAULT_MODEL, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.imaging.thumbnail import thumbnail_for
from lumen.metrics.fidelity import psnr
from lumen.runtime.choice import find_device
from lumen.runtime.devices import ComputePrecision
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.open import ModelSet, open_model
from lumen.runtime.openvino_engine import PACKAGE
from lumen.runtime.protocols import Floats, Pixels

EXAMPLES = Path(__file__).parents[1] / "examples"
EV = np.zeros(1, np.float32)


def ways() -> Iterator[tuple[str, ComputePrecision]]:
    """Yield device and precision, ONNX Runtime in fp32 first."""
    yield "cpu", "fp32"
    if PACKAGE.is_installed():
        for precision in reversed(find_device("openvino:CPU").precisions):
            yield "openvino:CPU", precision


def window_of(pixels: Pixels, side: int) -> Pixels:
    """Return [1, side, side, 3], a photograph repeated as often as needed."""
    tiles = -(-side // pixels.shape[0]), -(-side // pixels.shape[1]), 1
    return np.ascontiguousarray(np.tile(pixels, tiles)[None, :side, :side])


def cpu_ms(model: OnnxModel, window: Pixels, thumbnail: Floats) -> float:
    """Return the CPU milliseconds per megapixel of one run."""
    start = time.process_time()
    model.run(window, thumbnail, EV)
    return (time.process_time() - start) * 1e9 / window[0, :, :, 0].size


def time_windows(options: dict[str, RuntimeOptions], side: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return what opening, the first and a later window of each cost; all take turns."""
    pixels = read_picture(EXAMPLES / "otters.jpg").pixels
    window = window_of(pixels, side)
    models: dict[str, OnnxModel] = {}
    rows: dict[str, dict[str, float]] = {}
    for name, each in options.items():
        start = time.process_time()
        models[name] = open_model(each)
        rows[name] = {"open_s": time.process_time() - start}
    thumbnail = thumbnail_for(pixels, next(iter(models.values())).spec)[None]
    for name, model in models.items():
        rows[name]["first_ms"] = cpu_ms(model, window, thumbnail)
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            times[name].append(cpu_ms(model, window, thumbnail))
    for name, row in rows.items():
        row["ms"] = statistics.median(times[name])
        row["new_size_s"] = (row.pop("first_ms") - row["ms"]) * side * side / 1e9
    return rows


def compare(options: dict[str, RuntimeOptions], photos: Path, references: Path) -> dict[str, dict[str, float]]:
    """Return how far the results of each are from those of the first, and from the references."""
    sources = sorted(path for path in photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    pictures = [read_picture(path) for path in sources]
    found: dict[str, list[Any]] = {}
    for name, each in options.items():
        models = ModelSet(each)
        found[name] = [enhance_picture(picture, models).pixels for picture in pictures]
    first = next(iter(found.values()))
    truths = [(references / path.name) for path in sources]
    rows = {}
    for name, results in found.items():
        apart = [
            (psnr(a, b, data_range=255), np.abs(a.astype(int) - b).max()) for a, b in zip(first, results, strict=True)
        ]
        scores = [
            psnr(read_picture(truth).pixels, result, data_range=255)
            for truth, result in zip(truths, results, strict=True)
            if truth.is_file()
        ]
        rows[name] = {
            "levels": int(max(levels for _, levels in apart)),
            "apart_db": min(db for db, _ in apart),
            "reference_db": statistics.fmean(scores) if scores else float("nan"),
        }
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--side", type=int, default=1024, help="of the window in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--photos", type=Path, default=EXAMPLES, help="folder whose pictures are enhanced and compared")
    parser.add_argument(
        "--references", type=Path, default=EXAMPLES / "reference", help="folder with references of them"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    options = {
        f"{device} {precision}": RuntimeOptions(model=args.model, device=device, precision=precision, threads=1)
        for device, precision in ways()
    }
    rows = time_windows(options, args.side, args.rounds)
    for name, facts in compare(options, args.photos, args.references).items():
        rows[name] |= facts
    if args.json:
        print(json.dumps({"processor": processor(), "side": args.side, "rows": rows}))
        return
    print(f"{processor()}; one thread, windows of {args.side}, medians of {args.rounds} in turns")
    heads = f"{'CPU ms/MP':>10}{'ratio':>7}{'open s':>8}{'new size s':>12}{'levels':>8}{'apart dB':>10}{'PSNR dB':>9}"
    print(f"{'':20}{heads}")
    baseline = next(iter(rows.values()))["ms"]
    for name, row in rows.items():
        print(
            f"{name:20}{row['ms']:>10.0f}{row['ms'] / baseline:>7.2f}{row['open_s']:>8.2f}{row['new_size_s']:>12.2f}"
            f"{row['levels']:>8}{row['apart_db']:>10.1f}{row['reference_db']:>9.3f}"
        )


if __name__ == "__main__":
    main()
