"""Where results go: into an output folder, or in place of the source pictures."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from lumen.batch.backup import Backup
from lumen.batch.block import Block
from lumen.batch.in_place import Journal, PictureState, digest_of
from lumen.batch.job import Job
from lumen.config import BatchOptions
from lumen.errors import LockedError, PictureError, UsageError
from lumen.files.atomic import (
    COARSEST_NS,
    Attributes,
    leftovers_in,
    output_error,
    remove_leftovers,
    remove_leftovers_in,
    write_atomically,
    writing_atomically,
    writing_in,
)
from lumen.files.inputs import Identity, Input, Parent, hold_folder
from lumen.files.lock import lock_folder, lock_in
from lumen.files.store_path import StorePath
from lumen.text import printable

WAIT_S = 60.0  # for others that work on single files of the folder
# Of one picture or of many, since equal reasons are counted.
ENHANCED = "enhanced in place before; originals that are put back can be enhanced with other settings"
CHANGED = "changed since they were enhanced in place; --existing update enhances what is there now"
JOURNALS = 8  # kept in memory


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The file that a picture was read from.

    Attributes:
        identity: What it was when it was opened.
        digest: `Destination.digest` of its content.
        extended: Extended attributes that a result in another folder gets.
        is_result: Whether it is itself a result, and the picture was read from its original instead.
    """

    identity: Identity
    digest: str = ""
    extended: Mapping[str, bytes] = field(default_factory=dict)
    is_result: bool = False


class Destination(Protocol):
    """Writes results, and knows which exist already."""

    def held(self) -> AbstractContextManager[None]:
        """Lock out other runs for the length of a `with` block.

        Raises:
            LockedError: Another run works there.
            OutputError: The folder cannot be written.
        """

    def prepare(self, block: Block) -> None:
        """Remove temporary files of killed runs from a folder of results: once, before its first one is written."""

    def refuse_existing(self, block: Block) -> None:
        """Raise `UsageError` if any result exists already (the policy `error`)."""

    def skip_reasons(self, block: Block) -> list[str | None]:
        """Return for each picture of a block why it can be skipped, or None if it must be done.

        It is called on the thread that plans, while other threads write results of earlier blocks.
        """

    def digest(self, stream: BinaryIO) -> str:
        """Return what `put` must know of the content of a file, before it is decoded."""

    def original(self, job: Job, digest: str) -> Input | None:
        """Open the file to read instead of a picture that is itself a result; None if there is none.

        Raises:
            PictureError: There must be one, and it is lost.
        """

    def leave(self, job: Job, origin: Origin) -> None:
        """Take note that a picture is fine as it is and gets no result.

        Raises:
            PictureError: It has changed, or no note can be taken.
            OutputError: Nothing can be written.
        """

    def writing(self, job: Job, origin: Origin) -> AbstractContextManager[BinaryIO]:
        """Return the file of a result that does not fit into memory, which gets its name when the `with` block ends.

        Raises:
            PictureError: This one result cannot be written.
            OutputError: Nothing can be written.
        """

    def put(self, job: Job, data: bytes, origin: Origin) -> str | None:
        """Write a result.

        Args:
            job: What was enhanced.
            data: The encoded file.
            origin: What it was made from.

        Returns:
            None, or why the result is no longer needed.

        Raises:
            PictureError: This one result cannot be written.
            OutputError: Nothing can be written.
        """


def destination_of(options: BatchOptions) -> Destination:
    """Return the destination that the options ask for."""
    if options.output is None:
        return InPlace(options)
    if isinstance(options.output, StorePath):
        from lumen.batch.output_store import OutputStore

        return OutputStore(options, options.output)
    return OutputFolder(options, options.output)


