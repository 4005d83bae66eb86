"""Objects in stores: asked, listed, read and written, each whole or not at all.

What was listed is kept for a while, so that what is asked of single objects of a prefix costs no requests.
"""

from __future__ import annotations

import errno
import hashlib
import io
import mimetypes
import os
import stat
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

from lumen.errors import StoreError
from lumen.files.identity import Identity, Input, NotPlainError
from lumen.files.store_path import LOGIN, WEB, StorePath
from lumen.files.store_requests import KINDS, asked
from lumen.imaging.clip_formats import is_clip

IN_MEMORY_BYTES = 256 << 20  # larger objects are read by way of a file
HELD_OBJECTS = 50_000  # of the listings that are kept

_TIMES = ("LastModified", "updated", "last_modified", "Last-Modified", "mtime")


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a store tells of an object.

    Attributes:
        size: In bytes; -1 if a server of the web does not say.
        mtime_ns: When it was written.
        tag: Its ETag and version.
    """

    size: int
    mtime_ns: int
    tag: str

    def stat(self, path: StorePath) -> os.stat_result:
        """Return them as a plain file has them; the device stands for the key, and the inode for the tag."""
        seconds = self.mtime_ns // 10**9
        head = (stat.S_IFREG | 0o644, _number(self.tag), _number(path.key), 1, 0, 0, self.size, *[seconds] * 3)
        return os.stat_result((*head, *[self.mtime_ns / 1e9] * 3, *[self.mtime_ns] * 3))


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What lies directly below a prefix, by name: objects, and further prefixes; and the number of unusable names."""

    files: dict[str, ObjectFacts] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    unusable: int = 0


_FOLDER = os.stat_result((stat.S_IFDIR | 0o755, 0, 0, 1, 0, 0, 0, 0, 0, 0))


class _StoredInput(Input):
    """An object that was read."""

    path: StorePath

    def has_changed(self) -> bool:
        """Tell whether another content has its key now, or none."""
        try:
            return not Identity.of(_ask_for_facts(self.path)).has_content_of(self.identity)
        except OSError:
            return True


