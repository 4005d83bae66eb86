"""What `lumen train` does when it is killed: run `python benchmarks/train_faults.py`.

A training that writes a checkpoint after every step is killed (`kill -9`) while one is being written, again and again,
and goes on each time from what is there. After every kill the checkpoint under its final name must be whole and no
older than the one before; in the end the weights must be those of a training that nobody killed, bit by bit.

A kill counts when it left a half-written file. Needs Linux or macOS (`fork`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from lumen.files.atomic import TEMP_SUFFIX
from lumen.train.checkpoint import Checkpoint, load_checkpoint
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import load_recipe
from lumen.train.run import train_run

CHECKPOINT_BYTES = 100_000  # the other files of a run are smaller
LIFE_S = 120.0  # a training that has written nothing by then hangs


def make_pairs(folder: Path) -> Path:
    """Write six small pairs into `folder`, which is returned."""
    rng = np.random.default_rng(0)
    for index in range(6):
        coarse = Image.fromarray(rng.integers(40, 250, (6, 8, 3), dtype=np.uint8))
        high = coarse.resize((64, 48), Image.Resampling.BICUBIC)
        for name, pixels in (("high", np.asarray(high)), ("low", np.asarray(high) // 8)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def train(data: Path, run: Path, iterations: int, every: int) -> int:
    """Train for so many iterations, with a checkpoint after every few."""
    changes = {
        "network.hyperparameters": "{groups=1, blocks=1, width=48}",
        "data.crop_px": 16,
        "data.batch": 2,
        "optimizer.epochs": 0,
        "optimizer.iterations": iterations,
        "validation.epochs": 0,
        "validation.every": every,
        "validation.pairs": 1,
        "validation.until": 1 / iterations,
    }
    recipe = load_recipe("residual", [f"{key}={value}" for key, value in changes.items()])
    options = TrainOptions(data=(data,), run=run, resume="auto", device="cpu", threads=1, check_pairs=False)
    return train_run(recipe, options, lambda _: None)


def forked(work: Callable[[], int]) -> int:
    """Start a child that does some work and ends with its result; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        code = work()
    finally:
        os._exit(code)


def half_written(run: Path) -> list[Path]:
    """Return the hidden files of checkpoints that are being written, or were."""
    found = []
    for path in run.glob(f".*{TEMP_SUFFIX}"):
        try:
            found += [path] if path.stat().st_size > CHECKPOINT_BYTES else []
        except FileNotFoundError:
            continue
    return found


def kill_in_a_write(child: int, run: Path, rng: random.Random) -> bool:
    """Kill a training while it writes a checkpoint, some writes after its start; tell whether half a file is left."""
    kept, writes, seen = set(half_written(run)), rng.randint(0, 3), set()
    deadline = time.monotonic() + LIFE_S
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            raise SystemExit("FAILED: the training ended before it could be killed")
        seen |= set(half_written(run)) - kept
        if len(seen) > writes:
            break
    time.sleep(rng.uniform(0, 0.002))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return bool(set(half_written(run)) - kept)


def same_weights(a: Checkpoint, b: Checkpoint) -> bool:
    """Tell whether weights and averaged weights are equal bit by bit."""
    return all(torch.equal(x[name], y[name]) for x, y in ((a.weights, b.weights), (a.ema, b.ema)) for name in (*x, *y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng, iterations = random.Random(args.seed), 40 + 20 * args.kills  # a life may write many before it is hit
    with tempfile.TemporaryDirectory(prefix="lumen-train-") as folder:
        data, run, whole = make_pairs(Path(folder) / "data"), Path(folder) / "run", Path(folder) / "whole"
        counted = lives = iteration = 0
        while counted < args.kills:
            lives += 1
            child = forked(lambda: train(data, run, iterations, 1))
            counted += kill_in_a_write(child, run, rng)
            if (run / "last.pt").exists():
                reached = load_checkpoint(run / "last.pt").iteration
                if reached < iteration:
                    raise SystemExit(f"FAILED: the checkpoint went back from {iteration} to {reached}")
                iteration = reached
        for end in (lambda: train(data, run, iterations, 1), lambda: train(data, whole, iterations, iterations)):
            if os.waitpid(forked(end), 0)[1]:
                raise SystemExit("FAILED: the training did not go on to its end")
        last, expected = (load_checkpoint(place / "last.pt") for place in (run, whole))
        left = [path.name for path in run.iterdir() if path.name.endswith(TEMP_SUFFIX)]
        facts = {
            "kills in a write": counted,
            "kills": lives,
            "iterations before the last start": iteration,
            "iterations": last.iteration,
            "equal to a run that nobody killed": same_weights(last, expected),
            "files left behind": left,
        }
    print(json.dumps(facts))
    if not facts["equal to a run that nobody killed"] or left:
        raise SystemExit("FAILED: see above")


if __name__ == "__main__":
    main()
