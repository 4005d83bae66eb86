"""Decide before any work starts which pictures are enhanced, and where each result goes."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePath

from lumen.config import BatchOptions, Existing
from lumen.enhance.names import result_name
from lumen.errors import NothingToDoError, UsageError
from lumen.finding import Found, find_pictures, is_folder, real_path, type_of
from lumen.imaging.codec import SUFFIXES
from lumen.report import Outcome, printable

COMPARISON_SUFFIX = ".compare.jpg"  # after the whole name of the result: `a.jpg` and `a.png` have one each
NAME_BYTES = 255  # what a name may have on every common file system


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to enhance and the file its result becomes; in place the same, or what a link points to."""

    source: Path
    target: Path


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is about to do.

    Attributes:
        jobs: One per input, in the order of the inputs, then by name; targets are distinct, and none is an input but
            in place.
        failures: Inputs that cannot even be tried, with the reason.
        inputs: What was asked for.
        home: The folder that keeps the record of the run: the output folder, or in place the first that was named.
    """

    jobs: tuple[Job, ...]
    failures: tuple[Outcome, ...] = ()
    inputs: tuple[Path, ...] = ()
    home: Path = Path()


def plan_jobs(inputs: Sequence[Path], options: BatchOptions, *, listed: Sequence[Path] = ()) -> Plan:
    """Find the pictures in files, folders and lists, and give each its place.

    A folder's tree is mirrored; a single file goes directly into the output folder; a file of a list keeps its path.
    Hidden files and folders, and the output folder itself where it lies inside an input, are left out. A picture that
    is found twice is taken once. Of shards, each checks the whole and takes its share.

    Args:
        inputs: Files (any name) and folders (searched for the suffixes lumen reads).
        options: Where results go, what is taken, and which share of it.
        listed: More files and folders; one that is not there is a failure of its own.

    Raises:
        UsageError: An input does not exist, a result would overwrite an input, or two results would be one file.
        NothingToDoError: No input matched.
    """
    _check_inputs(inputs, options.output)
    failures: list[Outcome] = []

    def unreadable(error: OSError) -> None:
        failures.append(_failure(Path(os.fsdecode(error.filename)), f"cannot list: {error.strerror}"))

    jobs: list[Job] = []
    mine: list[Job] = []
    for found in _once(find_pictures(inputs, listed, options, unreadable), options):
        job = _job(found, options)
        own = shard_of(found.relative, options.shard[1]) == options.shard[0]
        if isinstance(job, Outcome):
            failures += [job] if own else []
            continue
        jobs.append(job)
        mine += [job] if own else []
    if not jobs and not failures:
        raise NothingToDoError(_nothing_found([*inputs, *listed], options))
    if options.output is not None:
        beside = [comparison_of(job) for job in jobs] if options.compare else []
        _check_places([*jobs, *beside], [*inputs, *listed], options.output)
    home = options.output or _home_in_place([*inputs, *listed])
    return Plan(jobs=tuple(mine), failures=tuple(failures), inputs=(*inputs, *listed), home=home)


def shard_of(relative: PurePath, count: int) -> int:
    """Return which of `count` shards, from 1, a file belongs to: the same on every machine, wherever its disk is."""
    text = unicodedata.normalize("NFC", relative.as_posix())  # some systems store accents in two characters
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) % count + 1


def comparison_of(job: Job) -> Job:
    """Return the place of the picture of before and after, beside the result."""
    return replace(job, target=job.target.with_name(job.target.name + COMPARISON_SUFFIX))


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
    there = [job.target for job in jobs if type_of(job.target)]
    if there:
        raise UsageError(
            f"expected no results before the run, but {len(there)} exist, such as {printable(there[0])}; "
            "use --existing skip, update or overwrite"
        )


def _once(pictures: Iterable[Found], options: BatchOptions) -> Iterator[Found]:
    """Yield each picture once, however often and by which paths it was found."""
    seen: set[str] = set()
    for found in pictures:
        # A link and what it points to have a result each, but only one place to be replaced in.
        place = str(real_path(found.path)) if options.in_place else os.path.normpath(found.path.absolute())
        if place not in seen:
            seen.add(place)
            yield found


def _job(found: Found, options: BatchOptions) -> Job | Outcome:
    """Return what is to be done with a picture, or why it cannot be done."""
    if not os.path.lexists(found.path):
        return _failure(found.path, "there is no such file")
    if options.output is None:
        if type_of(found.path) and not os.access(found.path, os.W_OK):
            return _failure(found.path, "the file is read-only")
        if result_name(found.path, "", "same") != found.path.name:
            return _failure(found.path, "lumen reads but does not write this format; use --out instead of --in-place")
        # A link stays one: what it points to is replaced.
        target = real_path(found.path) if found.path.is_symlink() else found.path
        if type_of(target) and not os.access(target.parent, os.W_OK):
            return _failure(found.path, "its folder is read-only")
        return Job(source=found.path, target=target)
    name = result_name(found.relative, options.suffix, options.format)
    if (size := len(os.fsencode(name))) > NAME_BYTES:
        reason = f"the result's name would have {size} bytes, expected at most {NAME_BYTES}; shorten --suffix"
        return _failure(found.path, reason)
    return Job(source=found.path, target=options.output / found.relative.with_name(name))


def _failure(source: Path, reason: str) -> Outcome:
    return Outcome(source=source, target=None, status="failed", reason=reason)


def _home_in_place(inputs: Sequence[Path]) -> Path:
    first = real_path(inputs[0])
    return first if is_folder(first) else first.parent


def _check_inputs(inputs: Sequence[Path], output: Path | None) -> None:
    for given in inputs:
        if not os.path.lexists(given):
            raise UsageError(f"there is no file or folder {printable(given)}")
    if output is None:
        return
    if type_of(output) not in (stat.S_IFDIR, 0):
        raise UsageError(f"expected a folder after --out, got the file {printable(output)}")
    if not type_of(output) and output.suffix.lower() in SUFFIXES:
        raise UsageError(f"expected a folder after --out, got {printable(output)}, which names a picture")
    for given in inputs:
        if is_folder(given) and _same_folder(given, output):
            raise UsageError(
                f"the output folder {printable(output)} is the input folder; choose another --out, or replace the "
                "pictures themselves with --in-place"
            )


def _same_folder(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)  # also where case makes no difference
    except OSError:
        return real_path(first) == real_path(second)


def _check_places(jobs: Sequence[Job], inputs: Sequence[Path], output: Path) -> None:
    """Refuse results that would overwrite an input or each other, or that the next run would take for inputs."""
    real_folder, identity, fold = cache(real_path), cache(_identity), _folding(output)

    def place_of(path: Path) -> tuple[str, str]:
        return fold(identity(path.parent)), fold(path.name)

    # A folder that holds the output folder is fine, that one is left out of the scan. The other way round is not.
    inside = [real_path(given) for given in inputs if is_folder(given)]
    around = [folder for folder in inside if folder.is_relative_to(real_path(output))]
    sources = {place_of(real_path(job.source)): job.source for job in jobs}
    sources |= {place_of(job.source): job.source for job in jobs}  # links themselves
    targets: dict[tuple[str, str], Path] = {}
    for job in jobs:
        place = place_of(job.target)  # a link at the target itself would be replaced
        if place in sources:
            raise UsageError(
                f"a result would overwrite the input {printable(sources[place])}; choose another --out, or --in-place"
            )
        stands = real_folder(job.target.parent) / job.target.name
        if any(stands.is_relative_to(folder) for folder in around):
            raise UsageError(f"the result {printable(stands)} would stand among the inputs; choose another --out")
        if place in targets:
            raise UsageError(
                f"{printable(targets[place])} and {printable(job.source)} would both become "
                f"{printable(job.target)}; enhance them into different folders"
            )
        targets[place] = job.source


def _identity(folder: Path) -> str:
    """Return what a folder is called, whatever its names: it may be mounted twice, or written in another case."""
    try:
        facts = folder.stat()
    except OSError:  # it will be made
        facts = None
    return f"{facts.st_dev}:{facts.st_ino}" if facts is not None and facts.st_ino else str(real_path(folder))


def _folding(output: Path) -> Callable[[str], str]:
    """Return what makes two names equal where they are one file: many disks ignore case."""
    if not _ignores_case(output):
        return str
    return lambda name: unicodedata.normalize("NFC", name).casefold()


def _ignores_case(folder: Path) -> bool:
    """Tell whether the disk of a folder, or of the nearest one above that is there, takes `a` and `A` for one name."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if is_folder(each))
    try:
        inside = list(there.iterdir())
    except OSError:
        inside = []
    for each in (*inside, there):
        other = each.with_name(each.name.swapcase()) if each.name else each
        if other != each and type_of(each):
            return type_of(other) != 0 and other.samefile(each)
    return False


def _nothing_found(inputs: Sequence[Path], options: BatchOptions) -> str:
    where = ", ".join(printable(given) for given in inputs[:3]) + (", ..." if len(inputs) > 3 else "")
    hint = "" if options.recursive else "; use -r to look into sub-folders"
    chosen = " that --include and --exclude let through" if options.include or options.exclude else ""
    return f"no pictures ({' '.join(sorted(SUFFIXES))}){chosen} were found in {where or 'an empty list'}{hint}"
