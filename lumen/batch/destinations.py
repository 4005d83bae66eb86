"""Where results go: into an output folder, or in place of the source pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from lumen.batch.in_place import Journal, digest_of
from lumen.batch.job import Job
from lumen.config import BatchOptions
from lumen.errors import LockedError, OutputError, PictureError, UsageError
from lumen.files.atomic import TEMP_SUFFIX, make_folder, remove_leftovers, write_atomically
from lumen.files.lock import lock_folder
from lumen.files.paths import type_of
from lumen.text import printable

WAIT_S = 60.0  # in place, a folder is locked only while one file is written
JOURNALS = 8  # kept in memory

Stamp = tuple[int, int, int]


class Destination(Protocol):
    """Writes results, and knows which exist already."""

    def held(self, jobs: Sequence[Job]) -> AbstractContextManager[None]:
        """Lock out other runs for the length of a `with` block, and remove temporary files of killed runs.

        Raises:
            LockedError: Another run works there.
            OutputError: The folder cannot be written.
        """

    def refuse_existing(self, jobs: Sequence[Job]) -> None:
        """Raise `UsageError` if any result exists already (the policy `error`)."""

    def skip_reason(self, job: Job) -> str | None:
        """Return why a job can be skipped, or None if it must be done."""

    def put(self, job: Job, data: bytes, stamp: Stamp) -> str | None:
        """Write a result.

        Args:
            job: What was enhanced.
            data: The encoded file.
            stamp: `stamp_of` the source from before it was read.

        Returns:
            None, or why the result is no longer needed.

        Raises:
            PictureError: This one result cannot be written.
            OutputError: Nothing can be written.
        """


def destination_of(options: BatchOptions) -> Destination:
    """Return the destination that the options ask for."""
    return InPlace(options) if options.output is None else OutputFolder(options, options.output)


def stamp_of(path: Path) -> Stamp:
    """Return size, time and inode of a file, zeros if they cannot be read; reading the file then reports why."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0, 0
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


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
    def held(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Lock the folder and remove temporary files of killed runs."""
        with lock_folder(self._folder, shard=self._options.shard):
            for folder in {job.target.parent for job in jobs}:
                remove_leftovers(folder, self._tag)
            yield

    def refuse_existing(self, jobs: Sequence[Job]) -> None:
        """Refuse to start if a result exists."""
        there = [job.target for job in jobs if type_of(job.target)]
        if there:
            raise UsageError(
                f"expected no results before the run, but {len(there)} exist, such as {printable(there[0])}; "
                "use --existing skip, update or overwrite"
            )

    def skip_reason(self, job: Job) -> str | None:
        """Return a reason if a result exists and is new enough.

        An existing result is complete: files get their final name only when they are.
        """
        existing = self._options.existing
        if existing in ("overwrite", "error"):
            return None
        try:
            result = job.target.stat()
            if existing == "update" and result.st_mtime_ns < job.source.stat().st_mtime_ns:
                return None
        except OSError:  # no result; or a name too long, or a lost input, which reading the file reports
            return None
        return "the result exists" if existing == "skip" else "the result is newer than the input"

    def put(self, job: Job, data: bytes, stamp: Stamp) -> None:
        """Write a result with the modification time of its source: photographs are sorted by it."""
        make_folder(job.target.parent)
        write_atomically(job.target, data, tag=self._tag, modified_ns=stamp[1])


class InPlace:
    """Replaces the inputs themselves. An original exists until its result is complete and on the disk."""

    def __init__(self, options: BatchOptions) -> None:
        """Take the policy for pictures that were already enhanced in place."""
        self._existing = options.existing
        self._journal = lru_cache(JOURNALS)(Journal)

    @contextmanager
    def held(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Remove temporary files of killed runs; nothing stays locked, since many folders may be involved."""
        for folder in {job.target.parent for job in jobs}:
            if _has_leftovers(folder):
                with suppress(LockedError, OutputError), lock_folder(folder):
                    remove_leftovers(folder)
        yield

    def refuse_existing(self, jobs: Sequence[Job]) -> None:
        """Refuse to start if a picture was already enhanced in place."""
        for job in jobs:
            with suppress(OSError):
                if self._journal(job.target.parent).state(job.target) != "new":
                    raise UsageError(
                        f"expected pictures that were never enhanced in place, got {printable(job.source)}; "
                        "use --existing skip, update or overwrite"
                    )

    def skip_reason(self, job: Job) -> str | None:
        """Return a reason if a picture was already enhanced in place."""
        if self._existing == "overwrite":
            return None
        try:
            state = self._journal(job.target.parent).state(job.target)
        except OSError:  # reading the file reports why
            return None
        if state == "changed" and self._existing == "skip":
            return "it was enhanced in place and has changed since; --existing update enhances it again"
        return "it was enhanced in place before" if state == "enhanced" else None

    def put(self, job: Job, data: bytes, stamp: Stamp) -> str | None:
        """Replace a picture, unless somebody has changed it since it was read."""
        path = job.target
        with lock_folder(path.parent, wait_s=WAIT_S):
            journal = self._journal(path.parent)
            journal.refresh()
            before = digest_of(path)
            if stamp_of(path) != stamp:
                raise PictureError("the file changed while it was worked on; run again")
            if self._existing != "overwrite" and journal.state_of(path.name, before) == "enhanced":
                return "it was enhanced in place by another run"
            journal.note(path.name, before, data)
            write_atomically(path, data, like=path, modified_ns=stamp[1])
            with suppress(OSError, OutputError):  # the fingerprint only saves time
                journal.note_fingerprint(path)
        return None


def _has_leftovers(folder: Path) -> bool:
    try:
        return any(entry.name.endswith(TEMP_SUFFIX) for entry in os.scandir(folder))
    except OSError:
        return False
