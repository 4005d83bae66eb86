"""The originals of pictures that are replaced in place, in a folder that mirrors the inputs: `--backup DIR`.

An original is whole and on the disk there before its picture is replaced, and nothing in the folder is overwritten.
It is a copy, never a second link to the picture: whoever writes into that file later would change the original too.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePath

from lumen.batch.block import Block
from lumen.batch.collisions import Claims, folding_of, identity_of
from lumen.batch.history import is_place
from lumen.batch.in_place import digest_of
from lumen.batch.job import Job
from lumen.errors import PictureError, UsageError
from lumen.files.atomic import Attributes, make_folder, output_error, remove_leftovers_in, writing_in
from lumen.files.inputs import Input, Parent, facts_below, hold_folder, open_input
from lumen.files.paths import FOLDERS, is_folder, real_path, type_of
from lumen.imaging.formats import SUFFIXES
from lumen.text import printable


class Backup:
    """A folder of originals. Who uses it has locked the folder of the picture."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; it is made when the first original goes there."""
        self._folder = folder
        self._cleaned: set[tuple[Path, str]] = set()

    def keep(self, relative: Path, original: Input, digest: str, source: Parent) -> None:
        """Copy a picture that is about to be replaced, byte for byte, with its time, owner, mode and attributes.

        Args:
            relative: Its path below the input folder, and below the folder of originals.
            original: The picture, opened.
            digest: Of its content, as `lumen.batch.in_place.digest_of` returns it.
            source: Its folder, locked.

        Raises:
            PictureError: Another file has the place of the original, or the picture has changed.
            OutputError: The original cannot be written.
        """
        place = self._folder / relative
        try:
            if not is_folder(self._folder):
                make_folder(self._folder)
            with hold_folder(place.parent, below=self._folder, make=True) as folder:
                tag = _tag(source)
                if (folder.path, tag) not in self._cleaned:
                    self._cleaned.add((folder.path, tag))
                    remove_leftovers_in(folder, tag)
                try:
                    there = folder.open(place.name)
                except FileNotFoundError:
                    _copy(original, digest, folder, place.name, tag)
                else:
                    with there.stream:
                        _check(there, place, original, digest)
        except FileExistsError:  # it appeared just now
            raise _taken(place) from None
        except OSError as error:
            raise output_error(place, error) from error

    def has(self, job: Job) -> bool:
        """Tell whether a file has a place of the original of a picture, without reading it."""
        for place in _places_of(job, job.target.name):
            with suppress(OSError, ValueError):
                return stat.S_ISREG(facts_below(self._folder, str(place)).st_mode)
        return False

    def find(self, job: Job, name: str, digest: str) -> Input | None:
        """Open the original of a picture that was replaced; None if it is at none of its places.

        Args:
            job: The picture.
            name: The name that it had then.
            digest: Of the original.
        """
        if not name or PurePath(name).name != name:  # the journal is not of lumen
            return None
        for place in _places_of(job, name):
            with suppress(OSError, ValueError):
                found = open_input(self._folder, str(place))
                with suppress(OSError):
                    if digest_of(found.stream) == digest:
                        found.stream.seek(0)
                        return found
                found.stream.close()
        return None

    def __str__(self) -> str:
        """Return the path of the folder."""
        return printable(self._folder)


def backup_place(backup: Path, picture: Path) -> PurePath:
    """Return the folder below the folder of originals to which a picture goes that is named by itself.

    It is the longest end of the path of its folder that is there, so that it joins the originals of its neighbours.
    """
    places = [place.parent for place in _ends_of(picture)]
    return next((place for place in reversed(places) if place.parts and is_place(backup, place)), PurePath())


def _places_of(job: Job, name: str) -> Iterator[PurePath]:
    """Yield where the original of a picture may lie: it may have been enhanced by itself, or with folders above it."""
    yield job.relative
    yield job.relative.with_name(name)
    yield from (place.with_name(name) for place in _ends_of(job.target))


def _ends_of(picture: Path) -> list[PurePath]:
    """Return the ends of the absolute path of a picture, from its name alone to the whole below the root."""
    parts = (*real_path(picture.parent).parts[1:], picture.name)
    return [PurePath(*parts[start:]) for start in reversed(range(len(parts)))]


