"""Files through the stages: decoded ahead, enhanced alone or with others like them, encoded and written behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePath
from typing import BinaryIO

from lumen.config import EnhanceOptions, ResultOptions, WatchOptions
from lumen.enhance.file_io import encode_result, read_source
from lumen.enhance.frames import are_alike, enhance_frames, frames_per_run
from lumen.enhance.picture_rules import PictureOptions, PictureRule
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.sharing import Cores, Share, workers_on
from lumen.enhance.unchanged import content_of, is_left
from lumen.errors import (
    LumenError,
    OutputError,
)
from lumen.files.atomic import user_attributes
from lumen.imaging.clip_formats import is_clip
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Models
from lumen.runtime.runs import terminate_runs
from lumen.stages import LeftError, Stages, Steps
from lumen.video.clip import ClipResult
from lumen.video.clip_file import ClipTask, convert_file
from lumen.video.facts import ClipFacts
from lumen.video.source import look_at
from lumen.watching.attribution import attributed
from lumen.watching.folder_lights import FolderLights
from lumen.watching.monitoring.frames import pair_of
from lumen.watching.observing.tree import Tree
from lumen.watching.results import clip_writing, write_result
from lumen.watching.versions import Settled, Version, content_digest
from lumen.watching.work import ChangedError, Ending, HangingError, KnownError, Work

AHEAD = 16  # decoded pictures, if they are small
AHEAD_BYTES = 64 << 20  # when more is decoded, no other file is started
BEHIND = 24  # pictures that are being written
BEHIND_BYTES = 256 << 20
LONGEST_TURN_S = 5.0  # counted between two turns: the process may have stood still, and the decoder with it


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
        lights: FolderLights | None = None,
        results: ResultOptions | None = None,
    ) -> None:
        """Prepare.

        Args:
            models: Sets of models that work side by side.
            options: How each picture is enhanced.
            tree: The watched folder.
            output: The folder of all targets.
            wake: Called when a stage has ended, and `advance` has something to do.
            helpers: As for `lumen.stages.Stages`.
            timeout_s: As in `lumen.config.WatchOptions`.
            rules: For which pictures `options` differ.
            lights: The steady light of folders; None for pictures that are exposed by themselves.
            results: How the results of clips are stored.
        """
        self._results = results or ResultOptions()
        self._options = PictureOptions(options, rules)
        self._lights = lights
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
        if not self._stages.helpers:
            return int(not self.inside)
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
        if self._lights is not None:
            work.turn = self._lights.enter(work.settled.relative, work.settled.version.mtime_ns)
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
                _end_turn(work)
                waited = f"reading or decoding it made no progress for {self._timeout_s:g} s"
                yield work, HangingError(f"{waited}; raise --timeout if such files only take long")

    def leave(self) -> list[Work]:
        """Start nothing more, and return the files that had not reached the model."""
        left = self._stages.leave()
        for work in left:
            _end_turn(work)
        return left

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
        try:
            self._decode_whole(work)
            if work.turn is not None and work.picture is not None:
                work.tone = work.turn.tone(work.picture, work.options)
        finally:
            _end_turn(work)
        return work

    def _decode_whole(self, work: Work) -> None:
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
                        self._decode(work, stream)
                        work.extended = user_attributes(stream) if work.options.metadata == "keep" else {}
                    is_same = not opened.has_changed()
        except Exception as error:
            # A file that is being replaced may seem damaged or missing.
            if self._has_changed(settled):
                raise ChangedError from error
            raise
        if not is_same or self._has_changed(settled, likely=settled.version):
            work.picture = None
            raise ChangedError("it changed while it was read")
        if work.clip is not None:
            work.clip.refuse_damaged()  # before minutes are spent on it: it may still be uploading
            work.megapixels = work.clip.megapixels
        elif work.picture is not None:
            work.picture.refuse_damaged()
            work.is_to_keep = work.picture.damage is not None
            work.megapixels = work.picture.megapixels
        else:
            raise KnownError
        work.seconds = time.monotonic() - started

    def _decode(self, work: Work, stream: BinaryIO) -> None:
        """Decode a picture, or look at a clip, whose frames are decoded while it is worked on."""
        path = work.settled.path
        if is_clip(path):
            work.clip = look_at(stream, work.options)
        else:
            work.picture = read_source(path, work.options, work.target, stream=stream)

    def _has_changed(self, settled: Settled, likely: Version | None = None) -> bool:
        try:
            return self._tree.look(settled.relative, likely) != settled.version
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
                tones = [work.tone for work in works if work.tone is not None] or None
                enhanced = enhance_frames(pictures, models, works[0].options, share, fixed_tones=tones)
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
            if work.clip is not None:
                self._convert(work, work.clip, share.sets(models, work.clip.frames))
            elif work.picture is not None:
                tone = work.tone
                _take(work, enhance_picture(work.picture, models, work.options, self._step, share, fixed_tone=tone))
        except Exception as error:  # noqa: BLE001
            try:
                self._stages.check()
            except LeftError as left:  # an interrupted model fails
                return left
            return attributed(error, work.picture, models, work.options)
        work.seconds += time.monotonic() - started
        return work

    def _convert(self, work: Work, facts: ClipFacts, sets: Sequence[Models]) -> None:
        """Enhance a clip and write its result."""
        settled = work.settled
        task = ClipTask(source=settled.path, target=work.target, options=work.options, results=self._results)
        opened = self._tree.open_file(settled.relative)
        with opened.stream:
            if work.identity is None or not opened.identity.has_content_of(work.identity):
                raise ChangedError("it changed before it was enhanced")
            try:
                writing = clip_writing(work.target, self._output, settled.version.mtime_ns, work.extended)
                result = convert_file(task, opened, writing, facts, sets, self._step, ClipResult.refuse_damaged)
            except OutputError:
                work.stage = "write"
                raise
        work.warnings, work.is_left, work.frames = result.warnings, result.is_unchanged, result.frames

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
        if work.clip is not None:  # which was written as it was enhanced
            return
        if work.data is None and work.is_left and work.identity is not None:
            work.data = content_of(partial(self._tree.open_file, work.settled.relative), work.identity)
            work.is_left = work.data is not None
        if work.data is None and work.picture is not None:
            work.data, work.warnings = encode_result(work.picture, work.settled.path, work.target, work.options)
        work.picture = None
        modified_ns, data = work.settled.version.mtime_ns, work.data or b""
        write_result(work.target, data, self._output, modified_ns, work.extended)
        work.data = None
        work.seconds += time.monotonic() - started


def _take(work: Work, enhanced: Picture) -> None:
    """Take the result of a picture, and note whether anybody would see a change."""
    if work.picture is not None:
        work.is_left = is_left(work.picture, enhanced, work.settled.path, work.target, work.options)
        work.pair = pair_of(work.picture, enhanced) if work.is_shown else None
    work.picture = enhanced


def _end_turn(work: Work) -> None:
    if work.turn is not None:
        work.turn.end()


def _nbytes(works: Sequence[Work]) -> int:
    return sum(work.nbytes for work in works)
