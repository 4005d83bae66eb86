"""What a file is at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Version(NamedTuple):
    """What changes when somebody writes or replaces a file."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A version of a file that has settled and is to be processed now.

    Attributes:
        key: Its row in the ledger.
        path: Where it is.
        relative: Its path below the watched folder.
        version: What it was when it had settled.
        attempts: How often it was tried before.
        first_seen: When this version was first seen, in seconds since 1970.
        reason: Why it was not finished the last time.
        known_digests: Digests of finished versions of this name that differ in the inode alone: it may be one of them.
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
    """A version of a file and when it was first seen, by the monotonic and by the wall clock."""

    version: Version
    since: float
    first_seen: float