class OutputFolder:
    """A folder that mirrors the inputs."""

    def __init__(self, options: BatchOptions, folder: Path) -> None:
        """Take the policy for existing results, and the shard of this run."""
        self._options = options
        self._folder = folder
        index, count = options.shard
        # Shards write into the same folders at the same time: each removes only its own temporary files.
        self._tag = "" if count == 1 else f".{index}of{count}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder."""
        # Several single pictures may be made at the same time, each as a file of its own in one folder.
        wait_s = 0.0 if self._options.result is None else WAIT_S
        with lock_folder(self._folder, shard=self._options.shard, wait_s=wait_s):
            yield

    def prepare(self, block: Block) -> None:
        """Remove the temporary files of this run's share."""
        remove_leftovers(block.target, self._tag, below=self._folder)

    def refuse_existing(self, block: Block) -> None:
        """Refuse to go on if a result exists."""
        there = [name for name, facts in zip(block.results, self._existing(block), strict=True) if facts is not None]
        if there:
            raise UsageError(
                f"expected no results before the run, but {len(there)} exist, such as "
                f"{printable(block.target / there[0])}; use --existing skip, update or overwrite"
            )

    def skip_reasons(self, block: Block) -> list[str | None]:
        """Return a reason where a result exists and is new enough.

        An existing result is complete: files get their final name only when they are.
        """
        if self._options.existing in ("overwrite", "error"):
            return [None] * len(block.names)
        return [
            None if facts is None else self._reason(block.source / name, facts)
            for name, facts in zip(block.names, self._existing(block), strict=True)
        ]

    def _reason(self, source: Path, result: os.stat_result) -> str | None:
        try:
            newer_by_ns = source.stat().st_mtime_ns - result.st_mtime_ns
        except OSError:  # a lost input, which reading the file reports
            return None if self._options.existing == "update" else "the result exists"
        if self._options.existing == "update":
            return None if newer_by_ns > 0 else "the result is newer than the input"
        if newer_by_ns > COARSEST_NS:
            return "the result exists, but its picture has changed since; add --existing update to make it again"
        return "the result exists"

    def _existing(self, block: Block) -> list[os.stat_result | None]:
        """Return what each result is that exists already.

        What lies behind a link in the place of a folder is none: nothing would be written there. A result itself may
        have been moved to another disk, with a link in its place.
        """
        try:
            with hold_folder(block.target, below=self._folder) as folder:
                return [_facts_of_result(folder, name) for name in block.results]
        except (OSError, ValueError):
            return [None] * len(block.results)

    def digest(self, _stream: BinaryIO) -> str:
        """Return nothing: the input stays."""
        return ""

    def original(self, _job: Job, _digest: str) -> None:
        """Return nothing: results lie elsewhere."""

    def leave(self, job: Job, origin: Origin) -> None:
        """Do nothing: the next run looks at the picture again."""

    def put(self, job: Job, data: bytes, origin: Origin) -> None:
        """Write a result with the modification time of its source: photographs are sorted by it."""
        write_atomically(job.target, data, **self._place(origin))

    def writing(self, job: Job, origin: Origin) -> AbstractContextManager[BinaryIO]:
        """Return the file of a result, as `put` writes it."""
        return writing_atomically(job.target, **self._place(origin))

    def _place(self, origin: Origin) -> dict[str, Any]:
        modified_ns, extended = origin.identity.mtime_ns, origin.extended
        return {"tag": self._tag, "modified_ns": modified_ns, "extended": extended, "below": self._folder}


