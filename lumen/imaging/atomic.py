"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from lumen.errors import DiskFullError, LumenError, OutputError, PictureError

TEMP_SUFFIX = ".lumen-tmp"

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NAME = {errno.ENAMETOOLONG, errno.EILSEQ}  # the fault of one name: others may well be written


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that its final name never stands for a part of it, not even after a crash or a power cut.

    The bytes go to a hidden file in the same folder, are flushed to the disk, and take the final name in one step. The
    file's mode follows the umask. On any exception the hidden file is removed; only a killed process leaves one,
    recognisable by `TEMP_SUFFIX`.

    Raises:
        DiskFullError: No space is left, or the user's quota is used up.
        PictureError: The file system cannot hold this name or path.
        OutputError: The file cannot be written for another reason.
    """
    # The name does not contain the final one, which may already be as long as the file system allows.
    temporary = path.with_name(f".{secrets.token_hex(8)}{TEMP_SUFFIX}")
    try:
        try:
            _write_through(temporary, data)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _flush_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error


def _write_through(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the new name durable where the system lets folders be flushed."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing; raises as `write_atomically` does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def output_error(path: Path, error: OSError) -> LumenError:
    """Return what the system's error means for a run: that it must stop, or that one picture has no place."""
    reason = error.strerror or str(error)
    if error.errno in _NAME:
        return PictureError(f"cannot write {str(path)!r}: {reason}; use a shorter or plainer name")
    if error.errno in _FULL:
        return DiskFullError(f"no space left in {path.parent} for {path.name!r} ({reason}); free some and run again")
    return OutputError(f"cannot write {str(path)!r}: {reason}")
