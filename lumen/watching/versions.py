"""Versions of files, by what the file system says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Version(NamedTuple):
    """The facts of a file that change when somebody writes or replaces it."""

    size: int
    mtime_ns: int
    inode: int


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
        known_digests: Of finished versions of this file that differ only in the inode: this may be one of them.
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
