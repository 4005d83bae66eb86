"""What earlier runs did, as their records in `.lumen/runs` tell: how a result was made, from what, and where it went.

Whoever may write into an output folder may write its records. So they decide nothing but what people are told, and in
which folder below the output folder, which must be there, a picture has its place.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from textwrap import shorten
from typing import Any, BinaryIO, NamedTuple

from lumen.batch.block import Block
from lumen.batch.record import FAILURE_BYTES, FOLDER, KEPT_RUNS
from lumen.config import BatchOptions, EnhanceOptions
from lumen.files.inputs import Parent, hold_folder
from lumen.files.paths import FOLDERS, is_folder, real_path
from lumen.files.state import STATE
from lumen.files.store_path import StorePath, is_url, path_of
from lumen.text import printable

log = logging.getLogger(__name__)

STORED_RUNS = 20  # that are read of an output in a store: each takes requests
READ_BYTES = 2 * FAILURE_BYTES  # of one record; lumen writes no longer ones
HOMES = 4  # that are remembered
# What a line that lumen did not write, or not to the end, may raise.
_FOREIGN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_CHANGE_NO_RESULT = {"tile_px", "max_memory_bytes", "max_pixels", "allow_8bit", "strict"}
_DEFAULTS = {name: value for name, value in asdict(EnhanceOptions()).items() if name not in _CHANGE_NO_RESULT}
_OF_RUN = {"steady": BatchOptions.steady, "exposure_from": BatchOptions.exposure_from}


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


class _Done(NamedTuple):
    """A result in a record: the name of the record, where its line starts, the result below the output folder."""

    record: str
    start: int
    target: str
    facts: Mapping[str, Any]
    run: dict[str, Any]


def settings_of(
    options: Mapping[str, Any], model: str | None, run: Mapping[str, Any] | None = None
) -> dict[str, object]:
    """Return what decides how a result looks.

    Args:
        options: Fields of `EnhanceOptions`; missing ones, of former versions, have their defaults.
        model: The model as it was asked for; None if that is not known.
        run: Fields of `BatchOptions`, as of `options`.
    """
    found: dict[str, object] = {name: options.get(name, default) for name, default in _DEFAULTS.items()}
    for name, default in _OF_RUN.items():
        value = (run or {}).get(name, default)
        found[name] = value if value is None else str(value)
    return found if model is None else {**found, "model": model}


def differences(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """Return what differs between the settings of two runs, such as `--ev 0, now 1`; empty if nothing does."""
    changed = [name for name in now if name in before and before[name] != now[name]]
    return "; ".join(f"--{name.replace('_', '-')} {_typed(before[name])}, now {_typed(now[name])}" for name in changed)


class History:
    """How the results in an output folder were made last, as the records of the runs tell.

    The records are read through at the first question, and a result takes about a hundred bytes then. There are no more
    than lumen keeps in records, however many files the folder has.
    """

    def __init__(self, output: Path) -> None:
        """Take the output folder."""
        self._output = output
        self._stored = lru_cache(1)(self._read)  # of a store, which is not asked anew for each folder
        self._places: dict[int, tuple[int, int]] | None = None  # of hashes of targets: record, and where in it
        self._records: list[tuple[str, dict[str, Any]]] = []  # names, and how the runs were asked for

    def results_made(self, targets: Iterable[str]) -> dict[str, Made]:
        """Return how results were made, by their paths below the output folder; none of those without a record."""
        wanted: dict[int, list[tuple[int, str]]] = {}
        for target in targets:
            if (place := self._index().get(hash(target))) is not None:
                wanted.setdefault(place[0], []).append((place[1], target))
        found = dict[str, Made]()
        for number, lines in wanted.items():
            name, run = self._records[number]
            with suppress(OSError), self._opened(name) as stream:
                for start, target in lines:
                    stream.seek(start)
                    with suppress(*_FOREIGN):
                        facts = json.loads(stream.readline(READ_BYTES))
                        if _below(facts["target"], run["batch"]["output"]) == target:
                            found[target] = _made_of(facts, target, run)
        return found

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        """Open a record; raises `OSError`."""
        if isinstance(self._output, StorePath):
            yield io.BytesIO(self._stored(name))
            return
        with _records_in(self._output) as runs, runs.open(name).stream as stream:
            yield stream

    def _read(self, name: str) -> bytes:
        with _records_in(self._output) as runs, runs.open(name).stream as stream:
            return stream.read(READ_BYTES)

    def _index(self) -> dict[int, tuple[int, int]]:
        if self._places is None:
            self._places, self._records = {}, []
            for name, start, target, _, run in _done(self._output):
                if not self._records or self._records[-1][0] != name:
                    self._records.append((name, run))
                self._places.setdefault(hash(target), (len(self._records) - 1, start))
        return self._places


def places_of(output: Path, sources: Collection[Path]) -> dict[Path, PurePath]:
    """Return the folders below the output folder to which the results of pictures went last, as far as these are there.

    Args:
        output: The output folder.
        sources: Paths of pictures.
    """
    wanted, found = {_place(source): source for source in sources}, dict[Path, PurePath]()
    names = {source.name for source in sources}
    for _, _, target, facts, run in _done(output):
        with suppress(*_FOREIGN):
            if os.path.basename(facts["source"]) not in names:  # noqa: PTH119  # of many strings
                continue
            made = _made_of(facts, target, run)
            source = wanted.pop(_place(made.source), None)
            if source is not None and is_place(output, made.target.parent):
                found[source] = made.target.parent
        if not wanted:
            break
    return found


class EarlierResults:
    """Which pictures are themselves results of earlier runs into the folders that they lie in.

    Attributes:
        count: How many were found.
        first: The first of them, and how it was made.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: tuple[Path, Made] | None = None
        self._has_warned = False
        self._has_records = lru_cache(FOLDERS)(lambda folder: is_folder(folder / STATE / FOLDER))
        self._history_of = lru_cache(HOMES)(History)
        self._home_of = lru_cache(FOLDERS)(self._find_home)

    def look(self, block: Block) -> None:
        """Look at the pictures of a block."""
        home, folder = self._home_of(block.source)
        if home is None:
            return
        below = folder.relative_to(home)
        sources = {str(below / name): block.source / name for name in block.names}
        for target, made in self._history_of(home).results_made(sources).items():
            self.count += 1
            self.first = self.first or (sources[target], made)

    def _find_home(self, source: Path) -> tuple[Path | None, Path]:
        """Return the nearest folder at or above a folder of pictures that has records of runs, and its real path."""
        folder = real_path(source)
        return next((each for each in (folder, *folder.parents) if self._has_records(each)), None), folder

    def warn(self, *, is_all: bool) -> None:
        """Warn once that there are any; `is_all` says whether all pictures were looked at."""
        if self.first is None or self._has_warned:
            return
        self._has_warned = True
        result, made = self.first
        which = f"{printable(result)}, made from {printable(made.source)}"
        if self.count == 1 and is_all:
            log.warning("an input is itself a result of lumen: %s; enhance that picture instead", which)
        else:
            count = f"{self.count}{'' if is_all else ' or more'}"
            log.warning("%s inputs are themselves results of lumen, such as %s; enhance the originals", count, which)


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


