"""The process of FFmpeg, as seen from lumen: started, asked, watched and ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from lumen import errors
from lumen.errors import DecodeError, LumenError, PictureError
from lumen.video.messages import Message, receive, send

HANG_S: Final = 10.0
_LOOK_S: Final = 0.25
_LONGEST_LOOK_S: Final = 1.0  # counted between two looks: this process may have stood still, and FFmpeg with it
_BASE_BYTES: Final = 3 << 30  # of address space, most of which is never touched
_PER_FRAME: Final = 400  # encoders look ahead, and decoders hold several frames for each thread
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_MODULE: Final = "lumen.video.child"


class FFmpegProcess:
    """A process that reads or writes one clip. Ends, with all that it does, when the `with` block ends."""

    def __init__(self, source: BinaryIO | None = None, target: BinaryIO | None = None) -> None:
        """Start it.

        Args:
            source: The clip, opened, if it shall read one.
            target: The file that the result is written to, opened for reading and writing.
        """
        files = [each for each in (source, target) if each is not None]
        # Windows hands no descriptors on: there the process opens the paths.
        handles = [each.fileno() for each in files] if os.name == "posix" else []
        self._places: list[int | str] = list(handles) or [each.name for each in files]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            pass_fds=handles,
        )
        self._ended = threading.Event()
        self._waiting = 0  # threads that wait for it
        self._signs = 0
        self._hangs = False
        self._watchers = [threading.Thread(target=each, daemon=True) for each in (self._read_signs, self._watch)]
        for watcher in self._watchers:
            watcher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, do: str, *, frame_bytes: int = 0, **asked: Any) -> None:
        """Say what to do.

        Args:
            do: `codecs`, `look`, `read` or `convert`, see `lumen.video.child`.
            frame_bytes: Size of a frame, by which memory is limited.
            asked: The rest.
        """
        places = dict(zip(("input", "output"), self._places, strict=False))
        self.send({"do": do, "limit_bytes": _BASE_BYTES + _PER_FRAME * frame_bytes, **places, **asked})

    def send(self, message: Mapping[str, Any], payload: memoryview | bytes = b"") -> None:
        """Send a message; if it has ended, the next `receive` says why."""
        self._waiting += 1
        try:
            send(self._stdin, message, payload)
        except OSError:
            self._ended.wait(0)
        finally:
            self._waiting -= 1

    def receive(self) -> tuple[Message, bytearray]:
        """Wait for a message.

        Raises:
            PictureError: The clip cannot be read or written, or the process crashed, hangs or is short of memory.
            OSError: The result cannot be written.
        """
        self._waiting += 1
        try:
            message, data = receive(self._stdout)
        except (EOFError, ValueError, OSError) as error:
            raise self._fault() from error
        finally:
            self._waiting -= 1
        if "error" in message:
            raise _error_of(message)
        return message, data

    def close(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._ended.set()
        for watcher in self._watchers:
            watcher.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):  # what was not sent
                    stream.close()

    @property
    def _stdin(self) -> BinaryIO:
        assert self._process.stdin is not None
        return self._process.stdin  # type: ignore[return-value]

    @property
    def _stdout(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    def _fault(self) -> LumenError:
        """Return why there is no answer."""
        try:
            code = self._process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            self._hangs = True
        if self._hangs:
            return DecodeError(f"FFmpeg made no progress for {HANG_S:g} s; the clip may be damaged")
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return DecodeError(f"FFmpeg crashed ({how}); the clip may be damaged")

    def _read_signs(self) -> None:
        stream = self._process.stderr
        while stream is not None and os.read(stream.fileno(), 4096):
            self._signs += 1

    def _watch(self) -> None:
        """End the process if somebody waits for it and it does nothing."""
        still, signs, last, used = 0.0, -1, time.monotonic(), 0.0
        while not self._ended.wait(_LOOK_S):
            now = time.monotonic()
            passed, last = min(now - last, _LONGEST_LOOK_S), now
            if not self._waiting or signs != self._signs:
                still, signs = 0.0, self._signs
                continue
            before, (used, wants_core) = used, _load(self._process.pid)
            still += min(passed, max(0.0, used - before)) if wants_core else passed
            if still > HANG_S and self._process.poll() is None:
                self._hangs = True
                self._process.kill()


def _load(pid: int) -> tuple[float, bool]:
    """Return the CPU seconds of a process so far, and whether a thread of it works or waits for a core.

    On a busy machine it may get few cores, and then does little without hanging. (0, False) where nothing tells.
    """
    found = list[list[bytes]]()
    with suppress(OSError):
        for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
            found.append(stat.read_bytes().rpartition(b")")[2].split())
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in found)
    return ticks / _TICKS_PER_S if ticks else 0.0, any(fields[0] == b"R" for fields in found)


def _environment() -> dict[str, str]:
    """Return the environment of the process, which finds the same packages and reserves little memory."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "MALLOC_ARENA_MAX": "2",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _error_of(message: Message) -> Exception:
    if message["error"] == "OSError":
        return OSError(message.get("errno") or 0, message["text"])
    kind = getattr(errors, message["error"], DecodeError)
    is_known = isinstance(kind, type) and issubclass(kind, PictureError)
    return kind(message["text"]) if is_known else DecodeError(message["text"])
