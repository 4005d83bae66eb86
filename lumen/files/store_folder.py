"""A prefix of a store as a folder that is held open, for what works on `lumen.files.inputs.Parent`."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from lumen.files.inputs import Input, Parent
from lumen.files.store_path import StorePath
from lumen.files.stores import list_prefix, open_object, put_object, remove_object

WRITE_EVERY_S = 60.0


class StoreFolder(Parent):
    """A prefix. It needs not be made, and nobody can put a link in its place."""

    path: StorePath

    def __init__(self, path: StorePath) -> None:
        super().__init__(path, None)

    def facts(self, name: str) -> os.stat_result:
        """Return what an object is; raises `OSError`."""
        return (self.path / name).stat()

    def open(self, name: str) -> Input:
        """Read an object; raises `OSError`."""
        return open_object(self.path / name)

    def create(self, name: str, mode: int = 0o666) -> BinaryIO:  # noqa: ARG002  # as folders have it
        """Return a stream to a new object, which is there when it is closed, and now and then before."""
        return _Growing(self.path / name)

    def open_or_create(self, name: str) -> BinaryIO:
        """Return what `create` does: no store can open an object to change it."""
        return self.create(name)

    @contextmanager
    def inner(self, name: str, *, make: bool = False) -> Iterator[Parent]:  # noqa: ARG002  # there is nothing to make
        """Hold a prefix below this one for the length of a `with` block."""
        yield StoreFolder(self.path / name)

    def names(self) -> list[str]:
        """Return the names of all objects and prefixes; raises `OSError`."""
        try:
            listing = list_prefix(self.path)
        except FileNotFoundError:
            return []
        return [*listing.files, *listing.folders]

    def flush(self) -> None:
        """Do nothing: what a store has answered is there."""

    def unlink(self, name: str) -> None:
        """Remove an object; raises `OSError`."""
        remove_object(self.path / name)


class _Growing(io.BytesIO):
    """An object that is written from its start each time: no store can append."""

    def __init__(self, path: StorePath) -> None:
        super().__init__()
        self._path = path
        self._written_s = time.monotonic()

    def flush(self) -> None:
        """Write the object, if that is some time ago; raises `OSError`."""
        if time.monotonic() - self._written_s >= WRITE_EVERY_S:
            self._put()

    def close(self) -> None:
        """Write the object; raises `OSError`."""
        if not self.closed:
            try:
                self._put()
            finally:
                super().close()

    def _put(self) -> None:
        self._written_s = time.monotonic()
        put_object(self._path, self.getvalue())
