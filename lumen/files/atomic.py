"""Atomic writes: a file exists completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import threading
from pathlib import Path

from lumen.errors import DiskFullError, LumenError, OutputError, PictureError

TEMP_SUFFIX = ".lumen-tmp"

_unfinished: set[Path] = set()  # temporary files of this process, to be removed when it ends at once
_guard = threading.Lock()

_FULL = {errno.ENOSPC, errno.EDQUOT}
_COARSEST_NS = 2_000_000_000  # FAT stores times in steps of two seconds
_NAME = {errno.ENAMETOOLONG, errno.EILSEQ}  # the fault of one name: other files can still be written


def write_atomically(
    path: Path, data: bytes, *, tag: str = "", like: Path | None = None, modified_ns: int | None = None
) -> None:
    """Write a file so that a partial file never has its final name, not even after a crash or a power cut.

    The bytes go to a hidden file in the same folder, are flushed to the disk, and take the final name in one step. On
    any exception the hidden file is removed; only a killed process leaves one, which `remove_leftovers` finds.

    Args:
        path: Where; an existing file is replaced.
        data: What it will hold.
        tag: Put into the name of the hidden file, where several processes write into one folder.
        like: A file whose permissions, owner and extended attributes the new one takes, as far as the system lets it;
            without it the mode follows the umask.
        modified_ns: The time of its last change that the file shall show; by default it is now.

    Raises:
        DiskFullError: No space is left, or the user's quota is used up.
        PictureError: The file system cannot hold this name or path.
        OutputError: The file cannot be written for another reason.
    """
    # The name does not contain the final one, which may already be as long as the file system allows.
    temporary = path.with_name(f".{secrets.token_hex(8)}{tag}{TEMP_SUFFIX}")
    try:
        try:
            with _guard:
                _unfinished.add(temporary)
            _write_through(temporary, data, like, modified_ns)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        finally:
            _unfinished.discard(temporary)
        flush_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error


def remove_leftovers(folder: Path, tag: str = "") -> None:
    """Remove the temporary files of killed processes from a folder.

    Args:
        folder: Where to look, not deeper; nobody else may be writing there under the same tag.
        tag: Only those of `write_atomically` with this tag; by default all.
    """
    with contextlib.suppress(OSError):  # a folder whose name is too long cannot be listed
        for entry in list(os.scandir(folder)):
            if entry.name.startswith(".") and entry.name.endswith(tag + TEMP_SUFFIX):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def discard_unfinished() -> None:
    """Remove the temporary files of this process and block further writes; call it just before ending the process."""
    _guard.acquire()
    for temporary in tuple(_unfinished):
        with contextlib.suppress(OSError):
            temporary.unlink()


def _write_through(path: Path, data: bytes, like: Path | None, modified_ns: int | None) -> None:
    # A private file must not become readable by others while it is written.
    with open(path, "xb", opener=None if like is None else _private) as file:
        file.write(data)
        if like is not None:
            _take_over(like, path)
        file.flush()
        if modified_ns is not None:
            _set_time(path, modified_ns)
        os.fsync(file.fileno())


def _set_time(path: Path, modified_ns: int) -> None:
    """Set the modification time of a file; never earlier than requested, even on a disk with coarse times."""
    with contextlib.suppress(OSError, OverflowError):
        os.utime(path, ns=(modified_ns, modified_ns))
        if path.stat().st_mtime_ns < modified_ns:
            later = modified_ns + _COARSEST_NS
            os.utime(path, ns=(later, later))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _take_over(like: Path, path: Path) -> None:
    """Copy owner, extended attributes and mode of another file, as far as the system allows."""
    facts = like.stat()
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # only root may change the owner
            os.chown(path, facts.st_uid, facts.st_gid)
    if hasattr(os, "listxattr"):
        for name in _attributes(like):
            with contextlib.suppress(OSError):
                os.setxattr(path, name, os.getxattr(like, name))
    path.chmod(stat.S_IMODE(facts.st_mode))


def _attributes(path: Path) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:  # the file system has none
        return []


def flush_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that new names in it are durable; some systems cannot."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents; raises as `write_atomically` does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def output_error(path: Path, error: OSError) -> LumenError:
    """Return the error for a run: one that stops it, or one that fails a single picture."""
    reason = error.strerror or str(error)
    if error.errno in _NAME:
        return PictureError(f"cannot write {str(path)!r}: {reason}; use a shorter or plainer name")
    if error.errno in _FULL:
        return DiskFullError(f"no space left in {path.parent} for {path.name!r} ({reason}); free some and run again")
    return OutputError(f"cannot write {str(path)!r}: {reason}")
