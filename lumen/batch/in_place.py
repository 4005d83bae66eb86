"""The record of pictures enhanced in place: none may be enhanced twice, whatever happens between two runs.

Each folder keeps the record of its own pictures in `.lumen/in-place.jsonl`, so it does not matter by which path they
are reached. An entry is on the disk before the picture is replaced. It holds the digests of the file before and after:
after a crash between the two steps they tell which of the two the file is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from lumen.files.inputs import Identity, NotPlainError, Parent
from lumen.files.state import state_in

NAME = "in-place.jsonl"
LINE_BYTES = 1 << 16  # longer ones are not of lumen: a name has 255 bytes
JOURNAL_BYTES = 4 << 30

PictureState = Literal["new", "fine", "enhanced", "changed"]
Fingerprint = tuple[int, ...]


@dataclass(kw_only=True)
class _Entry:
    """One picture: the digests of all originals under its name, and the fingerprint of the last result.

    Of a picture that was fine as it is, it is the fingerprint of the picture itself.
    """

    originals: set[str]
    fingerprint: Fingerprint | None = None
    is_fine: bool = False


class Journal:
    """Which pictures of one folder were enhanced in place.

    `note` and `note_fingerprint` need the folder locked (`lumen.files.lock.lock_in`); reading does not. All methods
    take the folder held open, so that they mean the same one as their caller.
    """

    def __init__(self) -> None:
        """Know nothing; `refresh` reads the journal."""
        self._entries: dict[str, _Entry] = {}
        self._originals: dict[str, tuple[str, str]] = {}  # of each result so far: name and digest
        self._fine: set[str] = set()  # digests of pictures that were fine as they are
        self._sizes: set[int] = set()
        self._stamp: Identity | None = None

    def refresh(self, folder: Parent) -> None:
        """Read the journal of a folder, unless it is the one that was read last and nobody has written since.

        Raises:
            OSError: The journal exists and cannot be read, or is no plain file (`NotPlainError`).
        """
        try:
            with state_in(folder, make=False) as state, state.open(NAME).stream as file:
                found = _stamp_of(file)
                if found != self._stamp:
                    self._forget()
                    self._read(file)
                    self._stamp = found
        except FileNotFoundError:
            self._forget()

    def state(self, folder: Parent, name: str) -> PictureState:
        """Return the state of a picture of the folder, after a `refresh`.

        Returns:
            `new` if it was never enhanced, or is an original that was put back; `fine` if it was found to be fine as it
            is; `enhanced` if it is a result, under this name or another; `changed` if it was enhanced, or was fine, and
            has other content now.

        Raises:
            OSError: The picture cannot be read.
        """
        entry = self._entries.get(name)
        facts = folder.facts(name)
        if entry is not None and entry.fingerprint == _fingerprint_of(facts):
            return "fine" if entry.is_fine else "enhanced"
        if entry is None and facts.st_size not in self._sizes:
            return "new"  # known without reading the file
        with folder.open(name).stream as stream:
            return self.state_of(name, digest_of(stream))

    def state_of(self, name: str, digest: str) -> PictureState:
        """Return the state, as `state` does, for a name and the digest of its content."""
        entry = self._entries.get(name)
        if digest in self._originals:
            return "enhanced"
        if digest in self._fine:
            return "fine"
        return "new" if entry is None or digest in entry.originals else "changed"

    def original_of(self, result: str) -> tuple[str, str]:
        """Return the name and the digest of the original from which a result was made, in however many rounds.

        Args:
            result: The digest of a file that is `enhanced`.
        """
        return self._originals[result]

    def note(self, folder: Parent, name: str, before: str, data: bytes) -> None:
        """Record, before it happens, that a picture is replaced by `data`; `OSError` if it cannot be written."""
        after = hashlib.sha256(data).hexdigest()
        self._append(folder, {"name": name, "before": before, "after": after, "size": len(data)}, durable=True)

    def note_fine(self, folder: Parent, name: str, digest: str) -> None:
        """Record that a picture is fine as it is and was left; `OSError` if that cannot be written."""
        facts = folder.facts(name)
        self._append(folder, {"name": name, "before": digest, "after": digest, "size": facts.st_size}, durable=False)
        self._append(folder, {"name": name, "seal": _fingerprint_of(facts)}, durable=False)

    def note_fingerprint(self, folder: Parent, name: str) -> None:
        """Record size and times of a picture that was just replaced, so that the next run need not read it."""
        self._append(folder, {"name": name, "seal": _fingerprint_of(folder.facts(name))}, durable=False)

    def _append(self, folder: Parent, line: dict[str, Any], *, durable: bool) -> None:
        with state_in(folder) as state, state.open_or_create(NAME) as file:
            # A partial line of a killed process must not spoil this one.
            file.write((b"" if _ends_a_line(file) else b"\n") + json.dumps(line).encode() + b"\n")
            file.flush()
            if durable:
                os.fsync(file.fileno())
            self._take(line)
            self._stamp = _stamp_of(file)

    def _forget(self) -> None:
        self._entries, self._originals, self._fine, self._sizes, self._stamp = {}, {}, set(), set(), None

    def _read(self, file: BinaryIO) -> None:
        if os.fstat(file.fileno()).st_size > JOURNAL_BYTES:
            raise NotPlainError(errno.EFBIG, f"it has more than the {JOURNAL_BYTES} bytes that lumen would write")
        is_start = True
        while line := file.readline(LINE_BYTES):
            is_end = line.endswith(b"\n") or len(line) < LINE_BYTES
            is_whole, is_start = is_start and is_end, is_end
            # A partial line of a killed process, or one that lumen did not write.
            with suppress(ValueError, LookupError, TypeError, RecursionError, OverflowError):
                if is_whole:
                    self._take(json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        if "seal" in line:
            self._entries[line["name"]].fingerprint = tuple(map(int, line["seal"]))
        else:
            name, before, after, size = str(line["name"]), line["before"], line["after"], int(line["size"])
            known = self._entries.get(name, _Entry(originals=set()))
            if before == after:
                self._entries[name] = _Entry(originals=known.originals, is_fine=True)
                self._fine.add(after)
            else:
                self._entries[name] = _Entry(originals=known.originals | {before})
                # Of a result that was enhanced again, it is the original of that one.
                self._originals.setdefault(after, self._originals.get(before, (name, before)))
                self._fine.discard(before)
            self._sizes.add(size)


def digest_of(stream: BinaryIO) -> str:
    """Return the SHA-256 of an opened file in hex, from its start; `OSError` if it cannot be read."""
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # it has all that is needed


def _stamp_of(file: BinaryIO) -> Identity:
    return Identity.of(os.fstat(file.fileno()))


def _fingerprint_of(facts: os.stat_result) -> Fingerprint:
    """Return what identifies the content of a file without reading it.

    A result has the modification time of its picture, and an uncompressed one has its size too: only the change time,
    which the system sets, tells an original that was put back.
    """
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _ends_a_line(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
