"""Files through the stages: decoded ahead, enhanced alone or with others like them, encoded and written behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Literal

from lumen.config import EnhanceOptions, WatchOptions
from lumen.enhance.file_io import encode_result, read_source
from lumen.enhance.frames import are_alike, enhance_frames, frames_per_run
from lumen.enhance.picture_rules import PictureOptions, PictureRule
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.sharing import Cores, Share, workers_on
from lumen.enhance.unchanged import content_of, is_left
from lumen.errors import (
    LumenError,
    OutputError,
    PictureError,
)
from lumen.files.atomic import make_folder, output_error, user_attributes, write_atomically
from lumen.files.inputs import Identity, NotPlainError, hold_folder
from lumen.files.paths import is_folder
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Models
from lumen.runtime.runs import terminate_runs
from lumen.stages import LeftError, Stages, Steps
from lumen.watching.attribution import attributed
from lumen.watching.observing.tree import Tree
from lumen.watching.versions import Settled, content_digest

AHEAD = 16  # decoded pictures, if they are small
AHEAD_BYTES = 64 << 20  # when more is decoded, no other file is started
BEHIND = 24  # pictures that are being written
BEHIND_BYTES = 256 << 20
LONGEST_TURN_S = 5.0  # counted between two turns: the process may have stood still, and the decoder with it


class ChangedError(LumenError):
    """A file changed after it had settled."""


class HangingError(PictureError):
    """Reading or decoding a file makes no progress."""


class KnownError(Exception):
    """A file has the content of a version that is finished already."""


@dataclass(kw_only=True, eq=False)
class Work:
    """One file in work.

    Attributes:
        settled: The file.
        target: Where its result goes.
        options: How it is enhanced.
        changes: Which of these differ from those of other pictures.
        stage: Its stage, or the one it ended in.
        picture: The picture, from decoding to encoding.
        data: The encoded result, until it is on the disk.
        identity: Of the input, when it was opened.
        digest: Of the content of the input.
        is_to_keep: Whether its input must be left alone, because it may be damaged or has no result.
        is_left: Whether it was fine as it is, so that its file is copied or skipped.
        seconds: Spent on it so far, without waiting.
        megapixels: Size of the picture.
        together: How many pictures shared its run of the model.
        warnings: What could not be kept.
        extended: Extended attributes of the input, which the result gets.
        stream: The input, while it is read.
        position: How far it was read when that was last looked at.
        still_s: For how long it has not got further.
    """

    settled: Settled
    target: Path
    options: EnhanceOptions = field(default_factory=EnhanceOptions)
    changes: Mapping[str, Any] = field(default_factory=dict)
    stage: Literal["read", "model", "write"] = "read"
    picture: Picture | None = None
    data: bytes | None = None
    identity: Identity | None = None
    digest: bytes = b""
    is_to_keep: bool = False
    is_left: bool = False
    seconds: float = 0.0
    megapixels: float = 0.0
    together: int = 1
    warnings: tuple[str, ...] = ()
    extended: Mapping[str, bytes] = field(default_factory=dict)
    stream: BinaryIO | None = None
    position: int = -1
    still_s: float = 0.0

    def wait(self, seconds: float) -> None:
        """Count the time in which nothing was read, not even by the decoder that has the stream."""
        position = -1
        with suppress(OSError, ValueError):  # it may be closed in this moment
            position = -1 if self.stream is None else os.lseek(self.stream.fileno(), 0, os.SEEK_CUR)
        self.still_s = self.still_s + seconds if position == self.position else 0.0
        self.position = position

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return (0 if self.picture is None else self.picture.pixels.nbytes) + len(self.data or b"")


Ending = tuple[Work, Exception | None]


class Worker:
    """Takes files through the stages. Its methods are for one thread; `wake` is called on others."""

    def __init__(
        self,
        models: Sequence[Models],
        options: EnhanceOptions,
        tree: Tree,
        output: Path,
        wake: Callable[[], None],
        *,
        helpers: int = 1,
        timeout_s: float = WatchOptions.timeout_s,
        rules: Sequence[PictureRule] = (),
    ) -> None:
        """Prepare.

        Args:
            models: Sets of models that work side by side.
            options: How each picture is enhanced.
            tree: The watched folder.
            output: The folder of all targets.
            wake: Called when a stage has ended, and `advance` has something to do.
            helpers: Threads that read, and as many that write.
            timeout_s: As in `lumen.config.WatchOptions`.
            rules: For which pictures `options` differ.
        """
        self._options = PictureOptions(options, rules)
        self._tree = tree
        self._output = output
        self._timeout_s = timeout_s
        self._counted_at = time.monotonic()
        self._steps = 0  # of any stage, counted on any thread: only that it grows matters
        self._left: list[Future[Work]] = []
        steps = Steps(read=self._read, work=self._improve, write=self._write, gather=self._alike)
        workers = workers_on(models, self._options.variants())
        self._stages = Stages(
            steps, workers, helpers=helpers, is_behind=self._is_behind, wake=wake, interrupt=terminate_runs
        )

    @property
    def inside(self) -> int:
        """How many files are in work."""
        return self._stages.inside

    @property
    def room(self) -> int:
        """How many files can be started now."""
        reading, ready = len(self._stages.reading), self._stages.ready
        if _nbytes(ready) > AHEAD_BYTES or self._is_behind():
            return 0
        return max(0, min(AHEAD - len(ready) - reading, self._stages.helpers - reading))

    @property
    def progress(self) -> tuple[int, ...]:
        """Something that is another whenever a file in work has got further: a stage, a window, or a read."""
        return (self._steps, *(work.position for work in self._stages.reading))

    @property
    def hanging(self) -> int:
        """How many threads were left behind with a file and have not come back."""
        return sum(not future.done() for future in self._left)

    @property
    def is_only_reading(self) -> bool:
        """Whether no file in work has got further than being read."""
        return self.inside == len(self._stages.reading)

    @property
    def is_writing(self) -> bool:
        """Whether results are being written."""
        return bool(self._stages.writing)

    def begin(self, work: Work) -> None:
        """Start a file, with the options for its path."""
        relative = PurePath(work.settled.relative)
        work.options, work.changes = self._options.of(relative), self._options.changes(relative)
        self._stages.submit(work)

    def write_again(self, work: Work) -> None:
        """Write a result that could not be written before."""
        self._stages.submit_writing(work, work)

    def advance(self) -> list[Ending]:
        """Pass files on to their next stage, and return those that have ended, with their error if there is one."""
        ended = [*self._stages.advance(), *self._leave_hanging()]
        self._steps += len(ended)
        self._stages.begin_work()
        return ended

    def _leave_hanging(self) -> Iterator[Ending]:
        """Leave files behind whose reading makes no progress, and yield them with the error."""
        now = time.monotonic()
        passed, self._counted_at = min(now - self._counted_at, LONGEST_TURN_S), now
        for work in self._stages.reading:
            work.wait(passed)
            if work.still_s > self._timeout_s:
                self._left.append(self._stages.abandon(work))
                waited = f"reading or decoding it made no progress for {self._timeout_s:g} s"
                yield work, HangingError(f"{waited}; raise --timeout if such files only take long")

    def leave(self) -> list[Work]:
        """Start nothing more, and return the files that had not reached the model."""
        return self._stages.leave()

    def abort(self) -> None:
        """Abort the pictures that the model works on."""
        self._stages.abort()

    def close(self) -> list[Work]:
        """End without waiting, and return the files that are left; threads that hang would keep the process alive."""
        stages = self._stages
        stages.close(at_once=True)
        return [*stages.ready, *stages.reading, *stages.working, *stages.writing]

    def _is_behind(self) -> bool:
        writing = self._stages.writing
        return len(writing) >= BEHIND or _nbytes(writing) > BEHIND_BYTES

    def _alike(self, cores: Cores, first: Work, others: Sequence[Work]) -> Sequence[Work]:
        """Return pictures that can share a run with the first one."""
        if first.picture is None or not others:
            return ()
        try:
            count = frames_per_run(first.picture, cores.sets[0], first.options)
        except LumenError:
            return ()  # the run itself reports the error
        same = [work for work in others if work.options == first.options]
        alike = [work for work in same if work.picture is not None and are_alike(first.picture, work.picture)]
        return alike[: count - 1]

    def _read(self, work: Work) -> Work:
        started = time.monotonic()
        settled = work.settled
        is_same = False
        try:
            # What is read is this one file, whatever takes its name or the place of its folder meanwhile.
            opened = self._tree.open_file(settled.relative)
            with opened.stream as stream:
                work.stream, work.identity = stream, opened.identity
                is_same = self._tree.version(os.fstat(stream.fileno())) == settled.version
                if is_same:
                    work.digest = content_digest(stream)
                    if work.digest not in settled.known_digests:
                        work.picture = read_source(settled.path, work.options, work.target, stream=stream)
                        work.extended = user_attributes(stream) if work.options.metadata == "keep" else {}
                    is_same = not opened.has_changed()
        except Exception as error:
            # A file that is being replaced may seem damaged or missing.
            if self._has_changed(settled):
                raise ChangedError from error
            raise
        if not is_same or self._has_changed(settled):
            work.picture = None
            raise ChangedError("it changed while it was read")
        if work.picture is None:
            raise KnownError
        work.picture.refuse_damaged()
        work.is_to_keep = work.picture.damage is not None
        work.megapixels = work.picture.megapixels
        work.seconds = time.monotonic() - started
        return work

    def _has_changed(self, settled: Settled) -> bool:
        try:
            return self._tree.look(settled.relative) != settled.version
        except OSError:
            return True

    def _improve(self, cores: Cores, works: Sequence[Work]) -> list[Work | Exception]:
        """Enhance pictures together; if that fails, one by one, so that none fails because of another."""
        with cores.lend(lambda: self._stages.waiting) as share:
            return self._improve_all(works, cores.sets[0], share)

    def _improve_all(self, works: Sequence[Work], models: Models, share: Share) -> list[Work | Exception]:
        started = time.monotonic()
        self._steps += 1
        for work in works:
            work.stage = "model"
        if len(works) > 1:
            with suppress(Exception):
                pictures = [work.picture for work in works if work.picture is not None]
                enhanced = enhance_frames(pictures, models, works[0].options, share)
                for work, picture in zip(works, enhanced, strict=True):
                    _take(work, picture)
                    work.together = len(works)
                    work.seconds += (time.monotonic() - started) / len(works)
                return list(works)
        return [self._improve_one(work, models, share) for work in works]

    def _improve_one(self, work: Work, models: Models, share: Share) -> Work | Exception:
        started = time.monotonic()
        try:
            self._step()
            if work.picture is not None:
                _take(work, enhance_picture(work.picture, models, work.options, self._step, share))
        except Exception as error:  # noqa: BLE001
            try:
                self._stages.check()
            except LeftError as left:  # an interrupted model fails
                return left
            return attributed(error, work.picture, models, work.options)
        work.seconds += time.monotonic() - started
        return work

    def _step(self, _: object = None) -> None:
        """Note that a part of a picture is done; raises `LeftError` if the rest is not wanted any more."""
        self._steps += 1
        self._stages.check()

    def _write(self, work: Work) -> None:
        started = time.monotonic()
        work.stage = "write"
        self._steps += 1
        if work.is_left and work.options.unchanged == "skip":
            work.picture, work.is_to_keep = None, True
            return
        if work.data is None and work.is_left and work.identity is not None:
            work.data = content_of(partial(self._tree.open_file, work.settled.relative), work.identity)
            work.is_left = work.data is not None
        if work.data is None and work.picture is not None:
            work.data, work.warnings = encode_result(work.picture, work.settled.path, work.target, work.options)
        work.picture = None
        _make_durable_folder(work.target.parent, self._output)
        modified_ns, data = work.settled.version.mtime_ns, work.data or b""
        write_atomically(work.target, data, modified_ns=modified_ns, extended=work.extended, below=self._output)
        work.data = None
        work.seconds += time.monotonic() - started


def _take(work: Work, enhanced: Picture) -> None:
    """Take the result of a picture, and note whether anybody would see a change."""
    if work.picture is not None:
        work.is_left = is_left(work.picture, enhanced, work.settled.path, work.target, work.options)
    work.picture = enhanced


def _nbytes(works: Sequence[Work]) -> int:
    return sum(work.nbytes for work in works)


def _make_durable_folder(folder: Path, output: Path) -> None:
    """Make a folder below the output folder, and flush names of folders to the disk: the input may be removed next.

    A link on the way is a fault of the output folder, not of the picture.
    """
    if not is_folder(output):
        make_folder(output)
    try:
        with hold_folder(folder, below=output, make=True):
            pass
    except NotPlainError as error:
        reason = f"cannot write to {str(folder)!r}: {error.strerror}; put a folder or a mount there"
        raise OutputError(reason) from error
    except OSError as error:
        raise output_error(folder, error) from error