class Originals:
    """Refuses a folder of originals that is no folder, lies among the inputs or around them, or has too few places.

    As `lumen.batch.collisions.Places` does for results, folder by folder or once everything is known.
    """

    def __init__(self, backup: Path, inputs: Sequence[Path], *, is_tree: bool) -> None:
        """Look at the folders.

        Args:
            backup: The folder of originals.
            inputs: The files and folders that are given.
            is_tree: Whether one folder is the only input.

        Raises:
            UsageError: As the message says.
        """
        if type_of(backup) not in (stat.S_IFDIR, 0):
            raise UsageError(f"expected a folder after --backup, got the file {printable(backup)}")
        if not type_of(backup) and backup.suffix.lower() in SUFFIXES:
            raise UsageError(f"expected a folder after --backup, got {printable(backup)}, which names a picture")
        self._backup, self._is_tree = backup, is_tree
        self._identity, self._fold = lru_cache(FOLDERS)(identity_of), folding_of(backup)
        self.forget()
        for given in inputs:
            self._check_root(given if is_folder(given) else None)

    def forget(self) -> None:
        """Begin anew, for the same plan."""
        self._claims = Claims()

    def check(self, block: Block) -> None:
        """Refuse the pictures of a folder that lies in the folder of originals, or that lack places there."""
        self._check_root(block.below)
        if block.names and self._lies_in(block.target, self._backup):
            raise UsageError(
                f"the pictures in {printable(block.target)} lie in the backup folder {printable(self._backup)}; choose "
                "another --backup"
            )
        if self._is_tree:
            claims = Claims()
            claims.add(place for place, _ in self._kept(block))
            if doubtful := claims.doubtful():
                self._refuse([block], doubtful)

    def claim(self, block: Block) -> None:
        """Take note of the places of originals, unless `check` is all there is to look at."""
        if not self._is_tree:
            self._claims.add(place for place, _ in self._kept(block))

    def check_all(self, blocks: Callable[[], Iterable[Block]]) -> None:
        """Refuse pictures of several inputs whose originals would have one place, by `UsageError`."""
        if doubtful := self._claims.doubtful():
            self._refuse(blocks(), doubtful)

    def _check_root(self, given: Path | None) -> None:
        if given is not None and self._lies_in(self._backup, given):
            raise UsageError(
                f"the backup folder {printable(self._backup)} would lie in the input folder {printable(given)}, where "
                "later runs would take the originals for pictures; choose another --backup"
            )

    def _refuse(self, blocks: Iterable[Block], doubtful: set[int]) -> None:
        """Look at candidates by their names."""
        places: dict[str, Path] = {}
        for place, job in (each for block in blocks for each in self._kept(block)):
            if hash(place) not in doubtful:
                continue
            if place in places:
                raise UsageError(
                    f"the originals of {printable(places[place])} and {printable(job.source)} would both become "
                    f"{printable(self._backup / job.relative)}; enhance them in two runs, each with a --backup of its "
                    "own"
                )
            places[place] = job.source

    def _kept(self, block: Block) -> Iterator[tuple[str, Job]]:
        return ((self._fold(str(job.relative)), job) for job in block.jobs())

    def _lies_in(self, inner: Path, outer: Path) -> bool:
        real = real_path(inner)
        return self._identity(real_path(outer)) in map(self._identity, (real, *real.parents))


def _check(there: Input, place: Path, original: Input, digest: str) -> None:
    """Raise `PictureError` unless the file that has the place of an original may stay there as such."""
    if there.identity.is_file(original.identity):
        raise PictureError(f"{str(place)!r} is the picture itself, not a copy of it; choose another --backup")
    if digest_of(there.stream) != digest:
        raise _taken(place)


def _copy(original: Input, digest: str, folder: Parent, name: str, tag: str) -> None:
    original.stream.seek(0)
    data = original.stream.read()
    if hashlib.sha256(data).hexdigest() != digest:
        raise PictureError("the file changed while it was worked on; run again")
    attributes, modified_ns = Attributes.of(original.stream), original.identity.mtime_ns
    with writing_in(folder, name, tag=tag, modified_ns=modified_ns, attributes=attributes, is_new=True) as file:
        file.write(data)


def _tag(source: Parent) -> str:
    """Return what distinguishes the temporary files of one folder of pictures, which only one run at a time makes."""
    return "-" + hashlib.sha256(identity_of(source.path).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _taken(place: Path) -> PictureError:
    return PictureError(f"{str(place)!r} is another file than the original, and stays; choose another --backup")
