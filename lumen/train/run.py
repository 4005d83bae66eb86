"""One training from folders to checkpoints: what `lumen train` calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lumen.config import RuntimeOptions
from lumen.errors import DeviceError, UsageError
from lumen.imaging.atomic import make_folder, write_atomically
from lumen.train.data import load_pairs, load_photos
from lumen.train.distributed import join_world, leave_world
from lumen.train.loop import Trainer
from lumen.train.recipe import Recipe


def train_run(
    recipe: Recipe,
    *,
    data: Path | None,
    photos: Sequence[Path],
    run: Path,
    resume: str | None,
    init: Path | None = None,
    device: str,
    threads: int,
    workers: int = 0,
    on_event: Callable[[Mapping[str, Any]], None],
) -> int:
    """Train by a recipe.

    Args:
        recipe: All values.
        data: Folder of pairs, or None.
        photos: Folders of well-lit photographs.
        run: Folder of the run.
        resume: `auto` (the run's `last.pt` if there is one), a checkpoint's path, or None for a new run.
        init: A checkpoint whose weights a new run starts from; a run that is resumed has its own.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads of this process; 0 leaves torch's choice.
        workers: Processes that draw batches ahead; 0 draws them in a thread.
        on_event: Receives progress in the leading process.

    Returns:
        0, or the number of the signal that ended the training.

    Raises:
        UsageError: The device is no device's name, or the run's folder holds a training and `resume` is not given.
        DeviceError: CUDA is asked for and not there.
        DataError: There is nothing to train on.
    """
    RuntimeOptions(device=device, threads=threads).require_one_device()  # the same names are known everywhere
    last = run / "last.pt"
    if resume is None and last.exists():
        raise UsageError(f"{run} holds a training already; go on with --resume auto, or name another --out")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"--device {device}: torch {torch.__version__} sees no CUDA device; use --device cpu")
    if threads:
        torch.set_num_threads(threads)
    world = join_world(device)
    try:
        pairs = load_pairs(data, recipe.data.exclude) if data else []
        if world.leads:
            prepare_folder(run, recipe)
        trainer = Trainer(recipe, pairs, load_photos(photos), run, world=world, on_event=on_event, workers=workers)
        if resume and (resume != "auto" or last.exists()):
            trainer.resume(last if resume == "auto" else Path(resume))
        elif init:
            trainer.begin_from(init)
        return trainer.fit()
    finally:
        leave_world(world)


def prepare_folder(run: Path, recipe: Recipe) -> None:
    """Make the run's folder and write the effective recipe into it.

    Raises:
        OutputError: The folder cannot be written.
    """
    make_folder(run)
    write_atomically(run / "recipe.json", (json.dumps(recipe.to_dict(), indent=2) + "\n").encode())
