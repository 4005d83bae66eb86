"""Decide which pictures are enhanced and where each result goes: folder by folder, while earlier ones are worked on.

A plan is a stream of blocks. A block is in it when it is known that no two of its results share a name and none
overwrites an input. Of one tree, nothing of the folders behind it needs to be known for that. The results of a list may
meet in one folder, so its lines are gone through first, which is quick if they name nothing but files. Where several
inputs are given, or folders in a list, all blocks are held until the last one is known.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path, PurePath

from lumen.batch.backup import Originals, backup_place
from lumen.batch.block import Block
from lumen.batch.collisions import NOT_IN_PLACE, Places, check_inputs
from lumen.batch.discovery import FoundFolder, TreeSearch, find_folders, pictures_below
from lumen.batch.history import places_of
from lumen.batch.listed import PathList, as_listed, find_listed, gathered
from lumen.batch.overlap import Overlap
from lumen.batch.packed_queue import PackedQueue
from lumen.batch.passed_over import PassedOver
from lumen.batch.report import Outcome
from lumen.batch.sequences import in_sequence
from lumen.config import BatchOptions
from lumen.enhance.names import result_name
from lumen.errors import NothingToDoError
from lumen.files.paths import FOLDERS, is_folder, real_path, require_input, type_of
from lumen.files.store_path import StorePath, path_of
from lumen.imaging.clip_formats import is_clip
from lumen.imaging.formats import SUFFIXES
from lumen.text import printable

NAME_BYTES = 255  # longest name on all common file systems
RECORDED_INPUTS = 100


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is about to do.

    Attributes:
        blocks: The pictures, in the order of the inputs, then folder by folder, then by name. Each iteration plans anew
            and raises what `plan_jobs` says. Targets are distinct, and except in place no target is an input. Work on a
            block may begin before the next one is known.
        inputs: The files and folders that were given; of very many, the first.
        of_inputs: How many were given.
        home: The folder that keeps the record of the run: the output folder, or in place the first one given.
        passed_over: What was found in folders and not taken, as far as the blocks were iterated.
    """

    blocks: Iterable[Block]
    inputs: Sequence[Path] = ()
    of_inputs: int = 0
    home: Path = Path()
    passed_over: PassedOver = field(default_factory=PassedOver)


def plan_jobs(
    inputs: Sequence[Path],
    options: BatchOptions,
    *,
    listed: PathList | Sequence[Path] = (),
    reference: Path | None = None,
) -> Plan:
    """Return the plan for the pictures in files, folders and lists; nothing is searched before it is iterated.

    A folder's tree is mirrored. A single file goes directly into the output folder, or to the place that its result has
    there already. A file of a list keeps its path.
    Hidden files and folders are left out, and so is the output folder if it lies inside an input. A picture that is
    found twice is enhanced once. Every shard checks all files and takes its share.

    Args:
        inputs: Files (any name) and folders (searched for the suffixes lumen reads).
        options: Where results go, what is taken, and which share of it.
        listed: More files and folders; a missing file counts as failed, and the rest continues.
        reference: A folder in which there may be no results.

    Raises:
        UsageError: An input does not exist, or the output or the backup is none. From the iteration, with the first
            block of a folder at the latest: a result would overwrite an input, or two results would share a name.
        StoreError: A store cannot be asked for an input, or for the picture of `exposure_from`.
        NothingToDoError: From the iteration, at its end: no input matched.
    """
    check_inputs(inputs, options.output)
    if options.exposure_from is not None:
        require_input(options.exposure_from)
    first = list(islice(_given(inputs, listed), RECORDED_INPUTS))
    passed_over = PassedOver(takes_clips=options.clips)
    blocks = _Blocks(inputs, options, listed=listed, reference=reference, passed_over=passed_over)
    return Plan(
        blocks=blocks,
        inputs=first,
        of_inputs=len(inputs) + len(listed),
        home=options.output or (_home_in_place(first[0]) if first else Path()),
        passed_over=passed_over,
    )


