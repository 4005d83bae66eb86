"""Atomic writes: a file exists completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lumen.errors import DiskFullError, LumenError, OutputError, PictureError
from lumen.files.inputs import Identity, NotPlainError, Parent, hold_folder
from lumen.files.paths import is_folder

TEMP_SUFFIX = ".lumen-tmp"
GUARD_S = 1.0

_unfinished: set[Path] = set()  # temporary files of this process, to be removed when it ends at once
_guard = threading.Lock()

_FULL = {errno.ENOSPC, errno.EDQUOT}
_BY_NUMBER = {os.chmod, os.utime} <= os.supports_fd
COARSEST_NS = 2_000_000_000  # FAT stores times in steps of two seconds
_MOST_ATTRIBUTES = 1 << 20  # bytes
_OF_BYTES = re.compile(r"mime_type|checksum|hash|digest|md5|sha\d|shatag|crc")
_NAME = {errno.ENAMETOOLONG, errno.EILSEQ}  # the fault of one name: other files can still be written
_ACL = "system.posix_acl_access"


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Who may do what with a file, and what people have noted in its extended attributes.

    The rights of programs (setuid, setgid, capabilities) are left out, and so are the attributes of the system: a
    picture needs none, and they were given to other bytes.
    """

    mode: int
    uid: int
    gid: int
    extended: Mapping[str, bytes]

    @classmethod
    def of(cls, stream: BinaryIO) -> Attributes:
        """Return those of an opened file."""
        handle, extended = stream.fileno(), {}
        facts = os.fstat(handle)
        if hasattr(os, "listxattr"):
            with contextlib.suppress(OSError):  # the file system has none
                for name in os.listxattr(handle):
                    if name.startswith("user.") or name == _ACL:
                        with contextlib.suppress(OSError):
                            extended[name] = os.getxattr(handle, name)
        return cls(mode=facts.st_mode & 0o777, uid=facts.st_uid, gid=facts.st_gid, extended=extended)


def user_attributes(stream: BinaryIO) -> dict[str, bytes]:
    """Return the extended attributes of a file that people gave it: tags, ratings, where it came from.

    Checksums and the type are left out, because they are of its bytes.
    """
    found, room = dict[str, bytes](), _MOST_ATTRIBUTES
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):  # the file system has none
            for name in os.listxattr(stream.fileno()):
                if name.startswith("user.") and not _OF_BYTES.search(name) and room > 0:
                    found[name] = os.getxattr(stream.fileno(), name)
                    room -= len(found[name])
    return found


def write_atomically(
    path: Path,
    data: bytes,
    *,
    tag: str = "",
    modified_ns: int | None = None,
    extended: Mapping[str, bytes] | None = None,
    below: Path | None = None,
) -> None:
    """Write a file so that a partial file never has its final name, not even after a crash or a power cut.

    The bytes go to a hidden file in the same folder, are flushed to the disk, and take the final name in one step. On
    any exception the hidden file is removed; only a killed process leaves one, which `remove_leftovers` finds. A link
    of the final name is replaced itself.

    Args:
        path: Where; an existing file is replaced.
        data: What it will hold.
        tag: Put into the name of the hidden file, where several processes write into one folder.
        modified_ns: The time of its last change that the file shall show; by default it is now.
        extended: Extended attributes that it gets, if the file system has them.
        below: A folder that is trusted; folders between it and the file are made if they are missing, and must not be
            links. By default the folder of the file must be there, and may be a link.

    Raises:
        DiskFullError: No space is left, or the user's quota is used up.
        PictureError: The file system cannot hold this name or path, or a link is on the way.
        OutputError: The file cannot be written for another reason.
    """
    with writing_atomically(path, tag=tag, modified_ns=modified_ns, extended=extended, below=below) as file:
        file.write(data)


