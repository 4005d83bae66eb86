"""Refuse unsafe output places: results that would overwrite inputs or each other, or lie among the inputs."""

from __future__ import annotations

import os
import shlex
import stat
import unicodedata
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from lumen.batch.block import Block
from lumen.errors import UsageError
from lumen.files.paths import FOLDERS, is_folder, real_path, real_paths, require_input, type_of, type_of_output
from lumen.files.store_path import StorePath
from lumen.imaging.clip_formats import CLIP_SUFFIXES
from lumen.imaging.formats import SUFFIXES
from lumen.text import printable

_ONE = "; only the result of one picture, which is named itself, can be called so"
NOT_IN_PLACE = "a store cannot replace a picture under a lock, and keeps no original until its result is there"
MOST_PARTS = 20  # of a name with spaces, looked for among so many inputs


_Place = tuple[str, str]  # identity of a folder and a name in it


def check_inputs(inputs: Sequence[Path], output: Path | None) -> None:
    """Refuse inputs that do not exist, and an output folder that is a file, a picture's name or an input."""
    for given in inputs:
        if isinstance(given, StorePath):
            if output is None:
                raise UsageError(f"--in-place cannot be combined with {printable(given)}: {NOT_IN_PLACE}; use --out")
            require_input(given)
        elif not os.path.lexists(given):
            raise UsageError(f"there is no file or folder {printable(given)}{_quotes(inputs, given)}")
    if output is None:
        return
    kind = type_of_output(output)
    if kind not in (stat.S_IFDIR, 0):
        raise UsageError(f"expected a folder after --out, got the file {printable(output)}{_ONE}")
    if not kind and output.suffix.lower() in (*SUFFIXES, *CLIP_SUFFIXES):
        what = "picture" if output.suffix.lower() in SUFFIXES else "clip"
        raise UsageError(f"expected a folder after --out, got {printable(output)}, which names a {what}{_ONE}")
    for given in inputs:
        if is_folder(given) and _same_folder(given, output):
            raise UsageError(
                f"the output folder {printable(output)} is the input folder; choose another --out, or replace the "
                "pictures themselves with --in-place"
            )


def _quotes(inputs: Sequence[Path], missing: Path) -> str:
    """Return the advice to quote a name with spaces, if the shell has split one of which `missing` is a part."""
    names = [str(each) for each in inputs[:MOST_PARTS]]
    for start in range(len(names)):
        for end in range(start + 2, len(names) + 1):
            name = " ".join(names[start:end])
            if str(missing) in names[start:end] and os.path.lexists(name):
                return f"; names with spaces need quotes: {printable(shlex.quote(name))}"
    return ""


def _same_folder(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)  # also on disks that ignore case
    except OSError:
        return real_path(first) == real_path(second)


