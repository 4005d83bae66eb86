"""Find the pictures to enhance: in folders, by name, and by patterns; `lumen.batch.listed` has those of lists.

They are found folder by folder and never held together: `find_folders` yields one `FoundFolder` after the other. All
that the rest of lumen knows of a tree is the order in which `TreeSearch.folders` yields its folders, with the names of
their pictures. Whatever can list one folder at a time, such as a store by prefixes, can yield the same.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from lumen.batch.passed_over import PassedOver
from lumen.config import BatchOptions
from lumen.files.paths import is_folder, real_path, real_paths, type_of
from lumen.files.patterns import Selection, is_hidden, is_picture_name
from lumen.files.store_path import StorePath

LOOK_S = 1.0  # for pictures that are not taken


@dataclass(frozen=True, kw_only=True)
class FoundFolder:
    """Pictures of one folder: all that are taken of it, or some that were named one after the other.

    Attributes:
        path: The folder.
        place: Its path below the output folder, and below the input folder.
        names: The names of the pictures: sorted, or named ones as they were given.
        links: Those of them that are links.
        missing: Those of named files that are not there.
        root: The input folder that is searched; None for named files.
        unreadable: Why the folder cannot be listed; then there are no names.
        sidecars: The sidecars of a prefix of a store, of whatever pictures; None is not known.
    """

    path: Path
    place: Path = Path()
    names: Sequence[str] = ()
    links: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    root: Path | None = None
    unreadable: str = ""
    sidecars: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class TreeSearch:
    """How folders are searched.

    Attributes:
        selection: The patterns of files and folders.
        passed_over: Told of what is in folders and not taken.
        recursive: Whether sub-folders are searched.
        follow: Whether links are followed.
        output: The real path of the output folder, which is left out, and with it links that lead there.
        real: Returns the real path of a link.
    """

    selection: Selection = field(default_factory=Selection)
    passed_over: PassedOver = field(default_factory=PassedOver)
    recursive: bool = False
    follow: bool = True
    output: Path | None = None
    real: Callable[[Path], Path] = field(default_factory=real_paths)

    @classmethod
    def of(cls, options: BatchOptions, passed_over: PassedOver) -> TreeSearch:
        """Return the search that the options ask for."""
        return cls(
            selection=Selection(options.include, options.exclude),
            passed_over=passed_over,
            recursive=options.recursive,
            follow=options.follow_links and not options.in_place,  # or files that nobody named would be replaced
            output=None if options.output is None else real_path(options.output),
        )

    def folders(self, root: Path, place: Path = Path()) -> Iterator[FoundFolder]:
        """Yield the folders of a tree: each before its sub-folders, these by name, and each once.

        Folders that are only reached through links come last, so that none changes where the result of a real file
        goes. A folder is listed when it is asked for; what is held meanwhile are the names of folders still to visit.

        Args:
            root: The input folder.
            place: Its path below the output folder.
        """
        if isinstance(root, StorePath):
            from lumen.batch.prefix_search import find_prefixes

            yield from find_prefixes(self, root, place)
            return
        started = list[_Start]()
        waiting = deque([Path()])
        while waiting:
            start = _Start(real=real_path(root / (first := waiting.popleft())), below=first)
            if first.parts and (self.is_output(start.real) or self._has_seen(start.real, started)):
                continue
            stack = [first]
            while stack:
                below = stack.pop()
                real = start.real / below.relative_to(first)
                if below != first and (real == self.output or self._has_seen(real, started)):
                    continue
                found, inner = self._listed(root, below, place)
                yield found
                stack.extend(below / name for name in reversed(inner) if not inner[name])
                waiting.extend(below / name for name in inner if inner[name] and self.follow)
            started.append(start)

    def is_output(self, real: Path) -> bool:
        """Tell whether a real path lies in the output folder."""
        return self.output is not None and real.is_relative_to(self.output)

    def _listed(self, root: Path, below: Path, place: Path) -> tuple[FoundFolder, dict[str, bool]]:
        """Return the pictures of a folder, and which sub-folders to search, by name, with whether each is a link."""
        path = root / below
        names, links, inner = list[str](), list[str](), dict[str, bool]()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    is_link = entry.is_symlink()
                    if _is_folder(entry):
                        inner[entry.name] = is_link
                    elif self._takes(entry, below, is_link=is_link):
                        names.append(entry.name)
                        links += [entry.name] if is_link else []
        except OSError as error:
            return FoundFolder(path=path, unreadable=f"cannot list: {error.strerror}", root=root), {}
        names.sort()
        wanted = {name: inner[name] for name in sorted(inner) if not self.selection.drops(below / name)}
        entered = {name: is_link for name, is_link in wanted.items() if self.passed_over.enters(name)}
        found = FoundFolder(path=path, place=place / below, names=names, links=frozenset(links), root=root)
        return found, entered if self.recursive else {}

    def _takes(self, entry: os.DirEntry[str], below: Path, *, is_link: bool) -> bool:
        """Tell whether a file is a picture to take; what is not is counted.

        Pipes and devices, which would block, are not taken. A file that cannot be inspected is: reading it then reports
        the failure.
        """
        if not self.takes_name(entry.name, below):
            return False
        if not is_link:
            return entry.is_file(follow_symlinks=False)
        if self.follow and not (self.output is not None and self.is_output(self.real(Path(entry.path)))):
            return type_of(Path(entry.path)) in (stat.S_IFREG, 0)
        self.passed_over.links += 1
        return False

    def takes_name(self, name: str, below: Path) -> bool:
        """Tell whether a file is one to take by its name; what is not is counted."""
        if not self.selection.takes_all and not self.selection.takes(below / name):
            return False
        return self.passed_over.takes(name)

    def _has_seen(self, real: Path, started: Iterable[_Start]) -> bool:
        """Tell whether a search that ended has come by a folder, without having kept the names of all."""
        return any(self._comes_by(start, real) for start in started)

    def _comes_by(self, start: _Start, real: Path) -> bool:
        if not real.is_relative_to(start.real):
            return False
        below = start.below
        for name in real.relative_to(start.real).parts:
            below /= name
            if is_hidden(name) or self.selection.drops(below):
                return False
        return self.recursive or real == start.real


@dataclass(frozen=True, kw_only=True)
class _Start:
    """Where a search began: at the input folder, or at a link below it."""

    real: Path
    below: Path


def find_folders(
    inputs: Iterable[Path],
    search: TreeSearch,
    places: Mapping[Path, PurePath] | None = None,
) -> Iterator[FoundFolder]:
    """Yield what is found in the order of the inputs, folder by folder; a picture that is given twice comes twice.

    A folder's tree is mirrored, a single file goes directly into the output folder or to the place that it has there.
    Hidden files, hidden folders and the output folder itself are left out of folder scans.

    Args:
        inputs: Files (any name) and folders (searched for the suffixes lumen reads).
        search: How folders are searched.
        places: Folders below the output folder for single files, where they have one already.
    """
    for given in inputs:
        if is_folder(given):
            yield from search.folders(given)
        elif search.selection.takes(Path(given.name)):
            kind, one = own_type(given), frozenset([given.name])
            yield FoundFolder(
                path=given.parent,
                place=Path((places or {}).get(given, "")),
                names=[given.name],
                links=one if kind == stat.S_IFLNK else frozenset(),
                missing=frozenset() if kind else one,
            )


def own_type(path: str | Path) -> int:
    """Return `stat.S_IFMT` of a path itself, also of a link; 0 if nothing is there.

    A store is not asked whether what has the name of a picture is one: there may be millions of them in a list.
    """
    if isinstance(path, StorePath) and is_picture_name(path.name):
        return stat.S_IFREG
    try:
        return stat.S_IFMT((path.lstat() if isinstance(path, StorePath) else os.lstat(path)).st_mode)
    except (OSError, ValueError):  # a NUL in a name is a ValueError
        return 0


def pictures_below(folders: Iterable[Path], search: TreeSearch) -> Iterator[str | None]:
    """Yield the pictures that `recursive` would add, as absolute paths, and a last None if there may be more.

    It ends after a moment: a folder may be the root of a large disk.
    """
    nobody, started = PassedOver(takes_clips=search.passed_over.takes_clips), time.monotonic()
    deep = replace(search, recursive=True, passed_over=nobody)
    for root in folders:
        for found in deep.folders(root):
            if time.monotonic() - started > LOOK_S:
                yield None
                return
            if found.path != root:
                yield from (os.path.normpath((found.path / name).absolute()) for name in found.names)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