class _Named(io.BytesIO):
    """A stream in memory; some decoders want it to have a name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def facts_of(path: StorePath) -> os.stat_result:
    """Return what an object is, or that a prefix is a folder: from a listing that is known, or by asking.

    Raises:
        FileNotFoundError: Neither is there.
        StoreError: The store cannot be asked.
    """
    known = _known(path)
    if known is not None:
        return known
    try:
        facts = _ask_for_facts(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise store_error(path, error) from None
    if stat.S_ISDIR(facts.st_mode):
        with _guard:
            _prefixes.add(path)
    return facts


def require_readable(path: StorePath) -> None:
    """Refuse the URL of an input under which there is nothing to read.

    Raises:
        StoreError: Nothing is there, or the store cannot be asked.
        MissingExtraError: What talks to the store is not installed.
    """
    try:
        facts_of(path)
    except FileNotFoundError:
        raise StoreError(f"there is nothing to read at {path}") from None


def walk_prefix(root: StorePath, enters: Callable[[StorePath], bool]) -> Iterator[tuple[StorePath, Listing]]:
    """Yield a prefix and those below it, in the order of their names, with what lies directly below each.

    Args:
        root: Where to begin.
        enters: Tells whether to go into a prefix.

    Raises:
        OSError: A prefix cannot be listed; what was not yielded yet is not listed.
    """
    listing = list_prefix(root)
    yield root, listing
    for name in sorted(listing.folders):
        if enters(root / name):
            yield from walk_prefix(root / name, enters)


def open_object(path: StorePath) -> Input:
    """Read a whole object, in one request, and return it opened.

    Raises:
        OSError: It is not there, or cannot be read; `NotPlainError` if it is a prefix.
    """
    facts = _ask_for_facts(path)
    if stat.S_ISDIR(facts.st_mode):
        raise NotPlainError(errno.EISDIR, "it is a folder, not a plain file", str(path))
    stream: BinaryIO
    if facts.st_size > IN_MEMORY_BYTES or is_clip(path):  # FFmpeg reads in a process of its own, which needs a file
        stream = _by_file(path)
        size = os.fstat(stream.fileno()).st_size
    else:
        data = asked(path, lambda files: files.cat_file(path.key, **KINDS[path.scheme].reading))
        stream, size = _Named(data, str(path)), len(data)
    if facts.st_size not in (-1, size):
        stream.close()
        raise OSError(errno.EBUSY, "it changed while it was read; run again", str(path))
    opened = _StoredInput(stream=stream, identity=Identity.of(facts))
    object.__setattr__(opened, "path", path)
    return opened


def list_prefix(path: StorePath) -> Listing:
    """List what lies directly below a prefix, in as few requests as the store allows; it is kept for `facts_of`.

    Raises:
        OSError: It cannot be listed; `FileNotFoundError` if nothing is there.
    """
    if path.scheme in WEB:
        raise NotADirectoryError(errno.ENOTDIR, "servers of the web list no folders", str(path))
    entries = asked(path, lambda files: files.ls(path.key, detail=True))
    objects, prefixes, unusable = dict[str, ObjectFacts](), set[str](), 0
    for entry in entries:
        name = entry["name"].removeprefix(path.key).removeprefix("/")
        is_prefix = entry["type"] == "directory"
        name = name.removesuffix("/") if is_prefix else name
        if not name and not is_prefix:
            continue  # the empty object that some programs put in the place of a folder
        if name in ("", os.curdir, os.pardir) or "/" in name:
            unusable += 1
        elif is_prefix:
            prefixes.add(name)
        else:
            objects[name] = _facts(entry)
    listing = Listing(files=objects, folders=prefixes, unusable=unusable)
    _hold(path, listing)
    return listing


def assume_empty(path: StorePath) -> Listing:
    """Take note that nothing lies below a prefix, so that nothing is asked of it."""
    listing = Listing()
    _hold(path, listing)
    return listing


def put_object(path: StorePath, data: bytes, *, is_new: bool = False) -> None:
    """Write a whole object: until it is complete, what was there before is there.

    Args:
        path: Where.
        data: What it holds.
        is_new: Nothing may be replaced, as far as the store has conditions.

    Raises:
        OSError: It cannot be written; `FileExistsError` if `is_new` and the key is taken.
    """
    options = _options_of(path)
    mode = "create" if is_new else "overwrite"
    asked(path, lambda files: files.pipe_file(path.key, data, mode=mode, **options))
    _note(path, ObjectFacts(len(data), time.time_ns(), ""))


@contextmanager
def writing_object(path: StorePath) -> Iterator[BinaryIO]:
    """Yield a file on this machine that becomes the object when the `with` block ends, for what fits into no memory.

    Raises:
        OSError: It cannot be written.
    """
    options = _options_of(path)
    with tempfile.NamedTemporaryFile(prefix="lumen-") as file:
        yield file  # type: ignore[misc]  # which is a wrapper
        file.flush()
        asked(path, lambda files: files.put_file(file.name, path.key, **options))
        _note(path, ObjectFacts(os.fstat(file.fileno()).st_size, time.time_ns(), ""))


def _options_of(path: StorePath) -> Mapping[str, Any]:
    """Return the options with which an object is put; raises `PermissionError` where there is nothing to be put."""
    if path.scheme in WEB:
        raise PermissionError(errno.EPERM, "servers of the web are only read", str(path))
    media = mimetypes.guess_type(path.name)[0]
    return KINDS[path.scheme].typed(media) if media else {}


def remove_object(path: StorePath) -> None:
    """Remove an object; raises `OSError`."""
    asked(path, lambda files: files.rm_file(path.key))
    _note(path, None)


def store_error(path: StorePath, error: OSError) -> StoreError:
    """Return the error for a store that cannot be asked at all."""
    advice = f"; {LOGIN[path.scheme]}" if isinstance(error, PermissionError) else ""
    return StoreError(f"cannot read {path}: {error.strerror or error}{advice}")


def _ask_for_facts(path: StorePath) -> os.stat_result:
    entry = asked(path, lambda files: files.info(path.key))
    return _FOLDER if entry["type"] == "directory" else _facts(entry).stat(path)


def _by_file(path: StorePath) -> BinaryIO:
    """Read an object into a file that nobody else sees."""
    with tempfile.NamedTemporaryFile(prefix="lumen-") as file:
        asked(path, lambda files: files.get_file(path.key, file.name))
        return open(file.name, "rb")  # noqa: PTH123  # which outlives its name


def _facts(entry: Mapping[str, Any]) -> ObjectFacts:
    """Return what an entry of fsspec tells; every store has its own words."""
    tag = next((str(entry[name]) for name in ("ETag", "etag", "md5Hash") if entry.get(name)), "")
    version = next((str(entry[name]) for name in ("VersionId", "generation", "version_id") if entry.get(name)), "")
    time_of = next((entry[name] for name in _TIMES if entry.get(name)), 0)
    size = entry.get("size")
    return ObjectFacts(-1 if size is None else int(size), _nanoseconds(time_of), f"{tag} {version}".strip())


def _nanoseconds(value: Any) -> int:
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value) if value[:4].isdigit() else parsedate_to_datetime(value)
        seconds = value.timestamp() if isinstance(value, datetime) else float(value)
        return int(seconds * 1e6) * 1000
    except (TypeError, ValueError, OverflowError):
        return 0


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:7])


# Listings that are known


_held: OrderedDict[StorePath, Listing] = OrderedDict()
_prefixes: set[StorePath] = set()  # that people gave, and that were asked for
_guard = threading.Lock()


def forget_listings() -> None:
    """Forget what is known: a new run asks again."""
    with _guard:
        _held.clear()
        _prefixes.clear()


def known_names(prefix: StorePath) -> Collection[str] | None:
    """Return the names of the objects directly below a prefix, None if no listing of it is kept."""
    with _guard:
        return None if (listing := _held.get(prefix)) is None else listing.files.keys()


def _hold(path: StorePath, listing: Listing) -> None:
    with _guard:
        _held[path] = listing
        _held.move_to_end(path)
        while len(_held) > 1 and sum(len(each.files) + len(each.folders) + 1 for each in _held.values()) > HELD_OBJECTS:
            _held.popitem(last=False)


def _note(path: StorePath, facts: ObjectFacts | None) -> None:
    """Note in the listing that an object is there now, or is not."""
    with _guard:
        if (listing := _held.get(path.parent)) is not None:
            if facts is None:
                listing.files.pop(path.name, None)
            else:
                listing.files[path.name] = facts
        for prefix in path.parents[1:] if facts is not None else ():
            if (listing := _held.get(prefix)) is not None:
                listing.folders.add(path.parts[len(prefix.parts)])


def _known(path: StorePath) -> os.stat_result | None:
    """Return what listings tell of a path, None if they tell nothing; `FileNotFoundError` if it is not there."""
    if not path.is_known:
        raise FileNotFoundError(errno.ENOENT, "nobody gave this URL", str(path))
    with _guard:
        if path in _held or path in _prefixes:
            return _FOLDER
        for depth, prefix in enumerate(path.parents):
            listing = _held.get(prefix)
            if listing is None:
                continue
            name = path.parts[len(prefix.parts)]
            if depth == 0 and name in listing.files:
                return listing.files[name].stat(path)
            if name not in listing.folders:
                raise FileNotFoundError(errno.ENOENT, "there is no such object", str(path))
            return _FOLDER if depth == 0 else None
    return None
