"""Move or remove inputs safely: no other file is ever replaced, removed, or taken for the one that is meant.

Others may write into the folder of an input while it leaves. So the folder is held open, the file is renamed to a
hidden name and looked at again, and only what is then still that file is moved or removed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple

from lumen.files.atomic import TEMP_SUFFIX
from lumen.files.inputs import Identity, Parent

SAME_NAMES = 1000
LEAVING_SUFFIX = ".lumen-leaving"

_BY_NUMBER = {os.chmod, os.utime} <= os.supports_fd


class Seized(NamedTuple):
    """A file under its hidden name, and what it is."""

    name: str
    identity: Identity


def seize(parent: Parent, name: str, is_meant: Callable[[os.stat_result], bool]) -> Seized | None:
    """Rename a file to a hidden name, so that a new upload under its name cannot be removed.

    It stays hidden beside its place until it is moved, removed, or given back. After an interruption the same call
    finds it there.

    Args:
        parent: The folder of the file.
        name: Its name there.
        is_meant: Tells by `os.lstat` whether a file is the right one.

    Returns:
        None if another file is there, which keeps its name.

    Raises:
        OSError: It cannot be renamed or looked at.
    """
    hidden = hidden_name(name)
    if _facts(parent, hidden) is None:
        facts = _facts(parent, name)
        if facts is None or not is_meant(facts):
            return None
        try:
            parent.rename(name, hidden)
        except FileNotFoundError:
            return None
    facts = _facts(parent, hidden)
    if facts is not None and is_meant(facts):
        return Seized(hidden, Identity.of(facts))
    give_back(parent, name)
    return None


def give_back(parent: Parent, name: str) -> None:
    """Give a seized file its name back; if a newer file has the name by now, that one stays.

    Raises:
        OSError: It cannot be renamed.
    """
    hidden = hidden_name(name)
    if _facts(parent, hidden) is None:
        return
    try:
        parent.link(hidden, name)
    except FileExistsError:
        pass
    except OSError:  # a disk without hard links
        if _facts(parent, name) is None:
            parent.rename(hidden, name)
            return
    parent.unlink(hidden)


def hidden_name(name: str) -> str:
    """Return the name of a seized file; it is short, as names may already be as long as the disk allows."""
    return f".{_digest(name)}{LEAVING_SUFFIX}"


def remove(parent: Parent, seized: Seized) -> None:
    """Remove a seized file; what has taken its hidden name, and what was written to it since, stays.

    Raises:
        OSError: It cannot be removed, or is no longer that file.
    """
    facts = _facts(parent, seized.name)
    if facts is not None:
        _refuse_other(Identity.of(facts), seized)
        parent.unlink(seized.name)


def move(parent: Parent, seized: Seized, folder: Parent, relative: str, *, tag: str = "") -> str:
    """Move a seized file to another folder, on another disk too, and return its name there.

    No file is ever replaced: a second `x.jpg` becomes `x~2.jpg`. After an interruption the same call continues.

    Args:
        parent: The folder of the file.
        seized: The file.
        folder: Where it goes.
        relative: Its path below the watched folder.
        tag: Put into the name of a hidden file in `folder`, for `lumen.files.atomic.remove_leftovers_in`.

    Raises:
        OSError: It cannot be moved, and is still where it was.
    """
    with suppress(OSError):  # what an earlier version of lumen left when it was killed
        folder.unlink(f".{_digest(relative)}{TEMP_SUFFIX}")
    hidden = f".{secrets.token_hex(8)}{tag}{TEMP_SUFFIX}"
    try:
        _bring(parent, seized, folder, hidden)
        name = _name(folder, hidden, PurePath(relative))
    finally:
        with suppress(OSError):
            folder.unlink(hidden)
    remove(parent, seized)
    return name


def _bring(parent: Parent, seized: Seized, folder: Parent, hidden: str) -> None:
    """Give a file, or a copy of it, a hidden name in another folder, and check that it is that file."""
    try:
        parent.link(seized.name, hidden, folder)
    except OSError:  # another disk, or one without hard links
        _copy(parent, seized, folder, hidden)
    else:
        _refuse_other(Identity.of(folder.facts(hidden)), seized)


def _copy(parent: Parent, seized: Seized, folder: Parent, hidden: str) -> None:
    opened = parent.open(seized.name)
    with opened.stream as source, folder.create(hidden, 0o600) as target:
        _refuse_other(opened.identity, seized)
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        _take_over(source, target.fileno() if _BY_NUMBER else folder.path / hidden)
        os.fsync(target.fileno())
        _refuse_other(Identity.of(os.fstat(source.fileno())), seized)  # written to meanwhile
    folder.flush()


def _refuse_other(found: Identity, seized: Seized) -> None:
    if not found.has_content_of(seized.identity):
        raise OSError(errno.ESTALE, "it changed, or another file took its place", seized.name)


def _take_over(source: BinaryIO, place: int | Path) -> None:
    """Give a copy the mode, times and attributes of its file, as far as the disk has them and lets others set them.

    Rights of programs are left out: the copy belongs to who runs lumen, and the file to anybody.
    """
    facts = os.fstat(source.fileno())
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(source.fileno()):
                if name.startswith("user."):
                    os.setxattr(place, name, os.getxattr(source.fileno(), name))
    with suppress(OSError):
        os.chmod(place, facts.st_mode & 0o777)  # noqa: PTH101
    with suppress(OSError):
        os.utime(place, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _name(folder: Parent, hidden: str, wanted: PurePath) -> str:
    """Give a file the first free name, or that of a copy which an earlier, interrupted call has brought there."""
    for number in range(1, SAME_NAMES):
        name = wanted.name if number == 1 else f"{wanted.stem}~{number}{wanted.suffix}"
        try:
            folder.link(hidden, name)  # unlike a rename, it replaces nothing
        except FileExistsError:
            pass
        except OSError:  # a disk without hard links
            if _facts(folder, name) is None:
                folder.rename(hidden, name)
                return name
        else:
            return name
        if _is_copy(folder, hidden, name):
            return name
    raise FileExistsError(errno.EEXIST, f"there are {SAME_NAMES} files of that name", str(folder.path / wanted.name))


def _is_copy(folder: Parent, hidden: str, name: str) -> bool:
    try:
        first, second = Identity.of(folder.facts(hidden)), Identity.of(folder.facts(name))
        if first.is_file(second):
            return True
        if (first.size, first.mtime_ns) != (second.size, second.mtime_ns):
            return False
        with folder.open(hidden).stream as one, folder.open(name).stream as other:
            return _digest_of(one) == _digest_of(other)
    except OSError:
        return False


def _facts(parent: Parent, name: str) -> os.stat_result | None:
    try:
        return parent.facts(name)
    except FileNotFoundError:
        return None


def _digest_of(stream: BinaryIO) -> bytes:
    return hashlib.file_digest(stream, "sha256").digest()  # type: ignore[arg-type]  # it has all that is needed


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
