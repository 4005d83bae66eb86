"""What the records of the runs into a folder say of its pictures: the newest of each, and the newest run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from lumen.batch.history import READ_BYTES
from lumen.batch.record import FOLDER, KEPT_RUNS
from lumen.errors import NothingToDoError
from lumen.files.inputs import Parent, hold_folder
from lumen.files.patterns import is_comparison
from lumen.files.state import STATE
from lumen.text import printable

_FOREIGN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """One run, as its record tells.

    Attributes:
        asked: The first line: options and inputs.
        model: The model; empty if none was opened.
        end: The last line: counts and times; empty if the run was killed.
    """

    asked: Mapping[str, Any]
    model: Mapping[str, Any] = field(default_factory=dict)
    end: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RecordedPicture:
    """What became of one picture, as the newest record that names it tells.

    Attributes:
        source: The absolute path of the picture.
        given: Its path as the run was given it.
        target: The result, below the output folder; None if it could have none.
        facts: The line of the record: fields of `lumen.batch.report.Outcome`.
        options: How it was enhanced: fields of `EnhanceOptions`.
        is_own: Whether the record belongs to the user who reads it, so that it may say which files are opened.
    """

    source: Path
    given: str
    target: str | None
    facts: Mapping[str, Any]
    options: Mapping[str, Any]
    is_own: bool

    @property
    def relative(self) -> PurePath:
        """Its path below the input folder, by which settings for single pictures know it."""
        return PurePath(self.target or "").with_name(self.source.name)


def read_records(home: Path) -> tuple[RecordedRun, dict[str, RecordedPicture]]:
    """Return the newest run into an output folder, and its pictures by their results, or by themselves if they failed.

    Raises:
        NothingToDoError: There is no record.
    """
    newest: RecordedRun | None = None
    pictures: dict[str, RecordedPicture] = {}
    with suppress(OSError), _records_in(home) as runs:
        names = sorted((each for each in runs.names() if each.endswith(".jsonl")), reverse=True)[:KEPT_RUNS]
        for name in names:
            with suppress(OSError), runs.open(name).stream as stream:
                is_own = not hasattr(os, "geteuid") or os.fstat(stream.fileno()).st_uid == os.geteuid()
                run, found = _read(stream.read(READ_BYTES).splitlines(), is_own=is_own)
                if run is None or run.asked.get("batch", {}).get("in_place"):
                    continue
                newest = newest or run
                for key, picture in found.items():
                    pictures.setdefault(key, picture)
    if newest is None:
        raise NothingToDoError(
            f"expected a folder with the record of a run in {STATE}/{FOLDER}, as `lumen enhance -o` leaves it "
            f"(runs in place have no page), got {printable(home)}"
        )
    return newest, pictures


@contextmanager
def _records_in(home: Path) -> Iterator[Parent]:
    with hold_folder(home) as folder, folder.inner(STATE) as state, state.inner(FOLDER) as runs:
        yield runs


def _read(lines: Iterable[bytes], *, is_own: bool) -> tuple[RecordedRun | None, dict[str, RecordedPicture]]:
    """Return the run and the pictures of one record. What lumen did not write, or not to the end, is passed over."""
    run: RecordedRun | None = None
    pictures: dict[str, RecordedPicture] = {}
    for line in lines:
        with suppress(*_FOREIGN):
            facts = json.loads(line)
            if "run" in facts:
                run = RecordedRun(asked=dict(facts["run"]))
            elif run is None:
                continue
            elif "model" in facts:
                run = replace(run, model=dict(facts["model"]))
            elif "ended" in facts:
                run = replace(run, end=dict(facts))
            elif (picture := _picture(facts, run.asked, is_own=is_own)) is not None:
                pictures[picture.target or str(picture.source)] = picture
    return run, pictures


def _picture(facts: Mapping[str, Any], asked: Mapping[str, Any], *, is_own: bool) -> RecordedPicture | None:
    """Return what a line tells of a picture; None if it is of a comparison, or of a place outside of the folder."""
    given, target = str(facts["source"]), facts["target"]
    if target is not None:
        target = os.path.relpath(target, asked["batch"]["output"])
        if is_comparison(target) or PurePath(target).is_absolute() or os.pardir in PurePath(target).parts:
            return None
    return RecordedPicture(
        source=Path(os.path.normpath(Path(asked.get("cwd") or "", given))),
        given=given,
        target=target,
        facts=facts,
        options={**asked["enhance"], **facts.get("options", {})},
        is_own=is_own,
    )
