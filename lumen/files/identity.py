"""An opened file, and what tells it from others and from its later self."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple


class NotPlainError(OSError):
    """Something else stands where a plain file or folder was expected: a link, a pipe, a device."""


class Identity(NamedTuple):
    """What no other file, and no later content of this one, has; times in nanoseconds.

    In a store the device stands for the key, and the inode for the ETag and version of the object.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Identity:
        """Return the identity that `os.stat` or `os.fstat` shows."""
        return cls(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)

    def is_file(self, other: Identity) -> bool:
        """Tell whether both are one file, whatever is in it."""
        return (self.device, self.inode) == (other.device, other.inode)

    def has_content_of(self, other: Identity) -> bool:
        """Tell whether both are one file that was not written to in between; its links and mode do not matter."""
        return self[:4] == other[:4]


@dataclass(frozen=True, kw_only=True)
class Input:
    """A plain file that was opened.

    Attributes:
        stream: Seekable, at its start.
        identity: What it was when it was opened.
    """

    stream: BinaryIO
    identity: Identity

    def has_changed(self) -> bool:
        """Tell whether somebody has written to the file since it was opened; its links and mode do not matter."""
        return not Identity.of(os.fstat(self.stream.fileno())).has_content_of(self.identity)
