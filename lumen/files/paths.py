"""What is at a path, without raising where nothing can be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from lumen.errors import OutputError, StoreError, UsageError
from lumen.files.store_path import StorePath, WebPath

TRIES = 10
FOLDERS = 10_000  # that a cache of what is known of them holds


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder, or a link to one."""
    return type_of(path) == stat.S_IFDIR


def is_plain_file(path: Path) -> bool:
    """Tell whether a path is a plain file, or a link to one."""
    return type_of(path) == stat.S_IFREG


def exists(path: Path) -> bool:
    """Tell whether anything is at a path, and be it a broken link; raises `StoreError` if a store cannot be asked."""
    return bool(type_of(path)) if isinstance(path, StorePath) else os.path.lexists(path)


def require_input(path: Path) -> None:
    """Refuse the URL of an input under which there is nothing to read; paths on disks are looked at elsewhere.

    Raises:
        StoreError: Nothing is there, or the store cannot be asked.
        MissingExtraError: What talks to the store is not installed.
    """
    if isinstance(path, StorePath):
        from lumen.files.stores import require_readable

        require_readable(path)


def type_of(path: Path) -> int:
    """Return `stat.S_IFMT` of a path, 0 if nothing can be read there.

    `Path.exists` and the like raise if a name is too long or a folder may not be entered. A store that cannot be asked
    raises `StoreError`.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):  # a NUL in a name is a ValueError
        return 0


def type_of_output(path: Path) -> int:
    """Return `type_of` a place for results.

    Raises:
        UsageError: Nothing can be written there.
        OutputError: It is in a store that cannot be asked.
    """
    if isinstance(path, WebPath):
        raise UsageError(f"expected a folder, or a store that takes objects, after --out, got {path}")
    try:
        return type_of(path)
    except StoreError as error:
        raise OutputError(f"{error} (after --out)") from error


def real_path(path: Path) -> Path:
    """Return a path with links resolved, as far as they can be; there are none in a store."""
    if isinstance(path, StorePath):
        return path
    for _ in range(TRIES):
        with suppress(OSError):  # a link was replaced while it was read
            return Path(os.path.realpath(path))
    return path.absolute()


def real_paths() -> Callable[[Path], Path]:
    """Return a function that does what `real_path` does for very many links, and remembers the folders they lead to."""
    real_folder = lru_cache(FOLDERS)(os.path.realpath)

    def real(path: Path) -> Path:
        with suppress(OSError, ValueError):
            link = os.fspath(path)  # paths would take several times as long
            target = os.path.join(os.path.dirname(link), os.readlink(link))  # noqa: PTH115, PTH118, PTH120
            folder, name = os.path.split(target)
            found = os.path.join(real_folder(folder), name)  # noqa: PTH118
            if name not in ("", os.curdir, os.pardir) and not os.path.islink(found):  # noqa: PTH114
                return Path(found)
        return real_path(path)

    return real