class Claims:
    """Which places were claimed twice, at eight bytes for each claim: equal hashes are candidates to look at."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, places: Iterable[Hashable]) -> None:
        """Take note of claims."""
        self._hashes.extend(map(hash, places))

    def doubtful(self, others: Claims | None = None) -> set[int]:
        """Return the hashes of places that may be claimed twice, or also in `others`."""
        own = np.sort(np.frombuffer(self._hashes, np.int64))
        if others is None:
            return set(own[1:][own[1:] == own[:-1]].tolist())
        theirs = np.sort(np.frombuffer(others._hashes, np.int64))  # noqa: SLF001  # of its own class
        if not len(theirs):
            return set()
        nearest = np.searchsorted(theirs, own).clip(max=len(theirs) - 1)  # np.isin takes several times as much memory
        return set(own[theirs[nearest] == own].tolist())


class Places:
    """Refuses results that would overwrite an input or each other, or that the next run would take for inputs.

    Of one tree, which the results mirror, all that can meet is in one folder: `check` settles it before anything of the
    folder is touched. Of several inputs, or a list, `check_all` does, once everything is claimed.
    """

    def __init__(
        self, output: Path, inputs: Sequence[Path], *, compare: bool, is_tree: bool, reference: Path | None = None
    ) -> None:
        """Look at the folders.

        Args:
            output: The output folder.
            inputs: The files and folders that are given.
            compare: Whether comparisons lie beside the results.
            is_tree: Whether one folder is the only input.
            reference: A folder in which there may be no results.
        """
        self._output, self._compare, self._reference = real_path(output), compare, reference and real_path(reference)
        # An input folder may contain the output folder, which is left out of the scan. The reverse is refused.
        self._inside = [real_path(given) for given in inputs if is_folder(given)]
        self._around = [folder for folder in self._inside if folder.is_relative_to(self._output)]
        self._is_tree = is_tree
        self._real = real_paths()
        self._identity, self._fold = lru_cache(FOLDERS)(identity_of), folding_of(output)
        self.forget()

    def forget(self) -> None:
        """Begin anew, for the same plan."""
        self._sources, self._targets = Claims(), Claims()

    def check(self, block: Block) -> None:
        """Refuse the pictures of a folder whose results have unsafe places in one folder, by `UsageError`."""
        if not (self._is_tree or self._around or self._reference):
            return
        folder = real_path(block.target)
        if self._reference is not None and block.names and folder.is_relative_to(self._reference):
            raise UsageError(
                f"expected --out apart from --gt, got results in {printable(block.target)}: references are inputs"
            )
        for around in self._around:
            for result in block.results:
                if (folder / result).is_relative_to(around):
                    raise UsageError(
                        f"the result {printable(folder / result)} would lie among the inputs; choose another --out"
                    )
        if not self._is_tree:
            return
        is_same = self._identity(block.target) == self._identity(block.source)
        if len(block.names) > 1 or is_same:
            sources, targets = Claims(), Claims()
            targets.add(each[0] for each in self._made(block))
            if is_same or block.links:
                sources.add(each[0] for each in self._taken(block))
            if doubtful := targets.doubtful() | targets.doubtful(sources):
                self._refuse(lambda: [block], doubtful)
        if not folder.is_relative_to(self._output):
            self._refuse_detour(block, folder)

    def claim(self, block: Block) -> None:
        """Take note of the pictures of a folder and of their results, unless `check` is all there is to look at."""
        if not self._is_tree:
            self._sources.add(each[0] for each in self._taken(block))
            self._targets.add(each[0] for each in self._made(block))

    def check_all(self, blocks: Callable[[], Iterable[Block]]) -> None:
        """Refuse what is unsafe between several inputs, by `UsageError`; `blocks` returns all that was claimed."""
        if doubtful := self._targets.doubtful() | self._targets.doubtful(self._sources):
            self._refuse(blocks, doubtful)

    def _refuse_detour(self, block: Block, folder: Path) -> None:
        """Refuse results in a folder that a link in the output folder leads to, if inputs have their names there."""
        for result in block.results if any(folder.is_relative_to(each) for each in self._inside) else ():
            if os.path.lexists(folder / result):
                raise _overwrites(folder / result)

    def _refuse(self, blocks: Callable[[], Iterable[Block]], doubtful: set[int]) -> None:
        """Look at candidates by their names."""
        sources: dict[_Place, Path] = {}
        for block in blocks():
            for place, name in self._taken(block):
                if hash(place) in doubtful:
                    sources[place] = block.source / name
        targets: dict[_Place, Path] = {}
        for block in blocks():
            for place, name, result in self._made(block):  # a link at the target itself would be replaced
                if hash(place) not in doubtful:
                    continue
                if place in sources:
                    raise _overwrites(sources[place])
                if place in targets:
                    raise UsageError(
                        f"{printable(targets[place])} and {printable(block.source / name)} would both become "
                        f"{printable(block.target / result)}; enhance them into different folders"
                    )
                targets[place] = block.source / name

    def _taken(self, block: Block) -> Iterator[tuple[_Place, str]]:
        """Yield the places of the pictures, and of links also those of the files that they lead to, with the names."""
        folder, fold = self._fold(self._identity(block.source)), self._fold
        for name in block.names:
            yield (folder, fold(name)), name
            if name in block.links:
                real = self._real(block.source / name)
                yield (fold(self._identity(real.parent)), fold(real.name)), name

    def _made(self, block: Block) -> Iterator[tuple[_Place, str, str]]:
        """Yield the places of what is made, with the names of its picture and its own."""
        folder, fold = self._fold(self._identity(block.target)), self._fold
        for each in (block, block.comparisons()) if self._compare else (block,):
            for name, result in zip(each.names, each.results, strict=True):
                yield (folder, fold(result)), name, result


def _overwrites(path: Path) -> UsageError:
    return UsageError(f"a result would overwrite the input {printable(path)}; choose another --out, or --in-place")


def identity_of(folder: Path) -> str:
    """Return one name for a folder however it is reached: it may be mounted twice, or be given in another case."""
    if isinstance(folder, StorePath):
        return str(folder)
    try:
        facts = folder.stat()
    except OSError:  # not made yet
        facts = None
    return f"{facts.st_dev}:{facts.st_ino}" if facts is not None and facts.st_ino else str(real_path(folder))


def folding_of(output: Path) -> Callable[[str], str]:
    """Return a function that makes two names equal if they mean the same file: many disks ignore case."""
    if isinstance(output, StorePath) or not _ignores_case(output):
        return str
    return lambda name: unicodedata.normalize("NFC", name).casefold()


def _ignores_case(folder: Path) -> bool:
    """Tell whether `a` and `A` are the same name on the disk of a folder, or of its nearest existing parent."""
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
