"""Versions in a ledger, in few words."""

from __future__ import annotations

from lumen.watching.ledger.ledger import Ledger, Row
from lumen.watching.versions import Candidate, Version

NOW = 1e9


def version(size: int = 1, mtime: int = 1, inode: int = 1, ctime: int = 0) -> Version:
    return Version(size, mtime, inode, ctime)


def add(ledger: Ledger, **files: Version) -> list[str]:
    return ledger.add({name: Candidate(version=each, since=0.0, first_seen=NOW) for name, each in files.items()})


def turns(ledger: Ledger, count: int = 100, now: float = NOW, *, newest: bool = False) -> list[Row]:
    return ledger.next(count, now, newest=newest, longest_wait_s=600.0)


def begin(ledger: Ledger, *rows: Row) -> dict[int, str]:
    return ledger.begin({row.key: (row.relative, row.relative) for row in rows})
