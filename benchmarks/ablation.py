"""What each choice of a MIRNet is worth: run `python benchmarks/ablation.py --data lol_dataset -o runs/ablation`.

Every row is a short training that differs from the first one by what its name says, with the same pairs, seed, crops
and number of steps; the held-out pairs are of other scenes. Scores are PSNR in dB and SSIM of 8-bit results, RGB, data
range 255, mean over the pictures, as `lumen eval` gives them, with the input and PIL's autocontrast on top. Begun
again, the command goes on where it stopped. Short trainings tell what learns fast, not what is best in the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lumen.metrics.fidelity import psnr, ssim
from lumen.models.cost import count_macs, count_parameters
from lumen.train.checkpoint import load_checkpoint
from lumen.train.data.load import Example, load_pairs
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import load_recipe
from lumen.train.run import train_run
from lumen.train.validate import enhance_whole

RECIPE = "mirnet-keras"
SHAPE = "network.hyperparameters."
# What all rows have in common, on top of the recipe.
BASE = (
    SHAPE + "groups=1",
    SHAPE + "blocks=1",
    SHAPE + "width=32",
    SHAPE + "streams=3",
    "data.batch=4",
    "optimizer.epochs=0",
    "optimizer.schedule=constant",
    "optimizer.rate=2e-4",
    "optimizer.amp=bf16",
    "validation.epochs=0",
    "validation.share=0",
)
OTHER = "network.architecture={0}", "network.hyperparameters={{groups=1, blocks=1, width=32{1}}}"


def network(name: str, more: str = "") -> tuple[str, ...]:
    """Return what puts another network in the place of the first row's."""
    return tuple(part.format(name, more) for part in OTHER)


def loss(name: str) -> tuple[str, ...]:
    """Return what puts another loss in the place of Charbonnier's."""
    return "loss.charbonnier=0", f"loss.{name}=1"


ROWS: dict[str, tuple[str, ...]] = {
    "width 32, 1 group, 1 block, 3 streams, Charbonnier, 2e-4": (),
    "width 64": (SHAPE + "width=64",),
    "width 96": (SHAPE + "width=96",),
    "2 blocks": (SHAPE + "blocks=2",),
    "2 groups": (SHAPE + "groups=2",),
    "3 groups": (SHAPE + "groups=3",),
    "2 streams": (SHAPE + "streams=2",),
    "4 streams": (SHAPE + "streams=4",),
    "L1": loss("l1"),
    "MSE": loss("mse"),
    "RMSE": loss("rmse"),
    "rate 1e-4": ("optimizer.rate=1e-4",),
    "rate 4e-4": ("optimizer.rate=4e-4",),
    "published wiring": (SHAPE + "wiring=published",),
    "mirnet": network("mirnet"),
    "mirnet-cbam": network("mirnet-cbam"),
    "residual": network("residual"),
}
SMOKE = (SHAPE + "width=8", "data.batch=1", "optimizer.rate=1e-2")


def train(changes: Sequence[str], args: argparse.Namespace, run: Path) -> float:
    """Train one row, or what is left of it; return the minutes it took."""
    steps = (f"optimizer.iterations={args.iterations}", f"validation.every={args.iterations}")
    data = (f"data.crop_px={args.crop}", f"validation.pairs={args.held_out}")
    narrow = [change.replace("width=32", "width=8") for change in changes] if args.smoke else list(changes)
    recipe = load_recipe(RECIPE, [*BASE, *steps, *data, *(SMOKE if args.smoke else ()), *narrow])
    options = TrainOptions(
        run=run, data=(args.data,), resume="auto", device=args.device, threads=args.threads, check_pairs=False
    )
    start = time.monotonic()
    stopped = train_run(recipe, options, lambda _: None)
    if stopped:
        raise SystemExit(128 + stopped)
    return (time.monotonic() - start) / 60


def scores(make: Callable[[Example], NDArray[np.uint8]], pairs: Sequence[Example]) -> dict[str, float]:
    """Return mean PSNR and SSIM of what is made of the dark pictures."""
    made = [(make(pair), pair.high) for pair in pairs]
    return {
        "psnr": float(np.mean([psnr(result, high, data_range=255) for result, high in made])),
        "ssim": float(np.mean([ssim(result, high, data_range=255) for result, high in made])),
    }


