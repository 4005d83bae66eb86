"""Versions of files, by what the file system says of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Version:
    """The facts of a file that change when somebody writes or replaces it; times in nanoseconds.

    Attributes:
        size: In bytes.
        mtime_ns: Of the last change of its content, which its owner can set.
        inode: 0 where the file system does not number its files for good.
        ctime_ns: Of the last change of anything, which nobody can set; 0 if unknown. Renaming, linking and permissions
            change it too. So versions that differ in it alone are equal, but may have another content.
    """

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A settled version of a file, to be processed now.

    Attributes:
        key: Its row in the ledger.
        path: Its absolute path.
        relative: Its path below the watched folder.
        version: The version that settled.
        attempts: Earlier attempts.
        first_seen: When this version was first seen, in seconds since 1970.
        reason: Why the last attempt failed.
        known_digests: Of the version of this file that was finished last, if this may be the same one: they differ
            only in the inode or ctime.
    """

    key: int
    path: Path
    relative: str
    version: Version
    attempts: int = 0
    first_seen: float = 0.0
    reason: str = ""
    known_digests: tuple[bytes, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A version of a file, and when it was first seen by the monotonic and the wall clock."""

    version: Version
    since: float
    first_seen: float


def content_digest(stream: BinaryIO) -> bytes:
    """Return 16 bytes of BLAKE2b over the rest of a stream."""
    return hashlib.file_digest(stream, partial(hashlib.blake2b, digest_size=16)).digest()  # type: ignore[arg-type]