@contextmanager
def _records_in(output: Path) -> Iterator[Parent]:
    with hold_folder(output) as folder, folder.inner(STATE) as state, state.inner(FOLDER) as runs:
        yield runs


def _done(output: Path) -> Iterator[_Done]:
    """Yield the results in the records of an output folder, newest record first."""
    with suppress(OSError), _records_in(output) as runs:
        most = STORED_RUNS if isinstance(output, StorePath) else KEPT_RUNS
        for name in sorted((each for each in runs.names() if each.endswith(".jsonl")), reverse=True)[:most]:
            with suppress(OSError), runs.open(name).stream as stream:
                yield from _done_in(name, stream.read(READ_BYTES))


def _done_in(name: str, data: bytes) -> Iterator[_Done]:
    """Yield the results in one record. What lumen did not write, or not to the end, is passed over."""
    run: dict[str, Any] = {}
    start = 0
    for line in io.BytesIO(data):
        with suppress(*_FOREIGN):
            facts = json.loads(line)
            if "run" in facts:
                run = facts["run"]
            elif facts.get("status") == "done" and not run["batch"]["in_place"]:
                yield _Done(name, start, _below(facts["target"], run["batch"]["output"]), facts, run)
        start += len(line)


def _made_of(facts: Mapping[str, Any], target: str, run: Mapping[str, Any]) -> Made:
    """Return what a line of a record tells; raises one of `_FOREIGN` if lumen did not write it."""
    given = facts["source"]
    source = path_of(given) if is_url(given) else Path(os.path.normpath(Path(run.get("cwd") or Path.cwd(), given)))
    settings = settings_of({**run["enhance"], **facts.get("options", {})}, run.get("model"), run["batch"])
    return Made(source=source, target=PurePath(target), settings=settings)


def _below(path: str, folder: str) -> str:
    """Return a path relative to a folder, both as they were given; this is called for every line."""
    prefix = folder.rstrip(os.sep) + os.sep
    return path[len(prefix) :] if path.startswith(prefix) else os.path.relpath(path, folder)


def _typed(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else shorten(str(value), 60, placeholder="...")
