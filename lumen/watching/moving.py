"""Move or remove inputs safely: no other file is ever replaced or removed."""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lumen.files.atomic import TEMP_SUFFIX, make_folder

SAME_NAMES = 1000
LEAVING_SUFFIX = ".lumen-leaving"


def seize(path: Path, is_meant: Callable[[Path], bool]) -> Path | None:
    """Rename a file to a hidden name, so that a new upload under its name cannot be removed, and return its path.

    It stays hidden beside its place until it is moved, removed, or given back. After an interruption the same call
    finds it there.

    Args:
        path: The file.
        is_meant: Tells whether the file at a path is the right one.

    Returns:
        None if another file is there, which keeps its name.

    Raises:
        OSError: It cannot be renamed or read.
    """
    hidden = hidden_place(path)
    if not os.path.lexists(hidden):
        if not is_meant(path):
            return None
        try:
            path.rename(hidden)
        except FileNotFoundError:
            return None
    if is_meant(hidden):
        return hidden
    give_back(path)
    return None


def give_back(path: Path) -> None:
    """Give a seized file its name back; if a newer file has the name by now, that one stays.

    Raises:
        OSError: It cannot be renamed.
    """
    hidden = hidden_place(path)
    if not os.path.lexists(hidden):
        return
    try:
        os.link(hidden, path, follow_symlinks=False)
    except FileExistsError:
        pass
    except OSError:  # a disk without hard links
        if not os.path.lexists(path):
            hidden.rename(path)
            return
    hidden.unlink()


def hidden_place(path: Path) -> Path:
    """Return the path of a seized file; its name is short, as names may already be as long as the disk allows."""
    return path.with_name(f".{_digest(path.name)}{LEAVING_SUFFIX}")


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]


def move(path: Path, folder: Path, relative: str) -> Path:
    """Move a file below a folder, on another disk too, and return its new path.

    No file is ever replaced: a second `x.jpg` becomes `x~2.jpg`. After an interruption the same call continues.

    Raises:
        OSError: It cannot be moved, and is still where it was.
        OutputError: The folder cannot be made.
    """
    wanted = folder / relative
    make_folder(wanted.parent)
    for number in range(1, SAME_NAMES):
        place = wanted if number == 1 else wanted.with_name(f"{wanted.stem}~{number}{wanted.suffix}")
        try:
            _give_name(path, place, relative)
        except FileExistsError:
            if not _is_copy(path, place):
                continue
        path.unlink()
        return place
    raise FileExistsError(errno.EEXIST, f"there are {SAME_NAMES} files of that name", str(wanted))


def _give_name(path: Path, place: Path, relative: str) -> None:
    """Give a file, or a copy of it, a second name; `FileExistsError` if another file has that name."""
    try:
        os.link(path, place, follow_symlinks=False)  # unlike a rename, it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # another disk, or one without hard links
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, "it exists", str(place)) from None
        _copy(path, place, relative)


def _copy(path: Path, place: Path, relative: str) -> None:
    """Copy a file with its times and mode; it gets its name when it is complete and on the disk."""
    # Always the same name: the leftover of a killed process is overwritten.
    hidden = place.with_name(f".{_digest(relative)}{TEMP_SUFFIX}")
    try:
        with path.open("rb") as source, hidden.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        with suppress(OSError):  # some disks have no modes, or do not let others set times
            shutil.copystat(path, hidden)
        hidden.replace(place)
    finally:
        with suppress(OSError):
            hidden.unlink()


def _is_copy(path: Path, place: Path) -> bool:
    """Tell whether an earlier, interrupted call has already brought the file there."""
    try:
        first, second = path.stat(), place.lstat()
        if (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino):
            return True
        alike = (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)
        return alike and filecmp.cmp(path, place, shallow=False)
    except OSError:
        return False
