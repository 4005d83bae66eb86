"""Find inputs, and decide before any work starts where each result goes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lumen.config import BatchOptions, Existing
from lumen.errors import NothingToDoError, UsageError
from lumen.imaging.codec import SUFFIXES
from lumen.report import Outcome, printable

NAME_BYTES = 255  # what a name may have on every common file system


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to enhance and the file its result becomes."""

    source: Path
    target: Path


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is about to do.

    Attributes:
        jobs: One per input, in the order of the inputs, then by name; targets are distinct and none is an input.
        failures: Inputs that cannot even be tried, with the reason.
    """

    jobs: tuple[Job, ...]
    failures: tuple[Outcome, ...] = ()


def plan_jobs(inputs: Sequence[Path], options: BatchOptions) -> Plan:
    """Find the pictures in files and folders and give each its place under the output folder.

    A folder's tree is mirrored; a single file goes directly into the output folder. Hidden files and folders, and the
    output folder itself where it lies inside an input, are left out. A picture that is found twice is taken once.

    Args:
        inputs: Files (any name) and folders (searched for the suffixes lumen reads).
        options: Output folder, recursion and name suffix.

    Raises:
        UsageError: An input does not exist, a result would overwrite an input, or two results would be one file.
        NothingToDoError: No input matched.
    """
    _check_output(options.output, inputs)
    failures: list[Outcome] = []

    def unreadable(error: OSError) -> None:
        path = Path(os.fsdecode(error.filename))
        failures.append(Outcome(source=path, target=None, status="failed", reason=f"cannot list: {error.strerror}"))

    seen: set[str] = set()
    jobs: list[Job] = []
    for source, relative in _find(inputs, options, unreadable):
        place = os.path.normpath(source.absolute())
        if place in seen:
            continue
        seen.add(place)
        target = options.output / relative.with_name(relative.stem + options.suffix + relative.suffix)
        if (size := len(os.fsencode(target.name))) > NAME_BYTES:
            reason = f"the result's name would have {size} bytes, expected at most {NAME_BYTES}; shorten --suffix"
            failures.append(Outcome(source=source, target=None, status="failed", reason=reason))
            continue
        jobs.append(Job(source=source, target=target))
    if not jobs and not failures:
        raise NothingToDoError(_nothing_found(inputs, options))
    _check_places(jobs, inputs, options.output)
    return Plan(jobs=tuple(jobs), failures=tuple(failures))


def skip_reason(job: Job, existing: Existing) -> str | None:
    """Return why a job needs no work, or None when it does.

    A result that is there is whole: files get their final name only when they are complete.
    """
    if existing in ("overwrite", "error"):
        return None
    try:
        result = job.target.stat()
        if existing == "update" and result.st_mtime_ns < job.source.stat().st_mtime_ns:
            return None
    except OSError:  # no result; or a name too long, a lost input: the work on that file will say so
        return None
    return "the result exists" if existing == "skip" else "the result is newer than the input"


def refuse_existing(jobs: Sequence[Job]) -> None:
    """Raise `UsageError` when any result is there already (the policy `error`)."""
    there = [job.target for job in jobs if _type(job.target)]
    if there:
        raise UsageError(
            f"expected no results before the run, but {len(there)} exist, such as {printable(there[0])}; "
            "use --existing skip, update or overwrite"
        )


def _find(
    inputs: Sequence[Path], options: BatchOptions, unreadable: Callable[[OSError], None]
) -> Iterator[tuple[Path, Path]]:
    """Yield each picture and its place below the output folder."""
    output = _real(options.output)
    for given in inputs:
        if _is_folder(given):
            for file in _pictures_in(given, options.recursive, output, unreadable):
                yield file, file.relative_to(given)
        else:
            yield given, Path(given.name)


def _pictures_in(root: Path, recursive: bool, excluded: Path, unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    seen = {_real(root), excluded}  # links are followed, each folder once: a link may point to its own parent
    for folder, folders, names in os.walk(root, onerror=unreadable, followlinks=True):
        for name in sorted(names):
            file = Path(folder, name)
            if not name.startswith(".") and file.suffix.lower() in SUFFIXES and _is_file(file):
                yield file
        kept = []
        for name in sorted(folders) if recursive else ():
            real = _real(Path(folder, name))
            if not name.startswith(".") and real not in seen:
                seen.add(real)
                kept.append(name)
        folders[:] = kept


def _is_file(path: Path) -> bool:
    """Tell files, and what cannot be looked at (and then fails by name), from pipes and devices (which would block)."""
    return _type(path) in (stat.S_IFREG, 0)


def _is_folder(path: Path) -> bool:
    return _type(path) == stat.S_IFDIR


def _type(path: Path) -> int:
    """Return `stat.S_IFMT` of a path, 0 when nothing can be seen there.

    `Path.exists` and the like raise where a name is too long or a folder may not be entered.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError:
        return 0


def _check_output(output: Path, inputs: Sequence[Path]) -> None:
    if _type(output) not in (stat.S_IFDIR, 0):
        raise UsageError(f"expected a folder after --out, got the file {printable(output)}")
    if not _type(output) and output.suffix.lower() in SUFFIXES:
        raise UsageError(f"expected a folder after --out, got {printable(output)}, which names a picture")
    for given in inputs:
        if not os.path.lexists(given):
            raise UsageError(f"there is no file or folder {printable(given)}")
        if _is_folder(given) and _real(given) == _real(output):
            raise UsageError(f"the output folder {printable(output)} is the input folder; choose another --out")


def _check_places(jobs: Sequence[Job], inputs: Sequence[Path], output: Path) -> None:
    """Refuse results that would overwrite an input or each other, or that the next run would take for inputs."""
    real_folder = cache(_real)
    # A folder that holds the output folder is fine, that one is left out of the scan. The other way round is not.
    around = [real for given in inputs if _is_folder(given) and (real := _real(given)).is_relative_to(_real(output))]
    sources = {_real(job.source): job.source for job in jobs}
    sources |= {real_folder(job.source.parent) / job.source.name: job.source for job in jobs}  # links themselves
    targets: dict[Path, Path] = {}
    for job in jobs:
        place = real_folder(job.target.parent) / job.target.name  # a link at the target itself would be replaced
        if place in sources:
            raise UsageError(f"a result would overwrite the input {printable(sources[place])}; choose another --out")
        if any(place.is_relative_to(folder) for folder in around):
            raise UsageError(f"the result {printable(place)} would stand among the inputs; choose another --out")
        if place in targets:
            raise UsageError(
                f"{printable(targets[place])} and {printable(job.source)} would both become "
                f"{printable(job.target)}; enhance them into different folders"
            )
        targets[place] = job.source


def _nothing_found(inputs: Sequence[Path], options: BatchOptions) -> str:
    where = ", ".join(printable(given) for given in inputs[:3]) + (", ..." if len(inputs) > 3 else "")
    hint = "" if options.recursive else "; use -r to look into sub-folders"
    return f"no pictures ({' '.join(sorted(SUFFIXES))}) were found in {where}{hint}"


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
