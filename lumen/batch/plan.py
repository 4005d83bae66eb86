"""Decide, before any work starts, which pictures are enhanced and where each result goes."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from lumen.batch.backup import backup_place, check_backup
from lumen.batch.collisions import check_inputs, check_places
from lumen.batch.discovery import FoundPicture, find_pictures, pictures_below
from lumen.batch.history import places_of
from lumen.batch.job import Job, comparison_of
from lumen.batch.passed_over import PassedOver
from lumen.batch.report import Outcome
from lumen.config import BatchOptions
from lumen.enhance.names import result_name
from lumen.errors import NothingToDoError
from lumen.files.paths import is_folder, real_path, type_of
from lumen.imaging.clip_formats import is_clip
from lumen.imaging.formats import SUFFIXES
from lumen.text import printable

NAME_BYTES = 255  # longest name on all common file systems


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is about to do.

    Attributes:
        jobs: One per picture, in the order of the inputs, then by name. Targets are distinct, and except in place no
            target is an input.
        failures: Inputs that cannot be tried, with the reason.
        inputs: The files and folders that were given.
        home: The folder that keeps the record of the run: the output folder, or in place the first one given.
        passed_over: What was found in folders and not taken.
    """

    jobs: tuple[Job, ...]
    failures: tuple[Outcome, ...] = ()
    inputs: tuple[Path, ...] = ()
    home: Path = Path()
    passed_over: PassedOver = field(default_factory=PassedOver)


def plan_jobs(inputs: Sequence[Path], options: BatchOptions, *, listed: Sequence[Path] = ()) -> Plan:
    """Find the pictures in files, folders and lists, and decide where each result goes.

    A folder's tree is mirrored. A single file goes directly into the output folder, or to the place that its result has
    there already. A file of a list keeps its path.
    Hidden files and folders are left out, and so is the output folder if it lies inside an input. A picture that is
    found twice is enhanced once. Every shard checks all files and takes its share.

    Args:
        inputs: Files (any name) and folders (searched for the suffixes lumen reads).
        options: Where results go, what is taken, and which share of it.
        listed: More files and folders; a missing file counts as failed, and the rest continues.

    Raises:
        UsageError: An input does not exist, a result would overwrite an input, or two results would share a name.
        NothingToDoError: No input matched.
    """
    check_inputs(inputs, options.output)
    failures: list[Outcome] = []

    def unreadable(error: OSError) -> None:
        failures.append(_failure(Path(os.fsdecode(error.filename)), f"cannot list: {error.strerror}"))

    passed_over, places = PassedOver(takes_clips=options.clips), _places(inputs, options)
    jobs: list[Job] = []
    mine: list[Job] = []
    for found in _once(find_pictures(inputs, listed, options, unreadable, passed_over, places), options):
        job = _job(found, options)
        own = shard_of(found.relative, options.shard[1]) == options.shard[0]
        if isinstance(job, Outcome):
            failures += [job] if own else []
            continue
        jobs.append(job)
        mine += [job] if own else []
    if not options.recursive:
        below, passed_over.is_all = pictures_below(filter(is_folder, [*inputs, *listed]), options)
        if below:
            passed_over.below = len(below - {os.path.normpath(job.source.absolute()) for job in jobs})
    if not jobs and not failures:
        raise NothingToDoError(_nothing_found([*inputs, *listed], options, passed_over))
    if options.output is not None:
        beside = [comparison_of(job) for job in jobs] if options.compare else []
        check_places([*jobs, *beside], [*inputs, *listed], options.output)
    if options.backup is not None:
        check_backup(jobs, [*inputs, *listed], options.backup)
    home = options.output or _home_in_place([*inputs, *listed])
    given = (*inputs, *listed)
    return Plan(jobs=tuple(mine), failures=tuple(failures), inputs=given, home=home, passed_over=passed_over)


def _places(inputs: Sequence[Path], options: BatchOptions) -> dict[Path, PurePath]:
    """Return the folders below the output folder where results of the pictures that are named lie already.

    So a picture of a folder that was enhanced before can be named, and its result is made again in its place. In place
    they are those below the folder of originals, where the originals of their neighbours lie.
    """
    if options.backup is not None:
        return {given: backup_place(options.backup, given) for given in inputs if not is_folder(given)}
    if options.output is None or options.result is not None:
        return {}
    named = [given for given in inputs if not is_folder(given)]
    return places_of(options.output, named) if named else {}


def shard_of(relative: PurePath, count: int) -> int:
    """Return the shard of a file, from 1 to `count`: the same on every machine, wherever the disk is mounted."""
    text = unicodedata.normalize("NFC", relative.as_posix())  # some systems store an accented letter as two characters
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) % count + 1


def _once(pictures: Iterable[FoundPicture], options: BatchOptions) -> Iterator[FoundPicture]:
    """Yield each picture once, however often and by which paths it was found."""
    seen: set[str] = set()
    for found in pictures:
        # A link and its target have a result each in an output folder, but in place they are one file.
        place = str(real_path(found.path)) if options.in_place else os.path.normpath(found.path.absolute())
        if place not in seen:
            seen.add(place)
            yield found


def _job(found: FoundPicture, options: BatchOptions) -> Job | Outcome:
    """Return the job for a picture, or why there is none."""
    if not os.path.lexists(found.path):
        return _failure(found.path, "there is no such file")
    if options.output is None:
        if is_clip(found.path):
            return _failure(found.path, "clips are never replaced; use --out instead of --in-place")
        if type_of(found.path) and not os.access(found.path, os.W_OK):
            return _failure(found.path, "the file is read-only")
        if result_name(found.path, "", "same") != found.path.name:
            return _failure(found.path, "lumen reads but does not write this format; use --out instead of --in-place")
        # The link itself stays: its target is replaced.
        is_link = found.below is None and found.path.is_symlink()
        target = real_path(found.path) if is_link else found.path
        if type_of(target) and not os.access(target.parent, os.W_OK):
            return _failure(found.path, "its folder is read-only")
        return Job(source=found.path, target=target, below=found.below, relative=found.relative)
    name = options.result or result_name(found.relative, options.suffix, options.format, options.video_codec)
    if (size := len(os.fsencode(name))) > NAME_BYTES:
        reason = f"the result's name would have {size} bytes, expected at most {NAME_BYTES}; shorten --suffix"
        return _failure(found.path, reason)
    target = options.output / found.relative.with_name(name)
    return Job(source=found.path, target=target, below=found.below, relative=found.relative)


def _failure(source: Path, reason: str) -> Outcome:
    return Outcome(source=source, target=None, status="failed", reason=reason)


def _home_in_place(inputs: Sequence[Path]) -> Path:
    first = real_path(inputs[0])
    return first if is_folder(first) else first.parent


def _nothing_found(inputs: Sequence[Path], options: BatchOptions, passed_over: PassedOver) -> str:
    where = ", ".join(printable(given) for given in inputs[:3]) + (", ..." if len(inputs) > 3 else "")
    chosen = " that --include and --exclude let through" if options.include or options.exclude else ""
    message = f"no pictures ({' '.join(sorted(SUFFIXES))}){chosen} were found in {where or 'an empty list'}"
    return "; ".join([message, *passed_over.lines()])