@contextlib.contextmanager
def writing_atomically(
    path: Path,
    *,
    tag: str = "",
    modified_ns: int | None = None,
    extended: Mapping[str, bytes] | None = None,
    below: Path | None = None,
) -> Iterator[BinaryIO]:
    """Yield a file that takes its final name when the `with` block ends, for what does not fit into memory.

    The arguments and errors are those of `write_atomically`. The file is open for reading and writing; its descriptor
    may be handed to another process, which must have ended when the block does.
    """
    try:
        with (
            hold_folder(path.parent, below=below, make=below is not None) as folder,
            writing_in(folder, path.name, tag=tag, modified_ns=modified_ns, extended=extended) as file,
        ):
            yield file
    except OSError as error:
        raise output_error(path, error) from error


@contextlib.contextmanager
def writing_in(
    folder: Parent,
    name: str,
    *,
    tag: str = "",
    modified_ns: int | None = None,
    extended: Mapping[str, bytes] | None = None,
    attributes: Attributes | None = None,
    instead_of: Identity | None = None,
    is_new: bool = False,
    is_durable: bool = True,
) -> Iterator[BinaryIO]:
    """Yield a file as `writing_atomically` does, in a folder that is held open.

    Args:
        folder: The folder.
        name: Of the file in it.
        tag: As for `write_atomically`.
        modified_ns: As for `write_atomically`.
        extended: As for `write_atomically`.
        attributes: What the file takes over, as far as the system lets it; without them its mode follows the umask.
        instead_of: The file that may be replaced, with the content that it has now.
        is_new: Nothing may be replaced.
        is_durable: It is flushed to the disk; without that a power cut may leave it empty.

    Raises:
        OSError: The file cannot be written, or `FileExistsError` if `is_new` and the name is taken.
        PictureError: Another file, or other content, is there instead of `instead_of`.
    """
    # The name does not contain the final one, which may already be as long as the file system allows.
    temporary = f".{secrets.token_hex(8)}{tag}{TEMP_SUFFIX}"
    path = folder.path / temporary
    try:
        with _guard:
            _unfinished.add(path)
        # A private file must not become readable by others while it is written.
        with folder.create(temporary, 0o666 if attributes is None else 0o600) as file:
            yield file
            _complete(file, settable(file, path), attributes, modified_ns, extended or {}, is_durable=is_durable)
        if instead_of is not None and not Identity.of(folder.facts(name)).has_content_of(instead_of):
            raise PictureError("the file changed while it was worked on; run again")
        if is_new:
            _name_new(folder, temporary, name)
        else:
            folder.rename(temporary, name)
    except BaseException:
        with contextlib.suppress(OSError):
            folder.unlink(temporary)
        raise
    finally:
        _unfinished.discard(path)
    if is_durable:
        folder.flush()


def _name_new(folder: Parent, temporary: str, name: str) -> None:
    """Give a temporary file its final name, and raise `FileExistsError` if that is taken."""
    try:
        folder.link(temporary, name)  # unlike a rename, it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links
        with contextlib.suppress(FileNotFoundError):
            folder.facts(name)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        folder.rename(temporary, name)
    else:
        folder.unlink(temporary)


def remove_leftovers(folder: Path, tag: str = "", *, below: Path | None = None) -> None:
    """Remove the temporary files of killed processes from a folder.

    Args:
        folder: Where to look, not deeper; nobody else may be writing there under the same tag.
        tag: Only those of `write_atomically` with this tag; by default all.
        below: A folder that is trusted; nothing is removed if a link is on the way from there.
    """
    with contextlib.suppress(OSError), hold_folder(folder, below=below) as held:  # it may be too long to be listed
        remove_leftovers_in(held, tag)


def remove_leftovers_in(folder: Parent, tag: str = "") -> None:
    """Remove them, as `remove_leftovers` does, from a folder that is held open; `OSError` if it cannot be listed."""
    for name in leftovers_in(folder, tag):
        with contextlib.suppress(OSError):
            folder.unlink(name)


