"""The rows of the ledger, which are checked when they are read: a file that others may have altered is not believed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import NoneType
from typing import Any, Literal

from lumen.watching.ledger.schema import DamagedLedgerError
from lumen.watching.versions import Version

FinalStatus = Literal["done", "failed", "unsupported", "skipped"]
VersionStatus = Literal["ready", "retry", "working", "done", "failed", "unsupported", "skipped"]

COLUMNS = "id, path, size, mtime_ns, inode, ctime_ns, status, attempts, interruptions, reason, first_seen, digest"
_TYPES: tuple[type | tuple[type, ...], ...] = (
    int,
    bytes,
    int,
    int,
    int,
    int,
    str,
    int,
    int,
    str,
    float,
    (bytes, NoneType),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One version as recorded in the ledger."""

    key: int
    relative: str
    version: Version
    status: VersionStatus
    attempts: int
    interruptions: int
    reason: str
    first_seen: float
    digest: bytes | None


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """How a version ended.

    Attributes:
        key: The version's row.
        status: The final status.
        finished_at: When, in seconds since 1970.
        attempts: Number of attempts, including the last.
        reason: Why it failed; empty otherwise.
        seconds: Time spent on it.
        megapixels: Size of the picture; 0 if unknown.
        digest: Of the file's content; None if it was not read.
        is_to_retire: Whether the file has yet to be moved or removed.
    """

    key: int
    status: FinalStatus
    finished_at: float
    attempts: int
    reason: str = ""
    seconds: float = 0.0
    megapixels: float = 0.0
    digest: bytes | None = None
    is_to_retire: bool = False


def row_of(ledger: Path, values: Sequence[Any]) -> Row:
    """Return the row with the values of `COLUMNS`.

    Raises:
        DamagedLedgerError: One is of another type, or the path leads out of the watched folder.
    """
    if not all(isinstance(value, kind) for value, kind in zip(values, _TYPES, strict=True)):
        raise DamagedLedgerError(f"{ledger} holds a row that lumen did not write; move it away and start again")
    key, path, size, mtime_ns, inode, ctime_ns, status, attempts, interruptions, reason, first_seen, digest = values
    return Row(
        key=key,
        relative=path_in(ledger, path),
        version=Version(size, mtime_ns, inode, ctime_ns),
        status=status,
        attempts=attempts,
        interruptions=interruptions,
        reason=reason,
        first_seen=first_seen,
        digest=digest,
    )


def path_in(ledger: Path, stored: object) -> str:
    """Return a path below a folder.

    Raises:
        DamagedLedgerError: It leads elsewhere: lumen did not write it.
    """
    relative = os.fsdecode(stored) if isinstance(stored, bytes) else ""
    path = PurePath(relative)
    if not path.parts or path.anchor or os.pardir in path.parts or "\0" in relative:
        raise DamagedLedgerError(
            f"{ledger} holds the path {stored!r}, which lumen did not write: it leads out of the folder; move the "
            "ledger away and start again"
        )
    return relative
