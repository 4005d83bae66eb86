"""The process of FFmpeg: `python -m lumen.video.child`, which `lumen.video.process` starts.

Messages come on stdin and go to stdout; a byte on stderr says that something was done. It ends with its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import Any, BinaryIO, Literal

from lumen.errors import DecodeError, PictureError
from lumen.video.facts import ClipFacts, Storing
from lumen.video.messages import Message, receive, send

SIGN_S = 0.5
_ORPHAN_S = 1.0


class Signs:
    """Tells the parent now and then that something was done."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self) -> None:
        """Note that something was done."""
        now = time.monotonic()
        if now > self._last + SIGN_S:
            self._last = now
            with suppress(OSError):
                os.write(2, b".")


class WatchedFile:
    """A file whose every read and write is a sign of life. FFmpeg never closes it.

    It has a position of its own: the parent, and other processes that read the same clip, share the descriptor.

    Attributes:
        fault: Why it could not be written; FFmpeg may tell of that late, and in words of its own.
    """

    def __init__(self, handle: int, alive: Callable[[], None]) -> None:
        self.fault: OSError | None = None
        self._handle = handle
        self._alive = alive
        self._position = 0

    def read(self, count: int) -> bytes:
        """Read; a fault of the disk is that of the clip."""
        self._alive()
        try:
            data = _read_at(self._handle, count, self._position)
        except OSError as error:
            raise DecodeError(f"cannot read the file: {error.strerror or error}") from error
        self._position += len(data)
        return data

    def write(self, data: bytes) -> int:
        """Write all of it."""
        self._alive()
        rest = memoryview(data)
        try:
            while rest:
                done = _write_at(self._handle, rest, self._position)
                self._position += done
                rest = rest[done:]
        except OSError as error:
            self.fault = error
            raise
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: os.fstat(self._handle).st_size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position