def leftovers_in(folder: Parent, tag: str = "") -> list[str]:
    """Return the names of the temporary files of killed processes; `OSError` if the folder cannot be listed."""
    return [name for name in folder.names() if name.startswith(".") and name.endswith(tag + TEMP_SUFFIX)]


def discard_unfinished() -> None:
    """Remove the temporary files of this process and block further writes; call it just before ending the process."""
    _guard.acquire(timeout=GUARD_S)  # a signal may have interrupted the one that holds it
    for temporary in tuple(_unfinished):
        with contextlib.suppress(OSError):
            temporary.unlink()


def _complete(
    file: BinaryIO,
    place: int | Path,
    attributes: Attributes | None,
    modified_ns: int | None,
    extended: Mapping[str, bytes],
    *,
    is_durable: bool,
) -> None:
    """Give a file that was written its attributes and time, and flush it to the disk."""
    _set_extended(extended, place)
    if attributes is not None:
        _take_over(attributes, place)
    file.flush()
    if modified_ns is not None:
        _set_time(place, modified_ns)
    if is_durable:
        os.fsync(file.fileno())


def settable(file: BinaryIO, path: Path) -> int | Path:
    """Return what `os.chmod` and `os.utime` take for an opened file: its number, where the system allows that."""
    return file.fileno() if _BY_NUMBER else path


def _set_time(place: int | Path, modified_ns: int) -> None:
    """Set the modification time of a file; never earlier than requested, even on a disk with coarse times."""
    with contextlib.suppress(OSError, OverflowError):
        os.utime(place, ns=(modified_ns, modified_ns))
        if os.stat(place).st_mtime_ns < modified_ns:  # noqa: PTH116
            later = modified_ns + COARSEST_NS
            os.utime(place, ns=(later, later))


def _take_over(attributes: Attributes, place: int | Path) -> None:
    """Give a file the owner, extended attributes and mode of another one, as far as the system allows."""
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # only root may change the owner
            os.chown(place, attributes.uid, attributes.gid)
    _set_extended(attributes.extended, place)
    os.chmod(place, attributes.mode)  # noqa: PTH101


def _set_extended(extended: Mapping[str, bytes], place: int | Path) -> None:
    if hasattr(os, "setxattr"):
        for name, value in extended.items():
            with contextlib.suppress(OSError):
                os.setxattr(place, name, value)


def flush_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that new names in it are durable; some systems cannot."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, with durable names.

    Raises:
        OutputError: It cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not is_folder(each)]
    try:
        with hold_folder(folder, make=True):
            pass
    except OSError as error:
        raise own_error(folder, error) from error
    for each in missing:
        flush_folder(each.parent)


def check_writable(folder: Path) -> None:
    """Look whether files can be written into a folder, or into the nearest one above that is there, before work begins.

    Raises:
        OutputError: They cannot.
    """
    nearest = next(filter(os.path.exists, (folder, *folder.absolute().parents)))
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise own_error(folder, error) from error


def own_error(path: Path, error: OSError) -> OutputError:
    """Return the error for a file or folder that is no picture's, so that it stops a run in any case."""
    fault = output_error(path, error)
    return fault if isinstance(fault, OutputError) else OutputError(str(fault))


def output_error(path: Path, error: OSError) -> LumenError:
    """Return the error for a run: one that stops it, or one that fails a single picture."""
    reason = error.strerror or str(error)
    if error.errno in _NAME:
        return PictureError(f"cannot write {str(path)!r}: {reason}; use a shorter or plainer name")
    if isinstance(error, NotPlainError) or error.errno == errno.ELOOP:  # somebody put a link in its place
        return PictureError(f"cannot write {str(path)!r}: {reason}")
    if error.errno in _FULL:
        return DiskFullError(f"no space left in {path.parent} for {path.name!r} ({reason}); free some and run again")
    return OutputError(f"cannot write {str(path)!r}: {reason}")
