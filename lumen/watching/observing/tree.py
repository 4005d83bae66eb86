"""The watched folder: which of its files count, and their current versions."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from lumen.files.inputs import Input, Parent, entries_below, facts_below, open_input, parent_of
from lumen.files.patterns import Selection, is_clip_name, is_hidden, is_picture_name
from lumen.watching.observing.mounts import has_stable_inodes
from lumen.watching.versions import Version

# Folders of network storage and operating systems, besides hidden ones.
SYSTEM_FOLDERS = frozenset(
    {"@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)

NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}  # the last two: a link in the place of a folder


@dataclass(frozen=True, kw_only=True)
class SeenFile:
    """A file that counts: its path below the watched folder, and its current version."""

    relative: str
    version: Version


class Tree:
    """Reads the folder; it changes nothing, and remembers only where the folder is.

    Hidden files, files of unknown suffixes (`x.jpg.filepart`), links, and hidden folders do not count: unfinished
    uploads have such names. Nor do the folders that lumen itself fills.

    Others may write here at any moment. So below the folder itself no link is followed, not even one that takes the
    place of a folder that was seen (`lumen.files.inputs`).
    """

    def __init__(
        self, root: Path, *, without: Iterable[Path] = (), ignore: Iterable[str] = (), clips: bool = False
    ) -> None:
        """Describe a folder; `open` it before reading.

        Args:
            root: The folder, or a link to it.
            without: Folders that are left out if they lie inside.
            ignore: Patterns of files and folders that are left out, as `lumen.files.patterns.Selection` matches them.
            clips: Whether clips count too.
        """
        self.root = root.absolute()
        self.real = str(self.root)
        self._place = self.root
        self.identity: tuple[int, int] | None = None
        self._without = [os.path.realpath(folder) for folder in without]
        self._clips = clips
        patterns = tuple(ignore)
        self._selection = Selection(exclude=patterns) if patterns else None
        self._excluded: set[str] = set()
        self._own: set[tuple[int, int]] = set()
        self._use_inodes = True

    def open(self) -> None:
        """Open the folder as it is now.

        Raises:
            OSError: It does not exist, or is not a folder.
        """
        real = os.path.realpath(self.root)
        identity = _identity(real)
        os.scandir(real).close()  # a mount that has gone may still exist, but cannot be listed
        self.real, self.identity = real, identity
        self._place = Path(real)
        self._excluded = {os.path.relpath(folder, real) for folder in self._without if _inside(folder, real)}
        self._own = {own for folder in self._without if (own := folder_identity(folder)) is not None}
        self._use_inodes = has_stable_inodes(real)

    def is_same(self) -> bool:
        """Tell whether the folder is still the one that was opened.

        Raises:
            OSError: It does not exist.
        """
        return _identity(os.path.realpath(self.root)) == self.identity

    def path(self, relative: str) -> Path:
        """Return the absolute path of a file."""
        return Path(self.real, relative)

    def relative(self, path: str) -> str | None:
        """Return a path relative to the folder, None if it lies elsewhere; the folder itself is empty."""
        if path == self.real:
            return ""
        prefix = self.real.rstrip(os.sep) + os.sep
        return path[len(prefix) :] if path.startswith(prefix) else None

    def wants(self, relative: str) -> bool:
        """Tell by its path whether a file counts."""
        folder, _, name = relative.rpartition(os.sep)
        return self._wants_name(relative, name) and self.wants_folder(folder)

    def wants_folder(self, relative: str) -> bool:
        """Tell by its path whether a folder is scanned."""
        while relative:
            if not self.enters(relative):
                return False
            relative = relative.rpartition(os.sep)[0]
        return True

    def enters(self, relative: str) -> bool:
        """Tell by its path whether a folder is scanned, assuming that those above it are."""
        name = relative.rpartition(os.sep)[2]
        if is_hidden(name) or name in SYSTEM_FOLDERS or relative in self._excluded:
            return False
        return self._selection is None or not self._selection.drops(PurePath(relative))

    def look(self, relative: str, likely: Version | None = None) -> Version | None:
        """Return the current version of a file, None if there is no regular file.

        Args:
            relative: Its path below the watched folder.
            likely: What it was. If it still seems to be that, the folders on the way are not looked at, which takes
                several times as long; who opens the file looks at them.

        Raises:
            OSError: The file system reports an error.
        """
        if likely is not None:
            with suppress(OSError, ValueError):
                version = self.version(os.lstat(os.path.join(self.real, relative)))  # noqa: PTH118  # of many files
                if version == likely:
                    return version
        try:
            return self.version(facts_below(self._place, relative))
        except OSError as error:
            if error.errno in NO_FILE:
                return None
            raise
        except ValueError:  # no path below the folder: whoever wrote it down may not lead elsewhere
            return None

    def version(self, facts: os.stat_result) -> Version | None:
        """Return the version that a file is, None if it is no regular file."""
        if not stat.S_ISREG(facts.st_mode):
            return None
        # SQLite has 63 bits: a broken clock may say the year 2300, and some file systems use all 64 for inodes.
        inode = (facts.st_ino + 2**63) % 2**64 - 2**63 if self._use_inodes else 0
        mtime_ns, ctime_ns = (max(-(2**63), min(time, 2**63 - 1)) for time in (facts.st_mtime_ns, facts.st_ctime_ns))
        # Where inodes do not last, ctime is made up too.
        return Version(facts.st_size, mtime_ns, inode, ctime_ns if self._use_inodes else 0)

    def parent(self, relative: str) -> AbstractContextManager[Parent]:
        """Return what holds the folder of a file for the length of a `with` block; raises `OSError`."""
        return parent_of(self._place, relative)

    def open_file(self, relative: str) -> Input:
        """Open a regular file for reading; raises `OSError` where there is none."""
        return open_input(self._place, relative)

    def walk(
        self, below: str, unreadable: Callable[[str, OSError], None], entered: Callable[[int], None]
    ) -> Iterator[SeenFile]:
        """Yield the files below a folder; memory only holds the paths of folders not scanned yet.

        Args:
            below: Where to start; empty for the whole folder.
            unreadable: Called for folders that cannot be listed. For the watched folder itself the error is raised.
            entered: Called with the inode of each folder.
        """
        pending = [below]
        while pending:
            folder = pending.pop()
            try:
                with entries_below(self._place, folder) as (facts, entries):
                    if folder and (facts.st_dev, facts.st_ino) in self._own:
                        self._excluded.add(folder)  # mounted here too
                        continue
                    entered(facts.st_ino)
                    for entry in entries:
                        relative = f"{folder}{os.sep}{entry.name}" if folder else entry.name
                        if _is_folder(entry):
                            if self.enters(relative):
                                pending.append(relative)
                        elif self._wants_name(relative, entry.name) and (found := self._found(relative, entry)):
                            yield found
            except OSError as error:
                if not folder:
                    raise
                if error.errno not in NO_FILE:
                    unreadable(folder, error)

    def _wants_name(self, relative: str, name: str) -> bool:
        if not is_picture_name(name) and not (self._clips and is_clip_name(name)):
            return False
        return self._selection is None or not self._selection.drops(PurePath(relative))

    def _found(self, relative: str, entry: os.DirEntry[str]) -> SeenFile | None:
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError:  # gone since the folder was listed; or damaged, and the next scan tries again
            return None
        version = self.version(facts)
        return None if version is None else SeenFile(relative=relative, version=version)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder; a damaged entry, which cannot say, must not hide those beside it."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _identity(path: str) -> tuple[int, int]:
    facts = Path(path).stat()
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return facts.st_dev, facts.st_ino


def folder_identity(folder: str) -> tuple[int, int] | None:
    """Return device and inode of a folder; None if there is no folder, or its file system does not number its files."""
    try:
        device, inode = _identity(folder)
    except OSError:  # not made yet
        return None
    return (device, inode) if inode else None


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