class InPlace:
    """Replaces the inputs themselves. An original exists until its result is complete and on the disk."""

    def __init__(self, options: BatchOptions) -> None:
        """Take the policy for pictures that were already enhanced in place."""
        self._existing = options.existing
        self._backup = None if options.backup is None else Backup(options.backup)
        self._journal = lru_cache(JOURNALS)(lambda _: Journal())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock nothing, since many folders may be involved."""
        yield

    def prepare(self, block: Block) -> None:
        """Remove temporary files of killed runs, unless another run works on the folder."""
        with suppress(OSError, LockedError), hold_folder(block.target, below=block.below) as folder:
            if leftovers_in(folder):
                with lock_in(folder):
                    remove_leftovers_in(folder)

    def refuse_existing(self, block: Block) -> None:
        """Refuse to go on if a picture was already enhanced in place."""
        for name, state in zip(block.names, self._states(block), strict=True):
            if state not in ("new", "fine", None):
                raise UsageError(
                    f"expected pictures that were never enhanced in place, got {printable(block.source / name)}; "
                    "use --existing skip, update or overwrite"
                )

    def skip_reasons(self, block: Block) -> list[str | None]:
        """Return a reason where a picture was already enhanced in place."""
        if self._existing == "overwrite":
            return [None] * len(block.names)
        has_original = self._backup.has if self._backup is not None else lambda _: False
        return [
            self._reason(state, has_original=state == "enhanced" and has_original(job))
            for job, state in zip(block.jobs(), self._states(block), strict=True)
        ]

    def _reason(self, state: PictureState | None, *, has_original: bool) -> str | None:
        if state == "changed" and self._existing == "skip":
            return CHANGED
        if state == "fine":
            return "fine without enhancement before; --existing overwrite tries other settings"
        if state != "enhanced":
            return None
        if has_original:
            return f"enhanced in place before; --existing overwrite starts again from originals in {self._backup}"
        return ENHANCED

    def _states(self, block: Block) -> list[PictureState | None]:
        """Return the states of pictures; None where reading the file, or replacing it, will report why."""
        journal = Journal()  # of its own, because others write to theirs meanwhile
        try:
            with hold_folder(block.target, below=block.below) as folder:
                journal.refresh(folder)
                return [_state_in(folder, journal, name) for name in block.results]
        except OSError:
            return [None] * len(block.results)

    def digest(self, stream: BinaryIO) -> str:
        """Return the digest of an original, by which the journal knows it."""
        return digest_of(stream)

    def original(self, job: Job, digest: str) -> Input | None:
        """Open the original of a picture that was enhanced before, if there is a folder of originals."""
        if self._backup is None:
            return None
        with self._locked(job) as folder:
            journal = self._journal(folder.path)
            journal.refresh(folder)
            if journal.state_of(job.target.name, digest) != "enhanced":
                return None
            found = self._backup.find(job, *journal.original_of(digest))
        if found is None:
            raise PictureError(
                f"it was enhanced in place before, and its original is not in {self._backup}; give the folder that has "
                "it as --backup, or put the original back first"
            )
        return found

    def leave(self, job: Job, origin: Origin) -> None:
        """Note that a picture is fine, so that the next run need not enhance it to see that."""
        with self._locked(job) as folder:
            journal, name = self._journal(folder.path), job.target.name
            journal.refresh(folder)
            self._look(folder, name, origin).stream.close()
            journal.note_fine(folder, name, origin.digest)

    def writing(self, _job: Job, _origin: Origin) -> AbstractContextManager[BinaryIO]:
        """Refuse to replace a clip."""
        raise PictureError("clips are never replaced; use --out instead of --in-place")

    def put(self, job: Job, data: bytes, origin: Origin) -> str | None:
        """Replace a picture, unless somebody has changed it since it was read."""
        with self._locked(job) as folder:
            return self._replace(folder, job, data, origin)

    @contextmanager
    def _locked(self, job: Job) -> Iterator[Parent]:
        """Hold the folder of a picture, locked."""
        path = job.target
        try:
            with hold_folder(path.parent, below=job.below) as folder, lock_in(folder, wait_s=WAIT_S):
                yield folder
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            # Of this folder alone: who may change one must not stop the run in the others.
            raise PictureError(f"the file cannot be replaced: {error.strerror}") from error
        except OSError as error:
            raise output_error(path, error) from error

    def _replace(self, folder: Parent, job: Job, data: bytes, origin: Origin) -> str | None:
        journal, name = self._journal(folder.path), job.target.name
        journal.refresh(folder)
        now = self._look(folder, name, origin)
        with now.stream:
            attributes = Attributes.of(now.stream)
            is_enhanced = journal.state_of(name, origin.digest) == "enhanced"
            if is_enhanced and self._existing != "overwrite":
                return "it was enhanced in place by another run"
            if self._backup is not None and not origin.is_result:
                self._backup.keep(job.relative, now, origin.digest, source=folder)
        journal.note(folder, name, origin.digest, data)
        modified_ns = now.identity.mtime_ns
        with writing_in(folder, name, modified_ns=modified_ns, attributes=attributes, instead_of=now.identity) as file:
            file.write(data)
        with suppress(OSError):  # the fingerprint only saves time
            journal.note_fingerprint(folder, name)
        return None

    def _look(self, folder: Parent, name: str, origin: Origin) -> Input:
        """Open a picture again, and raise `PictureError` if it has changed since it was read."""
        now = folder.open(name)
        if not _is_same(now, origin):
            now.stream.close()
            raise PictureError("the file changed while it was worked on; run again")
        return now


def _facts_of_result(folder: Parent, name: str) -> os.stat_result | None:
    """Return what a result is, or None if there is none."""
    try:
        facts = folder.facts(name)
        return (folder.path / name).stat() if stat.S_ISLNK(facts.st_mode) else facts
    except (OSError, ValueError):  # also a name that is too long, which writing reports
        return None


def _state_in(folder: Parent, journal: Journal, name: str) -> PictureState | None:
    try:
        return journal.state(folder, name)
    except OSError:
        return None


def _is_same(now: Input, origin: Origin) -> bool:
    """Tell whether a file is the one that was read, with its content; links to it and its mode do not matter."""
    if now.identity == origin.identity:
        return True
    # Whoever writes into a file can give it its time back, but not the time of the change itself.
    return now.identity.has_content_of(origin.identity) and digest_of(now.stream) == origin.digest
