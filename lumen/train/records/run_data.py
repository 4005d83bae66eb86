"""What a run learns from, kept in its folder as `data.json`, so that `--resume` need not be told it again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec

from lumen.errors import UsageError
from lumen.files.atomic import write_atomically
from lumen.files.paths import is_folder, is_plain_file, type_of
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import Recipe, load_recipe
from lumen.train.start import read_start

FILE, RECIPE = "data.json", "recipe.toml"
DEFAULT_RECIPE = "lumen-s"
FINE_RECIPE = "lumen-fine"  # of trainings that begin from weights


class RunData(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a run that say what it learns from; its folders as absolute paths."""

    data: tuple[str, ...] = ()
    data_weights: tuple[float, ...] = ()
    synthetic: tuple[str, ...] = ()
    synthetic_weights: tuple[float, ...] = ()
    val: str | None = None
    skip_bad: bool = False
    init: str | None = None


def write_data(options: TrainOptions) -> None:
    """Write what a run is given into its folder; raises what `write_atomically` raises."""
    init = options.init
    kept = RunData(
        data=tuple(map(_absolute, options.data)),
        data_weights=options.weights[0],
        synthetic=tuple(map(_absolute, options.photos)),
        synthetic_weights=options.weights[1],
        val=None if options.val is None else _absolute(options.val),
        skip_bad=options.skip_bad,
        init=None if init is None else _absolute(Path(init)) if type_of(Path(init)) else str(init),
    )
    # By json, whose escapes keep names that are not UTF-8.
    write_atomically(options.run / FILE, (json.dumps(msgspec.structs.asdict(kept), indent=2) + "\n").encode())


def resumed_folder(run: Path, resume: str | None) -> Path | None:
    """Return the folder of the run that is resumed, by `--out` and `--resume`; None for a new one."""
    if resume is None or resume == "auto":
        return None if resume is None else run
    return Path(resume) if is_folder(Path(resume)) else Path(resume).parent


def with_data_of(folder: Path, options: TrainOptions, *, validated: bool = True) -> TrainOptions:
    """Return options completed by what a run was given before; what they say themselves wins.

    Args:
        folder: That of the run. Older ones have no `data.json`, and leave the options as they are.
        options: Those of now.
        validated: Whether to validate on the run's own folder of pairs, if it had one.

    Raises:
        UsageError: The file is damaged.
    """
    path = folder / FILE
    if not is_plain_file(path):
        return options
    try:
        kept = msgspec.convert(json.loads(path.read_bytes()), RunData)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise UsageError(f"{path} cannot be read ({error}); remove it, and give --data again") from error
    weights = (
        options.weights[0] if options.data else kept.data_weights,
        options.weights[1] if options.photos else kept.synthetic_weights,
    )
    return replace(
        options,
        data=options.data or tuple(map(Path, kept.data)),
        photos=options.photos or tuple(map(Path, kept.synthetic)),
        weights=weights,
        val=options.val or (Path(kept.val) if kept.val and validated else None),
        skip_bad=options.skip_bad or kept.skip_bad,
        init=options.init or kept.init,
    )


def recipe_for(name: str | None, folder: Path | None, changes: Iterable[str], init: str | None = None) -> Recipe:
    """Return the recipe of a training, with changes: the named one, that of the run in `folder`, or the default.

    By default a training that begins from the weights of a model, `init`, tunes the network of that model.

    Raises:
        UsageError: As `load_recipe`.
        ModelError: As `read_start`.
    """
    if name is not None:
        return load_recipe(name, changes)
    if folder is not None and is_plain_file(folder / RECIPE):
        return load_recipe(str(folder / RECIPE), changes)
    if init is not None:
        return load_recipe(FINE_RECIPE, changes, read_start(init).network)
    return load_recipe(DEFAULT_RECIPE, changes)


def _absolute(path: Path) -> str:
    return str(path.absolute())