def autocontrast(pair: Example) -> NDArray[np.uint8]:
    """Return PIL's autocontrast of a dark picture."""
    return np.asarray(ImageOps.autocontrast(Image.fromarray(pair.low)))


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train and score one row, unless that was done before."""
    run: Path = args.out / name.replace(" ", "-").replace(",", "")
    finished = run / "row.json"
    if finished.exists():
        before: dict[str, Any] = json.loads(finished.read_text(encoding="utf-8"))
        return before
    minutes = train(ROWS[name], args, run)
    checkpoint = load_checkpoint(run / "best.pt")
    trained = checkpoint.network()
    found = {key: checkpoint.facts["validation"][key] for key in ("psnr", "ssim")}
    if args.eval:
        found = scores(lambda pair: enhance_whole(trained, pair.low, None), load_pairs(args.eval))
    row = {
        "change": name,
        "parameters": count_parameters(trained),
        "gmacs": count_macs(trained) / 1e9,
        **found,
        "minutes": minutes,
        "held_out": checkpoint.facts["data"]["val_pairs"],
    }
    finished.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return row


def scored_pairs(args: argparse.Namespace, held_out: Sequence[str]) -> list[Example]:
    """Return the pairs of `--eval`, or those that were held out of the training."""
    if args.eval:
        return load_pairs(args.eval)
    return [pair for pair in load_pairs(args.data) if pair.name in set(held_out)]


def table(rows: Sequence[dict[str, Any]], args: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the table, the input and autocontrast first."""
    pairs = scored_pairs(args, rows[0]["held_out"])
    yield f"{len(pairs)} pictures, {args.iterations} steps, crops of {args.crop} px"
    yield ""
    yield "| change | parameters | GMACs at 256x256 | PSNR | SSIM | min |"
    yield "|---|---|---|---|---|---|"
    for name, make in (("(input)", lambda pair: pair.low), ("(autocontrast)", autocontrast)):
        plain = scores(make, pairs)
        yield f"| {name} | | | {plain['psnr']:.2f} | {plain['ssim']:.3f} | |"
    for row in rows:
        cost = f"{row['parameters']:,} | {row['gmacs']:.2f}"
        yield f"| {row['change']} | {cost} | {row['psnr']:.2f} | {row['ssim']:.3f} | {row['minutes']:.1f} |"


def generated(folder: Path) -> Path:
    """Write a tiny set of pairs: smooth coloured pictures, and the same in the dark with noise."""
    rng = np.random.default_rng(0)
    for name in ("low", "high"):
        (folder / name).mkdir(parents=True)
    for index in range(4):
        coarse = Image.fromarray(rng.integers(60, 250, (4, 5, 3), dtype=np.uint8))
        high = np.asarray(coarse.resize((40, 32), Image.Resampling.BICUBIC))
        low = np.clip(high * 0.1 + rng.normal(0, 1, high.shape), 0, 255).astype(np.uint8)
        Image.fromarray(high).save(folder / "high" / f"{index}.png")
        Image.fromarray(low).save(folder / "low" / f"{index}.png")
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the rows and print the table; with --json a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="pairs, as `lumen train --data` takes them")
    parser.add_argument("--eval", type=Path, help="pairs to score on instead of the held-out ones: a folder low, high")
    parser.add_argument("-o", "--out", type=Path, help="folder of the runs")
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--held-out", type=int, default=48, metavar="PAIRS", help="at least so many, in whole scenes")
    parser.add_argument("--rows", nargs="+", choices=ROWS, help="some of the rows; the first one is what they change")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="narrow networks on a tiny generated set, in seconds")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    if args.smoke:
        args.iterations, args.crop, args.held_out = 2, 16, 1
    elif args.data is None or args.out is None:
        parser.error("expected --data DIR and -o DIR, or --smoke")
    with tempfile.TemporaryDirectory() as folder:
        if args.smoke:
            args.data, args.out = generated(Path(folder) / "pairs"), args.out or Path(folder) / "runs"
        rows = []
        for name in args.rows or ROWS:
            print(f"training: {name}", file=sys.stderr, flush=True)
            torch.manual_seed(0)
            rows.append(measure(name, args))
            if args.json:
                print(json.dumps(rows[-1]), flush=True)
        if not args.json:
            print("\n".join(table(rows, args)))


if __name__ == "__main__":
    main()
