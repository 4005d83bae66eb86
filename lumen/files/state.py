"""The folder `.lumen`, in which lumen keeps its own files: real, and with plain files in it.

Whoever may write into the folder around it could put links or pipes there. They are refused, and never waited for.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lumen.files.inputs import Parent, hold_folder, refuse_unless_plain
from lumen.files.store_path import StorePath

log = logging.getLogger(__name__)

STATE = ".lumen"

_BESIDE_DATABASE = ("", "-wal", "-shm", "-journal")  # the files that SQLite opens

_told: set[tuple[int, int]] = set()  # folders whose owner was warned of


@contextmanager
def state_in(folder: Parent, *, make: bool = True) -> Iterator[Parent]:
    """Hold the `.lumen` of a folder for the length of a `with` block.

    A foreign owner is a warning only: some network disks show another owner than the one who writes, and stores none.

    Args:
        folder: The folder around it.
        make: Make it if it is missing.

    Raises:
        OSError: It is missing, cannot be entered or made, or is a link (`NotPlainError`).
    """
    with folder.inner(STATE, make=make) as state:
        _look_at_owner(folder, state)
        yield state


def prepare_database(path: Path) -> None:
    """Make the `.lumen` around a database, and refuse links and pipes in its place: SQLite opens it by its path.

    Raises:
        OSError: `.lumen` cannot be made, or what is there is no real folder or no plain file (`NotPlainError`).
    """
    with hold_folder(path.parent.parent, make=True) as folder, state_in(folder) as state:
        _refuse_unless_plain(state, path.name)


def look_at_database(path: Path) -> None:
    """Refuse what `prepare_database` refuses, before a database is only read; nothing is made or written.

    Raises:
        OSError: It is not there, or is not what it should be (`NotPlainError`).
    """
    with hold_folder(path.parent.parent) as folder, folder.inner(STATE) as state:
        state.facts(path.name)
        _refuse_unless_plain(state, path.name)


def _refuse_unless_plain(state: Parent, database: str) -> None:
    for suffix in _BESIDE_DATABASE:
        with suppress(FileNotFoundError):
            name = database + suffix
            refuse_unless_plain(state.facts(name), state.path / name)


def _look_at_owner(folder: Parent, state: Parent) -> None:
    if isinstance(folder.path, StorePath):
        return
    facts = folder.facts(STATE)
    key = (facts.st_dev, facts.st_ino)
    if not hasattr(os, "geteuid") or facts.st_uid in (0, os.geteuid()) or key in _told:
        return
    _told.add(key)
    with suppress(OSError):  # a folder that is only read
        name = f".{secrets.token_hex(8)}"
        state.create(name).close()
        fresh = state.facts(name).st_uid
        state.unlink(name)
        if fresh != facts.st_uid:
            log.warning(
                "%s belongs to user %d, who can change what lumen remembers there; give it to user %d if that is "
                "not wanted",
                state.path,
                facts.st_uid,
                fresh,
            )
