"""Files below a folder, opened so that nobody can lead elsewhere.

Others may write into a folder that lumen reads: they can put a link, a pipe or another file in the place of one that
was seen a moment ago. So a file below a root is reached step by step from a descriptor of the root, links are refused
in every component, what was opened is looked at, and all work is done on that one stream. The root itself may be a
link: who names it, trusts it.

Where the system has no descriptors of folders (Windows), every component is looked at before the file is opened. That
leaves a moment in between.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

HAS_DESCRIPTORS = os.open in os.supports_dir_fd and os.stat in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
# O_NONBLOCK: opening a pipe that nobody writes to must not wait. It means nothing for plain files.
_FILE = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class Identity(NamedTuple):
    """What no other file, and no later content of this one, has; times in nanoseconds."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Identity:
        """Return the identity that `os.stat` or `os.fstat` shows."""
        return cls(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)

    def is_file(self, other: Identity) -> bool:
        """Tell whether both are one file, whatever is in it."""
        return (self.device, self.inode) == (other.device, other.inode)


@dataclass(frozen=True, kw_only=True)
class Input:
    """A plain file that was opened.

    Attributes:
        stream: Seekable, at its start.
        identity: What it was when it was opened.
    """

    stream: BinaryIO
    identity: Identity

    def has_changed(self) -> bool:
        """Tell whether somebody has written to the file since it was opened; its links and mode do not matter."""
        now = Identity.of(os.fstat(self.stream.fileno()))
        return (now.size, now.mtime_ns) != (self.identity.size, self.identity.mtime_ns)


class Parent:
    """The folder of one file, held open: names in it mean what they meant when it was reached."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor

    def facts(self, name: str) -> os.stat_result:
        """Return `os.lstat` of an entry; raises `OSError`."""
        if self._descriptor is None:
            return os.lstat(self.path / name)
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)

    def open(self, name: str) -> Input:
        """Open a plain file.

        Raises:
            OSError: It is not there, cannot be read, or is a link, folder, pipe or device.
        """
        if self._descriptor is None:
            _refuse_unless_plain(os.lstat(self.path / name), self.path / name)
            handle = os.open(self.path / name, _FILE)
        else:
            handle = os.open(name, _FILE, dir_fd=self._descriptor)
        return _opened(handle, self.path / name)

    def rename(self, name: str, other: str) -> None:
        """Give an entry another name in the same folder; an entry of that name is replaced."""
        if self._descriptor is None:
            os.replace(self.path / name, self.path / other)
        else:
            os.replace(name, other, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def link(self, name: str, other: str) -> None:
        """Give an entry a second name in the same folder; raises `FileExistsError` where that is taken."""
        if self._descriptor is None:
            os.link(self.path / name, self.path / other, follow_symlinks=False)
        else:
            descriptor = self._descriptor
            os.link(name, other, src_dir_fd=descriptor, dst_dir_fd=descriptor, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        """Remove an entry that is no folder."""
        if self._descriptor is None:
            (self.path / name).unlink()
        else:
            os.unlink(name, dir_fd=self._descriptor)


@contextmanager
def parent_of(root: Path, relative: str) -> Iterator[Parent]:
    """Hold the folder of a file below a root for the length of a `with` block.

    Args:
        root: The folder that is trusted; it may be a link.
        relative: Path of a file below it, without `.` and `..`.

    Raises:
        OSError: A folder on the way is missing, is a link (`ELOOP` or `ENOTDIR`), or cannot be entered.
        ValueError: The path leads out of the root, or has a NUL.
    """
    *folders, name = _steps(relative)
    if not name:
        raise ValueError(f"expected a path of a file below {root}, got {relative!r}")
    if not HAS_DESCRIPTORS:
        path = root
        for folder in folders:
            path = path / folder
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        yield Parent(path, None)
        return
    descriptor = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for folder in folders:
            deeper = os.open(folder, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield Parent(root.joinpath(*folders), descriptor)
    finally:
        os.close(descriptor)


def open_input(root: Path, relative: str) -> Input:
    """Open a plain file below a root; no component of `relative` may be a link.

    Raises:
        OSError: It cannot be reached or read, or is a link, folder, pipe or device.
        ValueError: The path leads out of the root, or has a NUL.
    """
    with parent_of(root, relative) as parent:
        return parent.open(_steps(relative)[-1])


def open_named(path: Path) -> Input:
    """Open a plain file that somebody named: links are followed, but pipes and devices are refused and never wait.

    Raises:
        OSError: It is not there, cannot be read, or is no plain file.
    """
    handle = os.open(path, _FILE & ~getattr(os, "O_NOFOLLOW", 0))
    return _opened(handle, path)


def _opened(handle: int, path: Path) -> Input:
    try:
        facts = os.fstat(handle)
        _refuse_unless_plain(facts, path)
        # Some decoders want the stream to have a name.
        return Input(stream=open(path, "rb", opener=lambda *_: handle), identity=Identity.of(facts))
    except BaseException:
        os.close(handle)
        raise


def _steps(relative: str) -> list[str]:
    steps = re.split(f"[{re.escape(os.sep + (os.altsep or ''))}]", relative)  # `Path.parts` would tidy `a//b` up
    if any(step in ("", os.curdir, os.pardir) for step in steps) or Path(relative).drive or "\0" in relative:
        raise ValueError(f"expected a plain path below a folder, got {relative!r}")
    return steps


def _refuse_unless_plain(facts: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(facts.st_mode):
        raise OSError(errno.ELOOP, "it is a link", str(path))
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a plain file", str(path))
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or device, not a plain file", str(path))
