"""A picture that is found twice is enhanced once, and only what can be found twice is remembered."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from lumen.batch.collisions import Claims
from lumen.batch.discovery import FoundFolder
from lumen.batch.listed import by_folder
from lumen.files.paths import real_path
from lumen.files.store_path import StorePath, path_of


class Overlap:
    """Which pictures were found, of those that several inputs can bring.

    They are those below an input that lies in another one, and all if there is a list, which may name anything. Of a
    list of nothing but files they are those that stand in it more than once. Each takes about a hundred bytes; others
    take none.
    """

    def __init__(self, inputs: Iterable[Path] = (), *, lists: bool, real: bool) -> None:
        """Look at the inputs.

        Args:
            inputs: The files and folders that are given.
            lists: Whether there is a list of more.
            real: Whether a link and its target are one picture: in place they are, but in an output folder each has a
                result.
        """
        self._lists, self._real = lists, real
        self._listed_again: set[int] | None = None  # hashes of the only files of a list that are found twice
        times = Counter(map(self._key, inputs))
        self._inner = {
            key for key, count in times.items() if count > 1 or any(str(each) in times for each in Path(key).parents)
        }
        self._found = set[int]()

    @classmethod
    def of_files(cls, listed: Iterable[str | Path]) -> Overlap:
        """Look at the text of a list, which names nothing but files."""
        overlap, claims = cls(lists=True, real=False), Claims()
        for folder, names, _ in by_folder(listed):
            start = _joined(overlap._key(path_of(folder)), "")
            claims.add([start + name for name in names])
        overlap._listed_again = claims.doubtful()
        return overlap

    def again(self) -> Overlap:
        """Return the same for another search, with nothing found yet."""
        other = Overlap(lists=self._lists, real=self._real)
        other._inner, other._listed_again = self._inner, self._listed_again  # of its own class
        return other

    def once(self, found: FoundFolder) -> FoundFolder:
        """Return a folder without the pictures that were found before."""
        if self._listed_again == set() or not (self._lists or self._inner):
            return found
        folder = self._key(found.path)
        is_inner = self._lists or not self._inner.isdisjoint((folder, *map(str, Path(folder).parents)))
        keys = (
            self._key(found.path / name) if self._real and name in found.links else _joined(folder, name)
            for name in found.names
        )
        names = [
            name
            for name, key in zip(found.names, keys, strict=True)
            if not (is_inner or key in self._inner) or self._is_new(key)
        ]
        return found if len(names) == len(found.names) else replace(found, names=names)

    def has(self, picture: str) -> bool:
        """Tell whether a picture, by its absolute path, was found and is remembered."""
        return bool(self._found) and _digest(self._key(Path(picture))) in self._found

    def _key(self, path: Path) -> str:
        if isinstance(path, StorePath):
            return f"{path.scheme}://{path.key}"
        return str(real_path(path)) if self._real else os.path.normpath(path.absolute())

    def _is_new(self, key: str) -> bool:
        if self._listed_again is not None and hash(key) not in self._listed_again:
            return True
        before = len(self._found)
        self._found.add(_digest(key))
        return len(self._found) > before


def _joined(folder: str, name: str) -> str:
    return os.path.join(folder, name)  # noqa: PTH118  # of many strings


def _digest(key: str) -> int:
    return int.from_bytes(blake2b(os.fsencode(key), digest_size=15).digest())
