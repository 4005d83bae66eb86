"""A queue of what waits for its turn, in a packed form of a few bytes a file."""

from __future__ import annotations

import pickle
import threading
import zlib
from collections import deque
from typing import Generic, TypeVar

PACKED = 1000  # files that are packed together

T = TypeVar("T")


class PackedQueue(Generic[T]):
    """A queue whose items, but for the last ones, are compressed; one thread may put and another take."""

    def __init__(self) -> None:
        self._packed = deque[bytes]()
        self._last: list[T] = []
        self._files = 0
        self._taken = deque[T]()
        self._lock = threading.Lock()

    def put(self, item: T, files: int) -> None:
        """Append an item that stands for so many files."""
        with self._lock:
            if self._files >= PACKED:  # not at once: one large folder alone goes on without a copy
                self._packed.append(zlib.compress(pickle.dumps(self._last), 1))
                self._last, self._files = [], 0
            self._last.append(item)
            self._files += files

    def take(self) -> T | None:
        """Return the first item, or None if there is none."""
        if not self._taken:
            with self._lock:
                if self._packed:
                    self._taken.extend(pickle.loads(zlib.decompress(self._packed.popleft())))  # our own
                else:
                    self._taken.extend(self._last)
                    self._last, self._files = [], 0
        return self._taken.popleft() if self._taken else None
