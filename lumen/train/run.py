"""One training from folders to checkpoints: what `lumen train` calls."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lumen.errors import DataError, DeviceError, UsageError
from lumen.files.atomic import make_folder, remove_leftovers, write_atomically
from lumen.files.lock import lock_folder
from lumen.files.paths import is_folder, real_path, type_of
from lumen.train.data.checks import warn_of_misaligned, warn_of_shared_scenes
from lumen.train.data.load import Example, load_pairs, load_photos, refuse_bad
from lumen.train.data.split import Split, split_by_scene
from lumen.train.distributed import join_world, leave_world
from lumen.train.loop import Trainer
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import Recipe
from lumen.train.records.run_data import write_data

log = logging.getLogger(__name__)


def train_run(recipe: Recipe, options: TrainOptions, on_event: Callable[[Mapping[str, Any]], None]) -> int:
    """Train by a recipe; `on_event` receives progress in the leading process.

    Returns:
        0, or the number of the signal that ended the training.

    Raises:
        UsageError: No data is given, or the run's folder already holds a training and `resume` is not given.
        DeviceError: CUDA is requested and not available.
        DataError: There is nothing to train on.
        TrainingError: The gradients stayed NaN or infinite.
        LockedError: Another training works in the run's folder.
        OutputError: The run's folder cannot be written.
    """
    if not (options.data or options.photos):
        raise UsageError(f"expected --data DIR, --synthetic DIR or both{_why_unknown(options)}")
    last = options.run / "last.pt"
    if options.resume is None and type_of(last):
        raise UsageError(f"{options.run} already holds a training; use --resume auto to continue, or another --out")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"--device {options.device}: torch {torch.__version__} sees no CUDA device; use --device cpu")
    if options.threads:
        torch.set_num_threads(options.threads)
    world = join_world(options.device)
    held = ExitStack()
    try:
        if world.leads:
            make_folder(options.run)
            held.enter_context(lock_folder(options.run))  # two trainings would overwrite each other's checkpoints
            remove_leftovers(options.run)
        split = load_split(recipe, options)
        if world.leads and options.check_pairs:
            warn_of_misaligned(list({id(pair.low): pair for pair in (*split.train_pairs, *split.val_pairs)}.values()))
            if options.val:  # without --val whole scenes are held out, so none can be shared
                warn_of_shared_scenes(split.train_pairs, split.val_pairs)
        trainer = Trainer(recipe, split, options, world=world, on_event=on_event)
        if world.leads:
            recipe = trainer.recipe  # as TOML for `--recipe`, and as JSON for programs
            write_atomically(options.run / "recipe.toml", recipe.to_toml().encode())
            write_atomically(options.run / "recipe.json", (json.dumps(recipe.to_dict(), indent=2) + "\n").encode())
            write_data(options)
        if options.resume and (options.resume != "auto" or type_of(last)):
            named = last if options.resume == "auto" else Path(options.resume)
            trainer.resume(named / "last.pt" if is_folder(named) else named)
        elif options.init:
            trainer.begin_from(options.init)
        return trainer.fit()
    finally:
        held.close()
        leave_world(world)


def _why_unknown(options: TrainOptions) -> str:
    """Return why a run that is resumed does not bring its data along; empty for a new one."""
    if options.resume == "auto" and not type_of(options.run / "last.pt"):
        return f": there is no training in {options.run} to go on with"
    return ": the run to go on with, of an older version, does not say what it was trained on" if options.resume else ""


def load_split(recipe: Recipe, options: TrainOptions) -> Split:
    """Read the pictures of all folders, each folder of pairs once, and hold some of them out.

    Raises:
        DataError: A folder or a picture cannot be read, the sizes of a pair differ, a picture is smaller than a crop,
            or nothing would be left to train on. The message names all bad pairs and pictures of all folders;
            `skip_bad` goes on without them.
    """
    bad: list[str] = []
    read: dict[Path, list[Example]] = {}

    def pairs(folder: Path, source: int = 0) -> list[Example]:
        data, place = recipe.data, real_path(folder)
        if place not in read:
            read[place] = load_pairs(
                folder, data.exclude, data.exposures, data.longest_px, crop_px=data.crop_px, bad=bad
            )
        return [replace(pair, source=source) for pair in read[place]]

    trained = [pair for source, folder in enumerate(options.data) for pair in pairs(folder, source)]
    photos = load_photos(options.photos, recipe.data.longest_px, bad, crop_px=recipe.data.crop_px)
    held_out = pairs(options.val) if options.val else None
    if not options.skip_bad:
        refuse_bad(bad)
    elif bad:
        if not (trained or photos):
            raise DataError(f"expected a pair or photograph to train on, got only bad ones: {'; '.join(bad)}")
        log.warning("left out, because they are bad (%d): %s", len(bad), "; ".join(bad))
    return split_by_scene(trained, photos, recipe, held_out)
