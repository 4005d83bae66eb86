"""Lock a prefix of a store for one run, or for several shards of one.

A store releases nothing when a process dies. So a lock is a lease: an object that only one can make (a put under the
condition that the key is free), and that its holder writes anew every few seconds. Who finds one looks whether it
changes, and takes it over if it does not; that asks no clock. A holder that was killed on the same machine is noticed
at once, by its process.

Where a store takes no conditions, a lock keeps nobody out, and a warning says so.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lumen.errors import OutputError
from lumen.files.lock import locked_error
from lumen.files.state import STATE
from lumen.files.store_path import LOGIN, StorePath
from lumen.files.stores import list_prefix, open_object, put_object, remove_object

log = logging.getLogger(__name__)

BEAT_S = 10.0
LEASE_S = 45.0  # without a change, after which the holder is taken for dead
POLL_S = 1.0

_WHOLE = "lock"
_NO_CONDITIONS = {errno.ENOSYS, errno.EINVAL}


@contextmanager
def lock_prefix(folder: StorePath, *, shard: tuple[int, int] = (1, 1), wait_s: float = 0.0) -> Iterator[None]:
    """Lock a prefix for the length of a `with` block, as `lumen.files.lock.lock_folder` does a folder.

    Args:
        folder: What is locked.
        shard: `(i, n)` of n shards, which may run at the same time; `(1, 1)` is a whole run.
        wait_s: How long to wait for others that work there.

    Raises:
        LockedError: Another run works there.
        OutputError: The store cannot be written.
    """
    index, count = shard
    lease = _Lease(folder / STATE / (_WHOLE if count == 1 else f"{_WHOLE}-{index}of{count}"), folder)
    try:
        lease.take(wait_s)
        try:
            for other in _others(folder, is_shard=count > 1):
                _wait_until_free(folder / STATE / other, folder, wait_s)
            lease.keep()
        except BaseException:
            lease.leave()
            raise
    except OSError as error:
        advice = f"; {LOGIN[folder.scheme]}" if isinstance(error, PermissionError) else "; choose another --out"
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}{advice}") from error
    try:
        yield
    finally:
        lease.leave()


class _Lease:
    """One lock."""

    def __init__(self, path: StorePath, folder: StorePath) -> None:
        self._path = path
        self._folder = folder
        self._token = secrets.token_hex(8)
        self._beats = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lumen lock", daemon=True)

    def take(self, wait_s: float) -> None:
        """Make the lock; raises `LockedError` or `OSError`."""
        while not self._make():
            _wait_until_free(self._path, self._folder, wait_s)

    def keep(self) -> None:
        """Write it anew every few seconds, on a thread."""
        self._thread.start()

    def leave(self) -> None:
        """Remove it, unless another run has taken it over."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(OSError):
            if _holder(self._path).get("token") == self._token:
                remove_object(self._path)

    def _make(self) -> bool:
        """Try to make it; return False if another one is there."""
        try:
            put_object(self._path, self._content(), is_new=True)
        except FileExistsError:
            # The answer to a first try that went well may have been lost.
            return _holder(self._path).get("token") == self._token
        except OSError as error:
            if error.errno not in _NO_CONDITIONS:
                raise
            self._warn()
            put_object(self._path, self._content())
            return True
        with suppress(FileExistsError):
            put_object(self._path, self._content(), is_new=True)
            self._warn()  # it takes conditions, and does not look at them
        return True

    def _warn(self) -> None:
        log.warning("%s is in a store without conditional writes; run one lumen at a time there", self._folder)

    def _content(self) -> bytes:
        facts = {"token": self._token, "machine": _machine(), "pid": os.getpid(), "beat": self._beats}
        return json.dumps(facts).encode()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            with suppress(OSError):  # the next one may come through
                if _holder(self._path).get("token", self._token) != self._token:
                    log.warning("another run has taken %s over: this one did not answer for a while", self._folder)
                    return
                self._beats += 1
                put_object(self._path, self._content())


def _wait_until_free(path: StorePath, folder: StorePath, wait_s: float) -> None:
    """Return when a lock is gone; one whose holder is dead is removed.

    Raises:
        LockedError: Its holder lives.
        OSError: The store cannot be asked.
    """
    deadline = time.monotonic() + wait_s
    seen, since = dict[str, Any](), time.monotonic()
    is_told = False
    while holder := _holder(path):
        now = time.monotonic()
        if not seen:
            seen = holder
        if _is_dead(holder) or (holder == seen and now - since >= LEASE_S):
            with suppress(FileNotFoundError):
                remove_object(path)
            return
        if holder != seen:
            if now >= deadline:
                raise locked_error(folder)
            seen, since = holder, now
        if not is_told:
            log.warning("%s is locked; looking for up to %d s whether its run still lives", folder, LEASE_S)
            is_told = True
        time.sleep(POLL_S)


def _others(folder: StorePath, *, is_shard: bool) -> list[str]:
    """Return the locks that a shard, or a whole run, must not find."""
    try:
        names = list_prefix(folder / STATE).files
    except FileNotFoundError:
        return []
    return [name for name in names if (name == _WHOLE if is_shard else name.startswith(f"{_WHOLE}-"))]


def _holder(path: StorePath) -> dict[str, Any]:
    """Return what a lock says of its holder; empty if there is no lock."""
    try:
        with open_object(path).stream as stream:
            found = json.loads(stream.read(1 << 16))
    except FileNotFoundError:
        return {}
    except ValueError:
        return {"damaged": True}
    return found if isinstance(found, dict) and found else {"damaged": True}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Tell whether a holder was a process of this machine that has ended."""
    pid = holder.get("pid")
    if holder.get("machine") != _machine() or not isinstance(pid, int) or sys.platform == "win32":
        return False
    if pid == os.getpid():
        return True  # of a container that was started again, with the same numbers
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """Return the name of the machine, its start and, where processes are numbered apart, of the container."""
    found = [platform.node()]
    with suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        found.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(found)