class _Blocks:
    """The blocks of a plan."""

    def __init__(
        self,
        inputs: Sequence[Path],
        options: BatchOptions,
        *,
        listed: PathList | Sequence[Path],
        reference: Path | None,
        passed_over: PassedOver,
    ) -> None:
        is_tree = len(inputs) == 1 and not listed and is_folder(inputs[0])
        self._inputs, self._listed, self._options = inputs, listed, options
        self._passed_over = passed_over
        self._roots: dict[Path, None] = {}  # folders that were searched, in their order
        self._naming = _Naming(options)
        if options.output is not None:
            self._places: Places | Originals | None = Places(
                options.output, inputs, compare=options.compare, is_tree=is_tree, reference=reference
            )
        else:
            self._places = None if options.backup is None else Originals(options.backup, inputs, is_tree=is_tree)
        self._is_tree = is_tree

    def __iter__(self) -> Iterator[Block]:
        """Plan, and yield blocks of pictures and failures; see `plan_jobs` for what is raised."""
        self._passed_over.forget()
        overlap = self._checked_list()
        is_safe = self._is_tree or overlap is not None
        overlap = overlap or Overlap(self._inputs, lists=bool(self._listed), real=self._options.in_place)
        blocks = self._whole(self._passed_over, overlap)
        if self._places is not None:
            self._places.forget()
            blocks = self._checked(blocks, self._places)
            blocks = blocks if is_safe else self._held(blocks, self._places, overlap)
        is_empty = True
        for whole in blocks:
            is_empty = is_empty and not len(whole)
            if len(own := self._own(whole)):
                yield in_sequence(own, self._options.steady)
        self._look_below(overlap)
        if is_empty:
            raise NothingToDoError(self._nothing_found())

    @staticmethod
    def _checked(blocks: Iterator[Block], places: Places | Originals) -> Iterator[Block]:
        """Yield blocks whose results are safe as far as one folder goes."""
        for block in blocks:
            places.check(block)
            yield block

    def _held(self, blocks: Iterator[Block], places: Places | Originals, overlap: Overlap) -> Iterator[Block]:
        """Yield blocks when it is known of all that their results are safe."""
        held = PackedQueue[Block]()
        for block in blocks:
            places.claim(block)
            held.put(block, len(block))
        places.check_all(lambda: self._whole(self._nobody(), overlap.again()))
        while (one := held.take()) is not None:
            yield one

    def _checked_list(self) -> Overlap | None:
        """Refuse results of a list of files that are unsafe, and return which files it names more than once.

        None if there are inputs besides, or the list names a folder: in what is searched anew later, there may be more.
        """
        if self._inputs or not self._listed or not isinstance(self._places, Places):
            return None
        self._places.forget()
        overlap = Overlap.of_files(self._listed)
        first = overlap.again()
        for found in find_listed(gathered(self._listed), TreeSearch.of(self._options, self._nobody())):
            if found.root is not None:
                return None
            for block in self._naming.blocks(first.once(found), None):
                self._places.claim(block)
        self._places.check_all(lambda: self._whole(self._nobody(), overlap.again()))
        return overlap

    def _nobody(self) -> PassedOver:
        """Return what is told of files that are not taken, where nobody wants to know."""
        return PassedOver(takes_clips=self._options.clips)

    def _whole(self, passed_over: PassedOver, overlap: Overlap) -> Iterator[Block]:
        """Yield what is found, whatever share of it is taken and wherever its results go."""
        search = TreeSearch.of(self._options, passed_over)
        given = find_folders(self._inputs, search, self._named_places())
        for found in chain(given, find_listed(as_listed(self._listed), search)):
            if found.root is not None:
                self._roots[found.root] = None
            if found.unreadable:
                yield Block(source=found.path, target=found.path, failures=[_failure(found.path, found.unreadable)])
            else:
                below = None if search.follow else found.root
                yield from self._naming.blocks(overlap.once(found), below)

    def _own(self, block: Block) -> Block:
        """Return the share of this run."""
        index, count = self._options.shard
        if count == 1:
            return block

        def is_own(name: str) -> bool:
            is_sequence = self._options.steady != "off"  # which is one unit
            return shard_of(block.place if is_sequence else block.place / name, count) == index

        mine = [is_own(name) for name in block.names]
        failures = [each for each in block.failures if each.source == block.source or is_own(each.source.name)]
        return replace(block.part(mine), failures=failures)

    def _named_places(self) -> dict[Path, PurePath]:
        """Return the folders below the output folder where results of the pictures that are named lie already.

        So a picture of a folder that was enhanced before can be named, and its result is made again in its place. In
        place they are those below the folder of originals, where the originals of their neighbours lie.
        """
        options = self._options
        if (options.backup is None and options.output is None) or options.result is not None:
            return {}
        named = [given for given in self._inputs if not is_folder(given)]
        if options.backup is not None:
            return {given: backup_place(options.backup, given) for given in named}
        return places_of(options.output, named) if named and options.output is not None else {}

    def _look_below(self, overlap: Overlap) -> None:
        """Count the pictures in sub-folders that were not searched."""
        if self._options.recursive:
            return
        search = TreeSearch.of(self._options, self._nobody())
        found = set(pictures_below(self._roots, search))
        self._passed_over.is_all = None not in found
        self._passed_over.below = sum(picture is not None and not overlap.has(picture) for picture in found)

    def _nothing_found(self) -> str:
        options, first = self._options, list(islice(_given(self._inputs, self._listed), 4))
        where = ", ".join(printable(given) for given in first[:3]) + (", ..." if len(first) > 3 else "")
        kinds = f"({' '.join(sorted(SUFFIXES))})"
        if options.include or options.exclude:
            kinds = "that --include and --exclude let through"
        message = f"no pictures {kinds} were found in {where or 'an empty list'}"
        return "; ".join([message, *self._passed_over.lines()])


