"""Find the pictures that are meant: in folders, by name, in lists, and by patterns."""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path, PurePath

from lumen.config import BatchOptions
from lumen.errors import UsageError
from lumen.imaging.codec import SUFFIXES

Unreadable = Callable[[OSError], None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A picture, and its place below the output folder."""

    path: Path
    relative: Path


class Selection:
    """The patterns of `--include` and `--exclude`.

    A pattern is a glob whose `*` also crosses folders. It is matched against the path below the given folder and
    against the name alone; case makes no difference, as cameras write both IMG.JPG and img.jpg.
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        """Take the patterns; without `include` everything is taken that is not excluded."""
        self._include = [_compiled(pattern) for pattern in include]
        self._exclude = [_compiled(pattern) for pattern in exclude]

    def takes(self, relative: PurePath) -> bool:
        """Tell whether a file is wanted."""
        return (not self._include or _matches(self._include, relative)) and not self.drops(relative)

    def drops(self, relative: PurePath) -> bool:
        """Tell whether a file, or a folder with all that is in it, is excluded."""
        return _matches(self._exclude, relative)


def find_pictures(
    inputs: Sequence[Path], listed: Sequence[Path], options: BatchOptions, unreadable: Unreadable
) -> Iterator[Found]:
    """Yield each picture in the order of the inputs, then by name; one that is named twice comes twice.

    What lies in a folder comes before what only a link leads to.

    A folder's tree is mirrored, a single file goes directly into the output folder, and a file of a list keeps its
    path. Hidden files and folders are left out of folders, and so is the output folder itself.

    Args:
        inputs: Files (any name) and folders (searched for the suffixes lumen reads).
        listed: More of both, as lists of files name them: relative to the current folder, or absolute.
        options: Output folder, recursion and patterns.
        unreadable: Told about folders that cannot be listed.
    """
    output = None if options.output is None else real_path(options.output)
    selection = Selection(options.include, options.exclude)
    for given in inputs:
        if is_folder(given):
            for relative in _pictures_in(given, options, selection, unreadable):
                yield Found(path=given / relative, relative=relative)
        elif selection.takes(Path(given.name)):
            yield Found(path=given, relative=Path(given.name))
    for given in listed:
        place = place_of_listed(given)
        if output is not None and real_path(given).is_relative_to(output):
            continue  # the list of the next run will hold the results of this one
        if is_folder(given) and not selection.drops(place):
            for relative in _pictures_in(given, options, selection, unreadable):
                yield Found(path=given / relative, relative=place / relative)
        elif selection.takes(place):
            yield Found(path=given, relative=place)


def place_of_listed(given: Path) -> Path:
    """Return where a file of a list goes below the output folder.

    Its path from the current folder, or from the root where it lies elsewhere: two files never share a place.
    """
    absolute = Path(os.path.normpath(given.absolute()))
    here = Path.cwd()
    return absolute.relative_to(here if absolute.is_relative_to(here) else absolute.anchor)


def split_list(data: bytes, *, null: bool) -> list[Path]:
    """Return the paths of a list, one per line or ended by a NUL each; empty ones are left out.

    Only NUL-separated lists can hold names with newlines.

    Raises:
        UsageError: The list is separated in the other way.
    """
    if b"\0" in data and not null:
        raise UsageError("expected one path per line in the list, got NUL characters; add --null")
    if null and b"\n" in data and b"\0" not in data:
        raise UsageError("expected a list with a NUL after each path, got lines; leave --null out")
    lines = [line.removesuffix(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    entries = data.split(b"\0") if null else lines
    return [Path(os.fsdecode(entry)) for entry in entries if entry]


def is_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder."""
    return type_of(path) == stat.S_IFDIR


def type_of(path: Path) -> int:
    """Return `stat.S_IFMT` of a path, 0 when nothing can be seen there.

    `Path.exists` and the like raise where a name is too long or a folder may not be entered.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):  # a NUL in a name is a ValueError
        return 0


def real_path(path: Path) -> Path:
    """Return a path without links, as far as it can be followed."""
    return Path(os.path.realpath(path))


def _pictures_in(root: Path, options: BatchOptions, selection: Selection, unreadable: Unreadable) -> Iterator[Path]:
    """Yield the places of pictures below a folder."""
    # Links are followed, each folder once: one may point to its own parent. In place they are not: what they point to
    # was never named, and would be replaced. They come last, so that no link changes the place of what is really there.
    follow = not options.in_place
    seen = {real_path(options.output)} if options.output is not None else set()
    waiting = deque([Path()])
    while waiting:
        start = waiting.popleft()
        if (real := real_path(root / start)) in seen and start.parts:
            continue
        seen.add(real)
        for folder, folders, names in os.walk(root / start, onerror=unreadable):
            below = Path(folder).relative_to(root)
            for name in sorted(names):
                path = Path(folder, name)
                if _is_picture(path) and (follow or not path.is_symlink()) and selection.takes(below / name):
                    yield below / name
            inside = [name for name in sorted(folders) if options.recursive and not name.startswith(".")]
            inside = [name for name in inside if not selection.drops(below / name)]
            links = [name for name in inside if Path(folder, name).is_symlink()]
            waiting.extend(below / name for name in links if follow)
            folders[:] = [name for name in inside if name not in links and _is_first(Path(folder, name), seen)]


def _is_first(folder: Path, seen: set[Path]) -> bool:
    """Remember a folder; return False when it was there already."""
    real = real_path(folder)
    if real in seen:
        return False
    seen.add(real)
    return True


def _is_picture(path: Path) -> bool:
    """Tell by name, and leave out hidden files, and pipes and devices, which would block.

    What cannot be looked at is taken: it then fails by name.
    """
    known = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    return known and type_of(path) in (stat.S_IFREG, 0)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace(os.sep, "/").rstrip("/")), re.IGNORECASE)


def _matches(patterns: Iterable[re.Pattern[str]], relative: PurePath) -> bool:
    return any(pattern.match(text) for pattern in patterns for text in (relative.as_posix(), relative.name))
