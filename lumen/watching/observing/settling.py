"""Files that must be unchanged for a while before they are processed."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lumen.watching.versions import Candidate, Version

LIMIT = 8192


class Settling:
    """Remembers since when each file is unchanged. The caller gives the times; nothing is read from the disk."""

    def __init__(self, settle_s: float, limit: int = LIMIT) -> None:
        """Files settle when they are unchanged for `settle_s`; at most `limit` are remembered."""
        self._settle_s = settle_s
        self._limit = limit
        self._files: dict[str, Candidate] = {}  # in the order of `since`: a changed file goes to the end

    def __len__(self) -> int:
        return len(self._files)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another file."""
        return len(self._files) >= self._limit

    def __contains__(self, relative: str) -> bool:
        return relative in self._files

    def see(self, relative: str, version: Version, now: float, wall: float) -> bool:
        """Take note of what a file is now; return False if there is no room for it."""
        known = self._files.get(relative)
        if known is not None and known.version == version:
            return True
        if known is None and self.is_full:
            return False
        self._files.pop(relative, None)
        self._files[relative] = Candidate(version=version, since=now, first_seen=wall)
        return True

    def due(self, now: float) -> Iterator[tuple[str, Candidate]]:
        """Yield the files whose last known change is long enough ago; they have settled if they are still the same."""
        for relative, candidate in self._files.items():
            if candidate.since + self._settle_s > now:
                return
            yield relative, candidate

    def next_due(self) -> float | None:
        """Return when the next file may have settled, None if there is none."""
        first = next(iter(self._files.values()), None)
        return None if first is None else first.since + self._settle_s

    def has_older(self, folder: str, mtime_ns: int) -> bool:
        """Tell whether a file of a folder is among them that was changed before a time."""
        return any(
            candidate.version.mtime_ns < mtime_ns and os.path.dirname(relative) == folder  # noqa: PTH120  # of many
            for relative, candidate in self._files.items()
        )

    def drop(self, relative: str) -> None:
        """Forget a file."""
        self._files.pop(relative, None)