def _read_at(handle: int, count: int, position: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(handle, count, position)
    os.lseek(handle, position, os.SEEK_SET)  # Windows, where nobody shares the descriptor
    return os.read(handle, count)


def _write_at(handle: int, data: memoryview, position: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(handle, data, position)
    os.lseek(handle, position, os.SEEK_SET)
    return os.write(handle, data)


def serve() -> int:
    """Do what the parent asks for, once; return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    inbox, outbox, alive = sys.stdin.buffer, _own_stdout(), Signs()
    asked, _ = receive(inbox)
    _limit_memory(asked["limit_bytes"])
    try:
        _do(asked, inbox, outbox, alive)
    except PictureError as error:
        send(outbox, {"error": type(error).__name__, "text": str(error)})
    except MemoryError:
        send(outbox, {"error": "OutOfMemoryError", "text": "FFmpeg needs more memory for this clip than it may have"})
    except OSError as error:
        send(outbox, {"error": "OSError", "text": error.strerror or str(error), "errno": error.errno})
    return 0


def _do(asked: Message, inbox: BinaryIO, outbox: BinaryIO, alive: Callable[[], None]) -> None:
    """Do what the parent asks for; raise as `PictureError` what FFmpeg says."""
    import av
    import av.logging

    av.logging.set_level(None)
    try:
        if asked["do"] == "codecs":
            from lumen.video.codecs import describe_codecs

            send(outbox, dict(zip(("written", "lacking"), describe_codecs(), strict=True)))
        elif asked["do"] == "look":
            _look(asked, outbox, alive)
        elif asked["do"] == "read":
            _read(asked, outbox, alive)
        else:
            _convert(asked, inbox, outbox, alive)
    except (av.error.MemoryError, MemoryError) as error:
        raise MemoryError from error
    except av.error.FFmpegError as error:
        raise DecodeError(f"FFmpeg failed: {error.strerror}") from error


def _own_stdout() -> BinaryIO:
    """Return stdout for messages alone: what codecs print goes nowhere."""
    handle = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return os.fdopen(handle, "wb")


def _look(asked: Message, outbox: BinaryIO, alive: Callable[[], None]) -> None:
    from lumen.video.reading import look

    with _opened(asked["input"], "rb", alive) as file:
        send(outbox, {"facts": look(file, asked["max_pixels"], alive)})


def _read(asked: Message, outbox: BinaryIO, alive: Callable[[], None]) -> None:
    """Send the frames alone."""
    with _opened(asked["input"], "rb", alive) as file:
        decoding = _Decoding(file, asked, outbox, alive)
        for frame in decoding.frames(lambda _: None):
            decoding.send(frame)
        decoding.end()


def _convert(asked: Message, inbox: BinaryIO, outbox: BinaryIO, alive: Callable[[], None]) -> None:
    """Send the frames, and write a clip with those that come back."""
    from lumen.video.writing import Output

    with _opened(asked["input"], "rb", alive) as file, _opened(asked["output"], "r+b", alive) as target:
        decoding = _Decoding(file, asked, outbox, alive)
        output = Output(target, decoding.clip, decoding.video, decoding.facts, Storing(**asked["storing"]))
        encoding = _Encoding(inbox, output, decoding, alive)
        encoding.start()
        try:
            for frame in decoding.frames(output.copy):
                encoding.check()
                decoding.send(frame)
            decoding.end()
            encoding.join()
            encoding.check()
            output.close()
        finally:
            if target.fault is not None:
                raise target.fault
    send(outbox, {"done": True, "lost": output.lost})


class _Decoding:
    """The frames of a clip, on their way to the parent."""

    def __init__(self, file: WatchedFile, asked: Message, outbox: BinaryIO, alive: Callable[[], None]) -> None:
        from lumen.video.reading import Frames, open_clip

        self.facts = ClipFacts(**asked["facts"])
        self.clip, self.video = open_clip(file, asked["max_pixels"], asked["threads"])
        self.times: dict[int, int] = {}  # of frames that are with the parent
        self._frames = Frames(self.video, self.facts)
        self._outbox = outbox
        self._alive = alive
        self._sent = 0
        self._last: int | None = None
        self._broken = ""

    def frames(self, copy: Callable[[Any], None]) -> Iterator[Any]:
        """Yield the frames, and hand packets of other streams to `copy`."""
        import av

        packets = self.clip.demux()
        while True:
            try:
                packet = next(packets, None)
            except (av.error.InvalidDataError, av.error.EOFError, av.error.UndefinedError) as error:
                self._broken = error.strerror
                packet = None
            if packet is None:
                break
            self._alive()
            if packet.stream.index != self.video.index:
                copy(packet)
            elif packet.size or packet.dts is not None:  # the last is how PyAV tells of the end
                yield from self._frames.of(packet)
        yield from self._frames.of(None)

    def send(self, frame: Any) -> None:
        """Send a frame to the parent."""
        from lumen.video.color import to_rgb

        self._alive()
        time = self._time(frame)
        self._last = self.times[self._sent] = time
        message = {"frame": self._sent, "time": float(time * (self.video.time_base or 0))}
        self._sent += 1
        send(self._outbox, message, to_rgb(frame, self.facts).data.cast("B"))

    def end(self) -> None:
        """Send what there was to notice."""
        facts = {"damaged": self._frames.damaged, "broken": self._broken, "interlaced": self._frames.is_interlaced}
        send(self._outbox, {"end": self._sent, **facts})

    def _time(self, frame: Any) -> int:
        """Return the time of a frame in units of the stream; later than that of the one before."""
        unit: Fraction = self.video.time_base or Fraction(1, 1000)
        if frame.pts is not None:
            time: int = round(frame.pts * Fraction(frame.time_base or unit) / unit)
            return time if self._last is None else max(time, self._last + 1)
        step = max(1, round(1 / (Fraction(self.facts.rate) * unit)))
        return 0 if self._last is None else self._last + step


class _Encoding(threading.Thread):
    """Encodes the frames that come back, on a thread of its own."""

    def __init__(self, inbox: BinaryIO, output: Any, decoding: _Decoding, alive: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._inbox = inbox
        self._output = output
        self._facts = decoding.facts
        self._times = decoding.times
        self._alive = alive
        self._error: Exception | None = None

    def run(self) -> None:
        """Encode until the parent says that there are no more frames."""
        import numpy as np

        sample, shape = "<u2" if self._facts.is_deep else "u1", (self._facts.height, self._facts.width, 3)
        while True:
            try:
                message, data = receive(self._inbox)
            except EOFError:
                os._exit(1)
            if "end" in message:
                return
            if self._error is None:
                try:
                    self._output.encode(np.frombuffer(data, sample).reshape(shape), self._times.pop(message["frame"]))
                except Exception as error:  # noqa: BLE001  # raised by `check`, on the main thread
                    self._error = error
            self._alive()

    def check(self) -> None:
        """Raise the error of a frame that could not be encoded."""
        if self._error is not None:
            raise self._error


@contextmanager
def _opened(place: int | str, mode: Literal["rb", "r+b"], alive: Callable[[], None]) -> Iterator[WatchedFile]:
    """Open a file by its descriptor, or by its path where descriptors are not handed on."""
    with open(place, mode, buffering=0) as file:  # noqa: PTH123  # a descriptor
        yield WatchedFile(file.fileno(), alive)


def _limit_memory(limit_bytes: int) -> None:
    """Limit the memory of this process, where the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, whatever FFmpeg is doing."""
    while os.getppid() == parent:
        time.sleep(_ORPHAN_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(serve())
