"""Lock an output folder for one run, or for several shards of one."""

from __future__ import annotations

import errno
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from lumen.errors import DiskFullError, LockedError, OutputError
from lumen.files.inputs import Parent, hold_folder
from lumen.files.state import STATE as STATE
from lumen.files.state import state_in

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)

_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_POLL_S = 0.05


@contextmanager
def lock_folder(folder: Path, *, shard: tuple[int, int] = (1, 1), wait_s: float = 0.0) -> Iterator[None]:
    """Lock a folder for the length of a `with` block; the folder is made if it is missing.

    A whole run locks `folder/.lumen/lock` exclusively. A shard shares that lock with other shards, and locks a file of
    its own exclusively: different shards may run at the same time, also on several machines, the same shard may not.

    The system releases a lock when the process ends, however it ends. The lock files stay: removing them would race.

    Args:
        folder: What is locked.
        shard: `(i, n)` of n shards; `(1, 1)` is a whole run.
        wait_s: How long to wait for other processes before giving up.

    Raises:
        LockedError: Another process has locked it.
        OutputError: The folder cannot be written (`DiskFullError` where that is why).
    """
    index, count = shard
    with ExitStack() as stack:
        try:
            held = stack.enter_context(hold_folder(folder, make=True))
            files = [_opened(stack, held, "lock")]
            if count > 1:
                files.append(_opened(stack, held, f"lock-{index}of{count}"))
        except OSError as error:
            kind = DiskFullError if error.errno == errno.ENOSPC else OutputError
            raise kind(f"cannot write to the folder {folder}: {error.strerror}; choose another --out") from error
        for number, file in enumerate(files):
            _wait(file.fileno(), folder, shared=number == 0 and count > 1, wait_s=wait_s)
        yield


@contextmanager
def lock_in(folder: Parent, *, wait_s: float = 0.0) -> Iterator[None]:
    """Lock a folder that is held open, as `lock_folder` does.

    Raises:
        LockedError: Another process has locked it.
        OSError: The lock cannot be opened or made.
    """
    with ExitStack() as stack:
        file = _opened(stack, folder, "lock")
        _wait(file.fileno(), folder.path, shared=False, wait_s=wait_s)
        yield


def _opened(stack: ExitStack, folder: Parent, name: str) -> BinaryIO:
    with state_in(folder) as state:
        return stack.enter_context(state.open_or_create(name))


def locked_error(folder: Path) -> LockedError:
    """Return the error for a folder in which another run works."""
    return LockedError(f"another lumen run works on {folder}; wait until it has ended, or choose another folder")


def _wait(handle: int, folder: Path, *, shared: bool, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while not _acquire(handle, folder, shared=shared):
        if time.monotonic() >= deadline:
            raise locked_error(folder)
        time.sleep(_POLL_S)


def _acquire(handle: int, folder: Path, *, shared: bool) -> bool:
    """Try to lock a file; return False if another process has locked it."""
    try:
        if sys.platform == "win32":
            if not shared:  # Windows has no shared locks: a whole run is not noticed beside shards
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        log.warning("%s is on a file system without locks; run one lumen at a time there", folder)
    return True
