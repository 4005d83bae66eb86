"""`lumen train`."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from lumen.cli.help import GroupedCommand
from lumen.cli.options import PATH, field_option
from lumen.cli.settings import settings_option
from lumen.cli.values import parse_number
from lumen.config import RuntimeOptions
from lumen.errors import UsageError
from lumen.files.paths import type_of
from lumen.files.store_path import is_url, masked


@click.command("train", cls=GroupedCommand)
@click.option(
    "--data",
    metavar="DIR[=WEIGHT]",
    multiple=True,
    help="Pairs: low/ and high/, brackets with an index.json, or the folders of LOL v1, LOL v2 or SICE. "
    "Repeatable; a weight says how often pairs of a folder are drawn.",
)
@click.option(
    "--synthetic",
    "photos",
    metavar="DIR[=WEIGHT]",
    multiple=True,
    help="Folder of well-lit photographs, to be darkened into pairs and to be left alone. Repeatable.",
)
@click.option(
    "--val", metavar="DIR", type=PATH, help="Pairs to validate on; without it some scenes of --data are held out."
)
@click.option(
    "--val-split", metavar="N%|N", help="How much to hold out, in whole scenes: a share, or a number of pairs."
)
@click.option("-o", "--out", "run", metavar="DIR", type=PATH, required=True, help="Folder of the run.")
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="Bundled recipe or TOML file.  [default: lumen-s; with --init lumen-fine, with the network of the model; or "
    "that of a resumed run]",
)
@click.option("--iterations", metavar="N", type=click.IntRange(min=1), help="Steps, instead of the recipe's.")
@click.option(
    "--epochs",
    metavar="N",
    type=click.FloatRange(min=0, min_open=True),
    help="Epochs, instead of the recipe's length; one draws as many crops as there are pairs.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value, such as optimizer.rate=1e-4."
)
@click.option(
    "--resume",
    metavar="auto|RUN",
    help="auto: go on with the run in --out, which knows its data and recipe. Or with another run, or a file last.pt.",
)
@click.option(
    "--init", metavar="MODEL", help="Start from the weights of a run, a checkpoint, an ONNX file or a bundled model."
)
@field_option(RuntimeOptions, "--device", metavar="auto|cpu|cuda[:N]", help="Where the network is trained.")
@click.option(
    "--threads", metavar="N", type=click.IntRange(min=0), help="CPU threads per process; 0 leaves it to torch."
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=0),
    help="Processes that prepare batches, about one per core for a GPU; 0 uses a thread.",
)
@click.option("--resident", is_flag=True, help="Keep all pictures in the device's memory, and cut the crops there.")
@click.option(
    "--batch", metavar="auto|N", help="Crops per iteration; auto splits the recipe's into parts that fit the memory."
)
@click.option("--accumulate", metavar="N", type=click.IntRange(min=1), help="Split each batch into N parts.")
@click.option(
    "--amp",
    type=click.Choice(["bf16", "fp16", "off"], case_sensitive=False),
    help="Mixed precision, instead of the recipe's.",
)
@click.option("--recompute", is_flag=True, help="Keep few activations and recompute the rest: less memory, more time.")
@click.option("--compile", is_flag=True, help="Compile the network with torch (needs a C++ compiler).")
@click.option("--tensorboard", is_flag=True, help="Also write event files for TensorBoard.")
@click.option(
    "--check/--no-check", "check_pairs", default=None, help="Look for misaligned pairs first; --no-check skips this."
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help="Go on without pairs that cannot be read, differ in size or are smaller than a crop; all are named.",
)
@settings_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    data: tuple[str, ...],
    photos: tuple[str, ...],
    run: Path,
    recipe: str | None,
    overrides: tuple[str, ...],
    val_split: str | None,
    batch: str | None,
    accumulate: int | None,
    amp: str | None,
    iterations: int | None,
    epochs: float | None,
    resume: str | None,
    **given: Any,
) -> None:
    """Train a network on pairs of dark and good pictures.

    Some scenes are held out for validation. The run's folder receives recipe.toml, data.json, metrics.csv, curves.png,
    samples/, last.pt (to resume) and best.pt (to export); if the held-out scenes join at the end, validated.pt is the
    state that was scored. Ctrl-C and SIGTERM save and stop, and lumen train --resume auto -o RUN goes on. Start it
    with torchrun to use several processes.

    Exit codes: 0 trained, 2 usage, 3 unusable data or a failed training, 5 device or package unavailable,
    6 unwritable, 130 and 143 stopped by a signal.
    """
    if given["val"] and val_split:
        raise UsageError("expected --val DIR or --val-split, got both")
    from lumen.cli.resume_command import resume_command
    from lumen.cli.views.training import training_view
    from lumen.extras import require_extra

    with require_extra("train"):
        from lumen.train.run import train_run
    from lumen.train.options import TrainOptions
    from lumen.train.records.run_data import recipe_for, resumed_folder, with_data_of

    # Options that are not given keep the defaults of TrainOptions.
    folders, weights = zip(*(_sources(values) for values in (data, photos)), strict=True)
    options = TrainOptions(
        data=folders[0],
        photos=folders[1],
        weights=weights,
        run=run,
        resume=resume,
        fit_memory=batch == "auto",
        **{k: v for k, v in given.items() if v is not None},
    )
    changes = [*overrides, *_length_values(iterations, epochs), *_split_values(val_split)]
    changes += [*_batch_values(batch, accumulate), *([f"optimizer.amp={amp}"] if amp else [])]
    folder = resumed_folder(run, resume)
    values = recipe_for(recipe, folder, changes, given["init"])
    if folder is not None:
        options = with_data_of(folder, options, validated=val_split is None)
    with training_view(run, resume_command(ctx, run)) as show:
        stopped = train_run(values, options, show)
    if stopped:
        raise SystemExit(128 + stopped)


def _sources(values: tuple[str, ...]) -> tuple[tuple[Path, ...], tuple[float, ...]]:
    """Return folders and their weights; no weights where none is given, 1 for those that lack one.

    >>> _sources(("lol=3", "brackets"))
    ((PosixPath('lol'), PosixPath('brackets')), (3.0, 1.0))
    """
    found = []
    for value in values:
        if is_url(value):
            raise UsageError(
                f"expected a folder on a disk, got {masked(value)}: training reads its pictures again and again"
            )
        path, equals, text = value.rpartition("=")
        try:
            weight = parse_number(text) if equals and not type_of(Path(value)) else None
        except click.BadParameter:
            weight = None
        if weight is not None and not 0 < weight < math.inf:
            raise UsageError(f"expected DIR=WEIGHT with a weight above 0, got {value!r}")
        found.append((Path(value), None) if weight is None else (Path(path), weight))
    folders = tuple(path for path, _ in found)
    if all(weight is None for _, weight in found):
        return folders, ()
    return folders, tuple(1.0 if weight is None else weight for _, weight in found)


def _length_values(iterations: int | None, epochs: float | None) -> list[str]:
    """Return the changes of `--iterations` and `--epochs` to the recipe."""
    if iterations is not None and epochs is not None:
        raise UsageError("expected --iterations or --epochs, got both")
    if iterations is not None:
        return ["optimizer.epochs=0.0", f"optimizer.iterations={iterations}"]
    return [] if epochs is None else [f"optimizer.epochs={epochs}"]


def _split_values(text: str | None) -> list[str]:
    """Return the changes of `--val-split` to the recipe."""
    if text is None:
        return []
    text = text.strip()
    if text.isdecimal() and int(text):
        return ["validation.share=0.0", "validation.at_most=0.0", f"validation.pairs={int(text)}"]
    with suppress(click.BadParameter):
        if 0 < (share := parse_number(text)) < 1:
            return [f"validation.share={share}"]
    raise click.BadParameter(
        f"expected a share such as 20% or a number of pairs, got {text!r}", param_hint="--val-split"
    )


def _batch_values(batch: str | None, accumulate: int | None) -> list[str]:
    """Return the changes of `--batch` and `--accumulate` to the recipe."""
    if batch == "auto" and accumulate:
        raise UsageError("expected --batch auto or --accumulate, got both; auto chooses the number of parts itself")
    if batch is not None and batch != "auto" and not (batch.isdecimal() and int(batch)):
        raise click.BadParameter(f"expected auto or a number of crops, got {batch!r}", param_hint="--batch")
    values = [f"data.batch={batch}"] if batch not in (None, "auto") else []
    return values + ([f"optimizer.accumulate={accumulate}"] if accumulate else [])
