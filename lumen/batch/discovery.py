"""Find the pictures to enhance: in folders, by name, in lists, and by patterns."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from lumen.batch.passed_over import PassedOver
from lumen.config import BatchOptions
from lumen.errors import UsageError
from lumen.files.paths import is_folder, real_path
from lumen.files.patterns import Selection

LOOK_S = 1.0  # for pictures that are not taken


@dataclass(frozen=True, kw_only=True)
class FoundPicture:
    """A picture.

    Attributes:
        path: The file.
        relative: Its path below the output folder.
        below: The folder in which it was found, if no link may be followed on the way from there.
    """

    path: Path
    relative: Path
    below: Path | None = None


def find_pictures(
    inputs: Sequence[Path],
    listed: Sequence[Path],
    options: BatchOptions,
    unreadable: Callable[[OSError], None],
    passed_over: PassedOver | None = None,
    places: Mapping[Path, PurePath] | None = None,
) -> Iterator[FoundPicture]:
    """Yield each picture in the order of the inputs, then by name; one that is given twice is yielded twice.

    Within a folder, real files come before those that are only reached through links.

    A folder's tree is mirrored, a single file goes directly into the output folder or to the place that it has there,
    and a file of a list keeps its path. Hidden files, hidden folders and the output folder itself are left out of
    folder scans.

    Args:
        inputs: Files (any name) and folders (searched for the suffixes lumen reads).
        listed: More of both, from a list of files: relative to the current folder, or absolute.
        options: Output folder, recursion and patterns.
        unreadable: Called for folders that cannot be listed.
        passed_over: Told of what is in folders and not taken.
        places: Folders below the output folder for single files, where they have one already.
    """
    passed_over, places = passed_over or PassedOver(), places or {}
    output = None if options.output is None else real_path(options.output)
    selection = Selection(options.include, options.exclude)
    follow = options.follow_links and not options.in_place  # in place, files that nobody named would be replaced
    for given in inputs:
        if is_folder(given):
            for relative in _pictures_in(given, options, selection, unreadable, passed_over, follow=follow):
                yield FoundPicture(path=given / relative, relative=relative, below=None if follow else given)
        elif selection.takes(Path(given.name)):
            yield FoundPicture(path=given, relative=Path(places.get(given, ""), given.name))
    for given in listed:
        place = place_of_listed(given)
        if output is not None and real_path(given).is_relative_to(output):
            continue  # the list of a later run may contain the results of this one
        if is_folder(given) and not selection.drops(place):
            for relative in _pictures_in(given, options, selection, unreadable, passed_over, follow=follow):
                below = None if follow else given
                yield FoundPicture(path=given / relative, relative=place / relative, below=below)
        elif selection.takes(place):
            yield FoundPicture(path=given, relative=place)


def place_of_listed(given: Path) -> Path:
    """Return where a file of a list goes below the output folder.

    Its path from the current folder, or from the root if it lies elsewhere: two files never share a place.
    """
    absolute = Path(os.path.normpath(given.absolute()))
    here = Path.cwd()
    return absolute.relative_to(here if absolute.is_relative_to(here) else absolute.anchor)


def split_list(data: bytes, *, null: bool) -> list[Path]:
    """Return the paths of a list, one per line or each ended by a NUL; empty ones are left out.

    Only NUL-separated lists can contain names with newlines.

    Raises:
        UsageError: The list uses the other separator.
    """
    if b"\0" in data and not null:
        raise UsageError("expected one path per line in the list, got NUL characters; add --null")
    if null and b"\n" in data and b"\0" not in data:
        raise UsageError("expected a list with a NUL after each path, got lines; leave --null out")
    lines = [line.removesuffix(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    entries = data.split(b"\0") if null else lines
    return [Path(os.fsdecode(entry)) for entry in entries if entry]


def pictures_below(folders: Iterable[Path], options: BatchOptions) -> tuple[set[str], bool]:
    """Return which pictures `recursive` would add, as absolute paths, and whether all folders were looked at.

    It ends after a moment: a folder may be the root of a large disk.
    """
    selection, found = Selection(options.include, options.exclude), set[str]()
    follow = options.follow_links and not options.in_place
    deep, nobody = replace(options, recursive=True), PassedOver(takes_clips=options.clips)
    started = time.monotonic()
    for root in folders:
        for below, names in _folders_in(root, deep, selection, lambda _: None, nobody, follow=follow):
            if time.monotonic() - started > LOOK_S:
                return found, False
            for name in names if below.parts else ():
                path = root / below / name
                if selection.takes(below / name) and nobody.takes(path, follow=follow):
                    found.add(os.path.normpath(path.absolute()))
    return found, True


def _pictures_in(
    root: Path,
    options: BatchOptions,
    selection: Selection,
    unreadable: Callable[[OSError], None],
    passed_over: PassedOver,
    *,
    follow: bool,
) -> Iterator[Path]:
    """Yield the relative paths of the pictures below a folder."""
    for below, names in _folders_in(root, options, selection, unreadable, passed_over, follow=follow):
        for name in sorted(names):
            if selection.takes(below / name) and passed_over.takes(root / below / name, follow=follow):
                yield below / name


def _folders_in(
    root: Path,
    options: BatchOptions,
    selection: Selection,
    unreadable: Callable[[OSError], None],
    passed_over: PassedOver,
    *,
    follow: bool,
) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folders to search, as paths below the root, with the names of their files."""
    # Each folder is read once: a link may point to its own parent. Links come last, so that none changes where the
    # result of a real file goes.
    seen = {real_path(options.output)} if options.output is not None else set()
    waiting = deque([Path()])
    while waiting:
        start = waiting.popleft()
        if (real := real_path(root / start)) in seen and start.parts:
            continue
        seen.add(real)
        for folder, folders, names in os.walk(root / start, onerror=unreadable):
            below = Path(folder).relative_to(root)
            yield below, names
            wanted = [name for name in sorted(folders) if not selection.drops(below / name)]
            inside = [name for name in wanted if passed_over.enters(name) and options.recursive]
            links = [name for name in inside if Path(folder, name).is_symlink()]
            waiting.extend(below / name for name in links if follow)
            folders[:] = [name for name in inside if name not in links and _is_first(Path(folder, name), seen)]


def _is_first(folder: Path, seen: set[Path]) -> bool:
    """Remember a folder; return False if it was seen before."""
    real = real_path(folder)
    if real in seen:
        return False
    seen.add(real)
    return True