class _Naming:
    """Names results, and finds files that cannot have one."""

    def __init__(self, options: BatchOptions) -> None:
        self._options = options
        self._is_writable = lru_cache(FOLDERS)(lambda folder: not type_of(folder) or os.access(folder, os.W_OK))
        self._target = lru_cache(FOLDERS)(lambda place: (options.output or Path()) / place)

    def blocks(self, found: FoundFolder, below: Path | None) -> Iterator[Block]:
        """Yield the blocks of a folder: one, unless a link is replaced by name, whose target lies elsewhere."""
        if self._options.in_place and found.root is None and found.links:
            for name in found.names:
                path = found.path / name
                # The link itself stays: its target is replaced.
                target = real_path(path) if name in found.links else path
                yield self._block(replace(found, names=[name]), below, target.parent, target.name)
            return
        output = self._options.output
        if output is None:
            target = found.path
        else:  # of a list, a folder may come again and again
            target = self._target(found.place) if found.root is None else output / found.place
        yield self._block(found, below, target)

    def _block(self, found: FoundFolder, below: Path | None, target: Path, result: str | None = None) -> Block:
        """Return the block of a folder; `result` names the one result, if it is not named like its picture."""
        options = self._options
        names, results, failures = list[str](), list[str](), list[Outcome]()
        is_writable = not options.in_place or self._is_writable(target)
        for name in found.names:
            if name in found.missing:
                why_not, wanted = "there is no such file", ""
            elif options.in_place:
                why_not, wanted = self._why_not_in_place(found.path, name, is_writable=is_writable), result or name
            else:
                wanted = options.result or result_name(
                    name, options.suffix, options.format, options.video_codec, frames=options.frames
                )
                why_not = _too_long(wanted)
            if why_not:
                failures.append(_failure(found.path / name, why_not))
            else:
                names.append(name)
                results.append(wanted)
        return Block(
            source=found.path,
            target=target,
            place=found.place,
            below=below,
            links=found.links,
            names=names,
            results=results,
            failures=failures,
            sidecars=found.sidecars,
        )

    def _why_not_in_place(self, folder: Path, name: str, *, is_writable: bool) -> str:
        """Return why a file cannot be replaced, or nothing."""
        if isinstance(folder, StorePath):
            return NOT_IN_PLACE
        path = f"{folder}{os.sep}{name}"
        if is_clip(name):
            return "clips are never replaced; use --out instead of --in-place"
        if not os.access(path, os.W_OK) and type_of(Path(path)):
            return "the file is read-only"
        if result_name(name, "", "same", frames=self._options.frames) != name:
            return "lumen reads but does not write this format; use --out instead of --in-place"
        return "" if is_writable else "its folder is read-only"


def _given(inputs: Iterable[Path], listed: Iterable[str | Path]) -> Iterator[Path]:
    """Yield all that is given."""
    yield from inputs
    for entry in listed:
        yield path_of(entry)


def _too_long(name: str) -> str:
    """Return why a result cannot have a name, or nothing."""
    if 4 * len(name) <= NAME_BYTES or (size := len(os.fsencode(name))) <= NAME_BYTES:
        return ""
    return f"the result's name would have {size} bytes, expected at most {NAME_BYTES}; shorten --suffix"


def shard_of(relative: PurePath, count: int) -> int:
    """Return the shard of a file, from 1 to `count`: the same on every machine, wherever the disk is mounted."""
    text = unicodedata.normalize("NFC", relative.as_posix())  # some systems store an accented letter as two characters
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) % count + 1


def _failure(source: Path, reason: str) -> Outcome:
    return Outcome(source=source, target=None, status="failed", reason=reason)


def _home_in_place(first: Path) -> Path:
    real = real_path(first)
    return real if is_folder(real) else real.parent
