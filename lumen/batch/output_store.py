"""A prefix of a store as the output: results are put whole, and found by one listing of each prefix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import BinaryIO

from lumen.batch.block import Block
from lumen.batch.destinations import WAIT_S, Origin, OutputFolder
from lumen.batch.job import Job
from lumen.config import BatchOptions
from lumen.errors import OutputError
from lumen.files.atomic import output_error
from lumen.files.store_lock import lock_prefix
from lumen.files.store_path import StorePath
from lumen.files.stores import Listing, assume_empty, list_prefix, put_object, writing_object

LISTINGS = 8  # kept at the same time


class OutputStore(OutputFolder):
    """A prefix that mirrors the inputs. A store knows when an object was written, and no other time of it."""

    def __init__(self, options: BatchOptions, folder: StorePath) -> None:
        """Take what `OutputFolder` takes."""
        super().__init__(options, folder)
        self._prefix = folder
        self._listing = lru_cache(LISTINGS)(self._listed)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the prefix."""
        wait_s = 0.0 if self._options.result is None else WAIT_S
        with lock_prefix(self._prefix, shard=self._options.shard, wait_s=wait_s):
            yield

    def prepare(self, block: Block) -> None:
        """Do nothing: a run that was killed leaves nothing half."""

    def skip_reasons(self, block: Block) -> list[str | None]:
        """List the prefix in any case, so that nothing is asked for each picture; return what `OutputFolder` does."""
        assert isinstance(block.target, StorePath)
        self._listing(block.target)
        return super().skip_reasons(block)

    def put(self, job: Job, data: bytes, _origin: Origin) -> None:
        """Put a result."""
        assert isinstance(job.target, StorePath)
        try:
            put_object(job.target, data)
        except OSError as error:
            raise output_error(job.target, error) from error

    @contextmanager
    def writing(self, job: Job, _origin: Origin) -> Iterator[BinaryIO]:
        """Yield a file on this machine, which is put when it is complete."""
        assert isinstance(job.target, StorePath)
        try:
            with writing_object(job.target) as file:
                yield file
        except OSError as error:
            raise output_error(job.target, error) from error

    def _existing(self, block: Block) -> list[os.stat_result | None]:
        assert isinstance(block.target, StorePath)
        known = self._listing(block.target).files
        return [known[name].stat(block.target / name) if name in known else None for name in block.results]

    def _listed(self, prefix: StorePath) -> Listing:
        """List a prefix, unless the one around it shows that nothing is there."""
        if prefix != self._prefix and prefix.name not in self._listing(prefix.parent).folders:
            return assume_empty(prefix)
        try:
            return list_prefix(prefix)
        except FileNotFoundError:
            return assume_empty(prefix)
        except OSError as error:
            raise OutputError(f"cannot list {prefix}: {error.strerror or error}") from error
