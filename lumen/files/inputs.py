"""Files below a folder, opened and made so that nobody can lead elsewhere.

Others may write into a folder that lumen reads or writes: they can put a link, a pipe or another file in the place of
one that was seen a moment ago. So a file below a root is reached step by step from a descriptor of the root, links are
refused in every component, what was opened is looked at, and all work is done on that one stream. The root itself may
be a link: who names it, trusts it.

Where the system has no descriptors of folders (Windows), every component is looked at before the file is opened. That
leaves a moment in between.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

from lumen.files.identity import Identity as Identity
from lumen.files.identity import Input as Input
from lumen.files.identity import NotPlainError as NotPlainError
from lumen.files.store_path import StorePath

HAS_DESCRIPTORS = os.open in os.supports_dir_fd and os.stat in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")

_LIST = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# O_PATH: a folder that may be entered but not listed will do.
_FOLDER = _LIST | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_PATH", 0)
# O_NONBLOCK: opening a pipe that nobody writes to must not wait. It means nothing for plain files.
_FILE = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

_SEPARATORS = re.compile(f"[{re.escape(os.sep + (os.altsep or ''))}]")
_NO_STEPS = {"", os.curdir, os.pardir}


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
            OSError: It is not there, cannot be read, or is a link, folder, pipe or device (`NotPlainError`).
        """
        return _opened(self._handle(name, _FILE), self.path / name)

    def create(self, name: str, mode: int = 0o666) -> BinaryIO:
        """Make a file and open it for writing; `FileExistsError` if anything has that name, and be it a broken link."""
        handle = self._handle(name, _FILE | os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        return open(self.path / name, "wb", opener=lambda *_: handle)

    def open_or_create(self, name: str) -> BinaryIO:
        """Open a plain file for reading and writing, from its start; it is made if it is missing.

        Raises:
            OSError: It cannot be opened or made, or is a link, folder, pipe or device (`NotPlainError`).
        """
        return _opened(self._handle(name, _FILE | os.O_RDWR | os.O_CREAT), self.path / name, "r+b").stream

    @contextmanager
    def inner(self, name: str, *, make: bool = False) -> Iterator[Parent]:
        """Hold a folder in this one for the length of a `with` block.

        Args:
            name: Its name.
            make: Make it if it is missing.

        Raises:
            OSError: It is missing, cannot be entered or made, or is a link (`NotPlainError`).
        """
        try:
            held = self._entered(name)
        except FileNotFoundError:
            if not make:
                raise
            with suppress(FileExistsError):
                self._make(name)
                self.flush()
            held = self._entered(name)
        try:
            yield held
        finally:
            held.close()

    def close(self) -> None:
        """Let the folder go."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    def names(self) -> list[str]:
        """Return the names of all entries."""
        if self._descriptor is None:
            return [entry.name for entry in os.scandir(self.path)]
        with self._listing() as handle:
            return [entry.name for entry in os.scandir(handle)]

    def flush(self) -> None:
        """Flush the names to the disk; some systems cannot."""
        if self._descriptor is not None:
            with suppress(OSError), self._listing() as handle:
                os.fsync(handle)

    def rename(self, name: str, other: str) -> None:
        """Give an entry another name in the same folder; an entry of that name is replaced."""
        if self._descriptor is None:
            os.replace(self.path / name, self.path / other)
        else:
            os.replace(name, other, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def link(self, name: str, other: str, into: Parent | None = None) -> None:
        """Give an entry a second name, in another folder if `into` is given; `FileExistsError` where that is taken."""
        folder = into or self
        there = folder._descriptor  # noqa: SLF001  # of its own class
        if self._descriptor is None or there is None:
            os.link(self.path / name, folder.path / other, follow_symlinks=False)
        else:
            os.link(name, other, src_dir_fd=self._descriptor, dst_dir_fd=there, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        """Remove an entry that is no folder."""
        if self._descriptor is None:
            (self.path / name).unlink()
        else:
            os.unlink(name, dir_fd=self._descriptor)

    def _handle(self, name: str, flags: int, mode: int = 0o666) -> int:
        path = self.path / name
        if self._descriptor is None:
            if not flags & os.O_EXCL and os.path.lexists(path):
                refuse_unless_plain(os.lstat(path), path)
            return os.open(path, flags, mode)
        try:
            return os.open(name, flags, mode, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):  # a link; a folder; a socket
                refuse_unless_plain(self.facts(name), path)
            raise

    def _entered(self, name: str) -> Parent:
        path = self.path / name
        if self._descriptor is None:
            _refuse_link(os.lstat(path), path)
            return Parent(path, None)
        return Parent(path, _enter(name, self._descriptor, path))

    def _make(self, name: str) -> None:
        if self._descriptor is None:
            (self.path / name).mkdir()
        else:
            os.mkdir(name, dir_fd=self._descriptor)

    @contextmanager
    def _listing(self) -> Iterator[int]:
        handle = os.open(os.curdir, _LIST, dir_fd=self._descriptor)
        try:
            yield handle
        finally:
            os.close(handle)


@contextmanager
def hold_folder(folder: Path, *, below: Path | None = None, make: bool = False) -> Iterator[Parent]:
    """Hold a folder for the length of a `with` block.

    Args:
        folder: The folder.
        below: A folder that is trusted; on the way from there to `folder` no link is followed. By default `folder`
            itself is trusted, and may be a link.
        make: Make what is missing.

    Raises:
        OSError: It is missing, cannot be entered or made, or a link is on the way (`NotPlainError`).
        ValueError: It is not below `below`.
    """
    if isinstance(folder, StorePath):
        from lumen.files.store_folder import StoreFolder

        yield StoreFolder(folder)
        return
    root = folder if below is None else below
    names = folder.relative_to(root).parts
    if os.pardir in names:
        raise ValueError(f"expected a folder below {root}, got {folder}")
    with ExitStack() as stack:
        held = _held_root(root, make=make)
        stack.callback(held.close)
        for name in names:
            held = stack.enter_context(held.inner(name, make=make))
        yield held


def _held_root(root: Path, *, make: bool) -> Parent:
    if not HAS_DESCRIPTORS:
        if make:
            root.mkdir(parents=True, exist_ok=True)
        return Parent(root, None)
    flags = _FOLDER & ~os.O_NOFOLLOW
    try:
        return Parent(root, os.open(root, flags))
    except FileNotFoundError:
        if not make:
            raise
        root.mkdir(parents=True, exist_ok=True)
        return Parent(root, os.open(root, flags))


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
    *folders, _ = _steps(relative)
    with hold_folder(root.joinpath(*folders), below=root) as parent:
        yield parent


def facts_below(root: Path, relative: str) -> os.stat_result:
    """Return `os.lstat` of a file below a root, as `parent_of` reaches it, for many files in little time.

    Raises:
        OSError: There is no such file, or a folder on the way is a link (`ELOOP` or `ENOTDIR`).
        ValueError: The path leads out of the root, or has a NUL.
    """
    *folders, name = _steps(relative)
    if not HAS_DESCRIPTORS:
        with parent_of(root, relative) as parent:
            return parent.facts(name)
    descriptor = _reach(root, folders)
    try:
        return os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    finally:
        os.close(descriptor)


@contextmanager
def entries_below(root: Path, relative: str) -> Iterator[tuple[os.stat_result, Iterator[os.DirEntry[str]]]]:
    """Yield what a folder below a root is, or the root where `relative` is empty, and its entries as `os.scandir` does.

    The entries can be asked inside the block only. Raises as `facts_below` does.
    """
    folders = _steps(relative) if relative else []
    if not HAS_DESCRIPTORS:
        with hold_folder(root.joinpath(*folders), below=root) as held, os.scandir(held.path) as entries:
            yield held.path.stat(), entries
        return
    descriptor = _reach(root, folders, os.O_RDONLY)
    try:
        with os.scandir(descriptor) as entries:
            yield os.fstat(descriptor), entries
    finally:
        os.close(descriptor)


def open_input(root: Path, relative: str) -> Input:
    """Open a plain file below a root; no component of `relative` may be a link.

    Raises:
        OSError: It cannot be reached or read, or is a link, folder, pipe or device.
        ValueError: The path leads out of the root, or has a NUL.
    """
    if isinstance(root, StorePath):
        return open_named(root / relative)
    with parent_of(root, relative) as parent:
        return parent.open(_steps(relative)[-1])


def open_named(path: Path) -> Input:
    """Open a plain file that somebody named: links are followed, but pipes and devices are refused and never wait.

    Raises:
        OSError: It is not there, cannot be read, or is no plain file.
    """
    if isinstance(path, StorePath):
        from lumen.files.stores import open_object

        return open_object(path)
    handle = os.open(path, _FILE & ~getattr(os, "O_NOFOLLOW", 0))
    return _opened(handle, path)


def refuse_unless_plain(facts: os.stat_result, path: Path) -> None:
    """Raise `NotPlainError` if what is at a path is a link, folder, pipe or device."""
    if stat.S_ISLNK(facts.st_mode):
        raise NotPlainError(errno.ELOOP, "it is a link", str(path))
    if stat.S_ISDIR(facts.st_mode):
        raise NotPlainError(errno.EISDIR, "it is a folder, not a plain file", str(path))
    if not stat.S_ISREG(facts.st_mode):
        raise NotPlainError(errno.EINVAL, "it is a pipe or device, not a plain file", str(path))


def _opened(handle: int, path: Path, mode: Literal["rb", "r+b"] = "rb") -> Input:
    try:
        facts = os.fstat(handle)
        refuse_unless_plain(facts, path)
        # Some decoders want the stream to have a name.
        return Input(stream=open(path, mode, opener=lambda *_: handle), identity=Identity.of(facts))
    except BaseException:
        os.close(handle)
        raise


def _enter(name: str, descriptor: int, path: Path) -> int:
    """Return a descriptor of a folder in another one."""
    try:
        return os.open(name, _FOLDER, dir_fd=descriptor)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):  # a link; which of the two it is depends on the system
            _refuse_link(os.stat(name, dir_fd=descriptor, follow_symlinks=False), path)
            reason = f"the folder {path.name!r} was a link a moment ago, and links are not followed here"
            raise NotPlainError(errno.ELOOP, reason, str(path)) from error
        raise


def _refuse_link(facts: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(facts.st_mode):
        raise NotPlainError(
            errno.ELOOP, f"the folder {path.name!r} is a link, and links are not followed here", str(path)
        )
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def _reach(root: Path, folders: Sequence[str], access: int = getattr(os, "O_PATH", 0)) -> int:
    """Return a descriptor of a folder below a root, reached without following links."""
    last = _LIST | access
    descriptor = os.open(root, last if not folders else _FOLDER & ~os.O_NOFOLLOW)
    try:
        for number, folder in enumerate(folders, 1):
            flags = last | os.O_NOFOLLOW if number == len(folders) else _FOLDER
            deeper = os.open(folder, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _steps(relative: str) -> list[str]:
    steps = _SEPARATORS.split(relative)  # `Path.parts` would tidy `a//b` up
    if not _NO_STEPS.isdisjoint(steps) or os.path.splitdrive(relative)[0] or "\0" in relative:
        raise ValueError(f"expected a plain path below a folder, got {relative!r}")
    return steps
