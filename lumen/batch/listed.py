"""Files and folders that a list names: `--files-from`.

A list is text, in any order, and may have millions of lines. `find_listed` yields what they name. Lines come from
`as_listed` as they stand, or from `gathered` by folders: so it costs little to know all before the first is worked on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from lumen.batch.discovery import FoundFolder, TreeSearch, own_type
from lumen.errors import UsageError
from lumen.files.paths import FOLDERS, is_folder, real_path
from lumen.files.patterns import is_picture_name
from lumen.files.store_path import SCHEMES, WEB, StorePath, path_of

JOINED = 1000  # files of one folder that are planned together
PIECE_BYTES = 1 << 16  # of a list that are decoded together
GATHERED = 100_000  # lines that are sorted by folders together
MANY = 20  # files of a folder that take longer to ask for one by one than to list with the folder
ODD = 10_000  # links and folders in a folder that are remembered

_BUCKETS = tuple(f"{scheme}://" for scheme in SCHEMES if scheme not in WEB)

# What a line names: the folder, the name in there, its type (`stat.S_IFMT`, 0 if nothing is there), and the whole.
Line = tuple[str | StorePath, str, int, str | StorePath]


@dataclass(frozen=True, kw_only=True)
class PathList:
    """The paths of a list, decoded a few at a time: a list may have millions.

    Attributes:
        data: The list.
        null: Whether each path ends with a NUL, instead of a newline.
    """

    data: bytes = b""
    null: bool = False

    def __iter__(self) -> Iterator[str]:
        """Yield the paths; empty ones are left out."""
        end, start = ("\0" if self.null else "\n"), 0
        while start < len(self.data):
            stop = self.data.find(end.encode(), start + PIECE_BYTES)
            piece = self.data[start : stop if stop >= 0 else None]
            start += len(piece) + 1
            for entry in os.fsdecode(piece).split(end):
                if path := entry if self.null else entry.removesuffix("\r"):
                    yield path

    def __len__(self) -> int:
        """Return how many paths there are."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        """Tell whether there is a path."""
        return next(iter(self), None) is not None


def read_list(data: bytes, *, null: bool) -> PathList:
    """Return the paths in a list, one per line or, with `null`, each ended by a NUL character.

    Only NUL-separated lists can contain names with newlines.

    Raises:
        UsageError: The list uses the other separator.
    """
    if b"\0" in data and not null:
        raise UsageError("expected one path per line in the list, got NUL characters; add --null")
    if null and b"\n" in data and b"\0" not in data:
        raise UsageError("expected a list with a NUL after each path, got lines; leave --null out")
    return PathList(data=data.removeprefix(b"\xef\xbb\xbf"), null=null)


def as_listed(listed: Iterable[str | Path]) -> Iterator[Line]:
    """Yield what the lines of a list name, each looked at by itself."""
    for entry in listed:
        folder, name, given = parts_of(entry)
        is_object = isinstance(folder, str) and "://" in folder
        yield folder, name, stat.S_IFREG if is_object else own_type(given), given


def by_folder(listed: Iterable[str | Path]) -> Iterator[tuple[str | StorePath, list[str], list[str | StorePath]]]:
    """Yield folders that a list names something in, the names in them and the whole lines, in any order."""
    entries = iter(listed)
    while piece := list(islice(entries, GATHERED)):
        folders: dict[str | StorePath, tuple[list[str], list[str | StorePath]]] = {}
        for folder, name, given in map(parts_of, piece):
            if (inside := folders.get(folder)) is None:
                inside = folders[folder] = ([], [])
            inside[0].append(name)
            inside[1].append(given)
        yield from ((folder, *inside) for folder, inside in folders.items())


def gathered(listed: Iterable[str | Path]) -> Iterator[Line]:
    """Yield what the lines name, by folders, and without a look at each: a folder with many of them is listed instead.

    What is missing in such a folder counts as a file.
    """
    kinds_in = lru_cache(FOLDERS)(_kinds_in)
    for folder, names, lines in by_folder(listed):
        is_many = isinstance(folder, str) and "://" not in folder and len(names) > MANY
        kinds = kinds_in(folder) if is_many else None
        if kinds is None:
            yield from as_listed(lines)
        else:
            kind_of = kinds.get
            for name, given in zip(names, lines, strict=True):
                yield folder, name, kind_of(name, stat.S_IFREG), given


def find_listed(lines: Iterable[Line], search: TreeSearch) -> Iterator[FoundFolder]:
    """Yield what a list names; files of one folder that come one after the other are joined.

    A file of a list keeps its path. What lies in the output folder is left out: the list of a later run may contain the
    results of this one.

    Args:
        lines: The list: paths relative to the current folder, or absolute ones.
        search: How folders are searched.
    """

    @lru_cache(FOLDERS)
    def facts(folder: str | StorePath) -> tuple[Path, Path, bool]:
        path = path_of(folder)
        return path, place_of_listed(path), search.is_output(real_path(path))

    named = _Named(Path(), Path())
    for text, name, kind, given in lines:
        folder, place, is_output = facts(text)
        if kind in (stat.S_IFDIR, stat.S_IFLNK) and not isinstance(given, StorePath):
            is_output = search.is_output(search.real(Path(given)))
        if is_output:
            continue
        root = _folder_of(given, kind)
        if root is not None:
            yield from named.taken()
            if not search.selection.drops(place := place_of_listed(root)):
                yield from search.folders(root, place)
        elif search.selection.takes_all or search.selection.takes(place / name):
            if (named.path is not folder and named.path != folder) or len(named.names) >= JOINED:
                yield from named.taken()
                named = _Named(folder, place)
            named.add(name, kind)
    yield from named.taken()


def place_of_listed(given: Path) -> Path:
    """Return where a file of a list goes below the output folder.

    Its path from the current folder, or from the root if it lies elsewhere, or in a store that from the bucket on: two
    files never share a place.
    """
    if isinstance(given, StorePath):
        return Path(*given.parts[1:])
    absolute = Path(os.path.normpath(given.absolute()))
    here = Path.cwd()
    return absolute.relative_to(here if absolute.is_relative_to(here) else absolute.anchor)


class _Named:
    """Files of one folder that were named one after the other."""

    def __init__(self, path: Path, place: Path) -> None:
        self.path, self._place = path, place
        self.names: list[str] = []
        self._links, self._missing = set[str](), set[str]()

    def add(self, name: str, kind: int) -> None:
        """Take a file of that type."""
        self.names.append(name)
        if kind == stat.S_IFLNK:
            self._links.add(name)
        elif not kind:
            self._missing.add(name)

    def taken(self) -> Iterator[FoundFolder]:
        """Yield what there is, and begin anew."""
        if self.names:
            links, missing = frozenset(self._links), frozenset(self._missing)
            yield FoundFolder(path=self.path, place=self._place, names=self.names, links=links, missing=missing)
            self.names, self._links, self._missing = [], set(), set()


def parts_of(entry: str | Path) -> tuple[str | StorePath, str, str | StorePath]:
    """Return the folder of what a line names, its name in there, and the whole.

    They are text, because a path takes long for each of a million lines: of files, and of objects that are pictures by
    their names. Only such texts of folders contain `://`.
    """
    if isinstance(entry, StorePath):
        return entry.parent, entry.name, entry
    given = entry if isinstance(entry, str) else os.fspath(entry)
    start = max(given.rfind("/"), given.rfind(os.sep)) + 1
    folder, name = given[:start], given[start:]
    if "://" not in given or (_is_prefix(folder) and is_picture_name(name)):
        return folder, name, given
    return parts_of(path_of(given))


def _is_prefix(folder: str) -> bool:
    """Tell whether a text with a slash at its end is the URL of a prefix: a bucket, and maybe names in it."""
    return folder.startswith(_BUCKETS) and folder.count("/") > 2 and not folder.endswith("//")


def _kinds_in(folder: str) -> dict[str, int] | None:
    """Return what in a folder is no plain file, with its type; None if there is too much, or it cannot be listed."""
    kinds = dict[str, int]()
    with suppress(OSError, ValueError), os.scandir(folder or os.curdir) as entries:
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                kinds[entry.name] = own_type(entry.path)
                if len(kinds) > ODD:
                    return None
        return kinds
    return None


def _folder_of(given: str | StorePath, kind: int) -> Path | None:
    """Return the folder that an entry of that type (`stat.S_IFMT`) names, or None if it names a file."""
    if isinstance(given, StorePath):
        return given if kind == stat.S_IFDIR else None
    is_folder_name = given.endswith(os.sep)
    if is_folder_name or (kind in (stat.S_IFDIR, stat.S_IFLNK) and is_folder(Path(given))):
        return Path(given)
    return None
