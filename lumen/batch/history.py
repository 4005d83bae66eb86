"""What earlier runs did, as their records in `.lumen/runs` tell: how a result was made, from what, and where it went.

Whoever may write into an output folder may write its records. So they decide nothing but what people are told, and in
which folder below the output folder, which must be there, a picture has its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path, PurePath
from textwrap import shorten
from typing import Any

from lumen.batch.record import FAILURE_BYTES, FOLDER, KEPT_RUNS
from lumen.config import EnhanceOptions
from lumen.files.inputs import hold_folder
from lumen.files.paths import is_folder, real_path
from lumen.files.state import STATE
from lumen.files.store_path import StorePath, is_url, path_of

STORED_RUNS = 20  # that are read of an output in a store: each takes requests
READ_BYTES = 2 * FAILURE_BYTES  # of one record; lumen writes no longer ones
_CHANGE_NO_RESULT = {"tile_px", "max_memory_bytes", "max_pixels", "allow_8bit", "strict"}
_DEFAULTS = {name: value for name, value in asdict(EnhanceOptions()).items() if name not in _CHANGE_NO_RESULT}


@dataclass(frozen=True, kw_only=True)
class Made:
    """How a result was made.

    Attributes:
        source: The absolute path of its picture.
        target: Its path below the output folder.
        settings: What decided how it looks: options by the names of their fields, and `model`.
    """

    source: Path
    target: PurePath
    settings: Mapping[str, object]


def settings_of(options: Mapping[str, Any], model: str | None) -> dict[str, object]:
    """Return what decides how a result looks.

    Args:
        options: Fields of `EnhanceOptions`; missing ones, of former versions, have their defaults.
        model: The model as it was asked for; None if that is not known.
    """
    found: dict[str, object] = {name: options.get(name, default) for name, default in _DEFAULTS.items()}
    return found if model is None else {**found, "model": model}


def differences(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """Return what differs between the settings of two runs, such as `--ev 0, now 1`; empty if nothing does."""
    changed = [name for name in now if name in before and before[name] != now[name]]
    return "; ".join(f"--{name.replace('_', '-')} {_typed(before[name])}, now {_typed(now[name])}" for name in changed)


def results_made(output: Path, targets: Collection[str]) -> dict[str, Made]:
    """Return how results were made last, by their paths below the output folder; none of those without a record."""
    wanted, found = set(targets), dict[str, Made]()
    for made in _made(output, lambda target, _: target in wanted):
        found[str(made.target)] = made
        wanted.discard(str(made.target))
        if not wanted:
            break
    return found


def places_of(output: Path, sources: Collection[Path]) -> dict[Path, PurePath]:
    """Return the folders below the output folder to which the results of pictures went last, as far as these are there.

    Args:
        output: The output folder.
        sources: Paths of pictures.
    """
    wanted, found = {_place(source): source for source in sources}, dict[Path, PurePath]()
    names = {source.name for source in sources}
    for made in _made(output, lambda _, source: os.path.basename(source) in names):  # noqa: PTH119  # of many strings
        source = wanted.pop(_place(made.source), None)
        if source is not None and is_place(output, made.target.parent):
            found[source] = made.target.parent
        if not wanted:
            break
    return found


def earlier_results(sources: Iterable[Path]) -> dict[Path, Made]:
    """Return which pictures are themselves results of earlier runs into the folders that they lie in."""
    homes: dict[Path, dict[str, Path]] = {}
    has_records = cache(lambda folder: is_folder(folder / STATE / FOLDER))
    for source in sources:
        folder = real_path(source.parent)
        # The nearest folder at or above this one that has records of runs.
        home = next((each for each in (folder, *folder.parents) if has_records(each)), None)
        if home is not None:
            homes.setdefault(home, {})[str((folder / source.name).relative_to(home))] = source
    return {found[target]: made for home, found in homes.items() for target, made in results_made(home, found).items()}


def is_place(output: Path, folder: PurePath) -> bool:
    """Tell whether a folder is there below the output folder, with no link on the way, and not hidden."""
    if any(part == os.pardir or part.startswith(".") for part in folder.parts) or folder.is_absolute():
        return False
    try:
        with hold_folder(output / folder, below=output):
            return True
    except (OSError, ValueError):
        return False


def _place(path: Path) -> Path:
    """Return a path whose folder is absolute and without links, by which a file is known."""
    return real_path(path.parent) / path.name


def _made(output: Path, wants: Callable[[str, str], bool]) -> Iterator[Made]:
    """Yield those results in the records of an output folder that are wanted, by target and source; newest first."""
    with suppress(OSError), hold_folder(output) as folder, folder.inner(STATE) as state:  # noqa: SIM117
        with state.inner(FOLDER) as runs:
            most = STORED_RUNS if isinstance(output, StorePath) else KEPT_RUNS
            for name in sorted((each for each in runs.names() if each.endswith(".jsonl")), reverse=True)[:most]:
                with suppress(OSError), runs.open(name).stream as stream:
                    yield from _results_in(stream.read(READ_BYTES).splitlines(), wants)


def _results_in(lines: Iterable[bytes], wants: Callable[[str, str], bool]) -> Iterator[Made]:
    """Yield the wanted results in one record. What lumen did not write, or not to the end, is passed over."""
    run: dict[str, Any] = {}
    for line in lines:
        with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
            facts = json.loads(line)
            if "run" in facts:
                run = facts["run"]
            elif facts.get("status") == "done" and not run["batch"]["in_place"]:
                target = _below(facts["target"], run["batch"]["output"])
                if wants(target, facts["source"]):
                    source = _absolute(facts["source"], run.get("cwd") or os.getcwd())  # noqa: PTH109
                    settings = settings_of({**run["enhance"], **facts.get("options", {})}, run.get("model"))
                    yield Made(source=source, target=PurePath(target), settings=settings)


def _absolute(source: str, folder: str) -> Path:
    """Return the path of a picture as it was given in a folder."""
    return path_of(source) if is_url(source) else Path(os.path.normpath(os.path.join(folder, source)))  # noqa: PTH118


def _below(path: str, folder: str) -> str:
    """Return a path relative to a folder, both as they were given; this is called for every line."""
    prefix = folder.rstrip(os.sep) + os.sep
    return path[len(prefix) :] if path.startswith(prefix) else os.path.relpath(path, folder)


def _typed(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else shorten(str(value), 60, placeholder="...")
