"""The record of pictures enhanced in place: none may be enhanced twice, whatever happens between two runs.

Each folder keeps the record of its own pictures in `.lumen/in-place.jsonl`, so it does not matter by which path they
are reached. An entry is on the disk before the picture is replaced. It holds the digests of the file before and after:
after a crash between the two steps they tell which of the two the file is.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from lumen.files.atomic import make_folder, output_error
from lumen.files.lock import STATE

NAME = "in-place.jsonl"

PictureState = Literal["new", "enhanced", "changed"]
Fingerprint = tuple[int, ...]


@dataclass(kw_only=True)
class _Entry:
    """One picture: the digests of all originals under its name, and the fingerprint of the last result."""

    originals: set[str]
    fingerprint: Fingerprint | None = None


class Journal:
    """Which pictures of one folder were enhanced in place.

    `note` and `note_fingerprint` need the folder locked (`lumen.files.lock.lock_folder`); reading does not.
    """

    def __init__(self, folder: Path) -> None:
        """Read the journal of a folder.

        Raises:
            OutputError: The journal exists and cannot be read.
        """
        self.path = folder / STATE / NAME
        self._entries: dict[str, _Entry] = {}
        self._results: set[str] = set()  # digests of all results so far
        self._sizes: set[int] = set()
        self._stamp: tuple[int, int] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read again if others have written since.

        Raises:
            OutputError: The journal exists and cannot be read.
        """
        if self._stamp != self._stamp_now():
            self._entries, self._results, self._sizes = {}, set(), set()
            self._read()

    def state(self, path: Path) -> PictureState:
        """Return the state of a picture of the folder.

        Returns:
            `new` if it was never enhanced, or is an original that was put back; `enhanced` if it is a result, under
            this name or another; `changed` if it was enhanced and has other content now.

        Raises:
            OSError: The picture cannot be read.
        """
        entry = self._entries.get(path.name)
        facts = path.stat()
        if entry is not None and entry.fingerprint == _fingerprint_of(facts):
            return "enhanced"
        if entry is None and facts.st_size not in self._sizes:
            return "new"  # known without reading the file
        return self.state_of(path.name, digest_of(path))

    def state_of(self, name: str, digest: str) -> PictureState:
        """Return the state, as `state` does, for a name and the digest of its content."""
        entry = self._entries.get(name)
        if digest in self._results:
            return "enhanced"
        return "new" if entry is None or digest in entry.originals else "changed"

    def note(self, name: str, before: str, data: bytes) -> None:
        """Record, before it happens, that a picture is replaced by `data`.

        Raises:
            OutputError: The journal cannot be written.
        """
        after = hashlib.sha256(data).hexdigest()
        self._append({"name": name, "before": before, "after": after, "size": len(data)}, durable=True)

    def note_fingerprint(self, path: Path) -> None:
        """Record size and times of a picture that was just replaced, so that the next run need not read it."""
        self._append({"name": path.name, "seal": _fingerprint_of(path.stat())}, durable=False)

    def _append(self, line: dict[str, Any], *, durable: bool) -> None:
        try:
            make_folder(self.path.parent)
            with self.path.open("ab+") as file:
                # A partial line of a killed process must not spoil this one.
                file.write((b"" if _ends_a_line(file) else b"\n") + json.dumps(line).encode() + b"\n")
                file.flush()
                if durable:
                    os.fsync(file.fileno())
        except OSError as error:
            raise output_error(self.path, error) from error
        self._take(line)
        self._stamp = self._stamp_now()

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            facts = self.path.stat()
        except OSError:
            return None
        return facts.st_size, facts.st_mtime_ns

    def _read(self) -> None:
        self._stamp = self._stamp_now()
        try:
            with self.path.open("rb") as file:
                for line in file:
                    with suppress(ValueError, LookupError, TypeError):  # a partial line of a killed process
                        self._take(json.loads(line))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise output_error(self.path, error) from error

    def _take(self, line: dict[str, Any]) -> None:
        if "seal" in line:
            self._entries[line["name"]].fingerprint = tuple(map(int, line["seal"]))
        else:
            name, before, after, size = line["name"], line["before"], line["after"], int(line["size"])
            known = self._entries.get(name, _Entry(originals=set()))
            self._entries[name] = _Entry(originals=known.originals | {before})
            self._results.add(after)
            self._sizes.add(size)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
