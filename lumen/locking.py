"""One run at a time in an output folder."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lumen.errors import DiskFullError, LockedError, OutputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)

STATE = ".lumen"

_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold `folder/.lumen/lock` for the length of a `with` block; the folder is made when missing.

    The system gives the lock back when the process ends, however it ends; the file stays, as removing it would race.

    Raises:
        LockedError: Another process holds it.
        OutputError: The folder cannot be written (`DiskFullError` where that is why).
    """
    path = folder / STATE / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        kind = DiskFullError if error.errno == errno.ENOSPC else OutputError
        raise kind(f"cannot write to the output folder {folder}: {error.strerror}; choose another --out") from error
    try:
        _acquire(handle, folder)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, folder: Path) -> None:
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise LockedError(
                f"another lumen run works on {folder}; wait until it has ended or choose another --out"
            ) from error
        log.warning("%s is on a file system without locks; run one lumen at a time there", folder)
