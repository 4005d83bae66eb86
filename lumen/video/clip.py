"""One clip: its frames through the model, in order, while FFmpeg reads ahead and encodes behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from itertools import count, repeat
from typing import BinaryIO

import numpy as np

from lumen.config import EnhanceOptions
from lumen.enhance.frames import enhance_frames, frames_per_run
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.unchanged import looks_same
from lumen.errors import DecodeError, LumenError
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Floats, Models, Pixels
from lumen.stages import AHEAD_BYTES, Stages, Steps, drive
from lumen.video.facts import ClipFacts, Storing
from lumen.video.messages import Message
from lumen.video.process import FFmpegProcess
from lumen.video.source import frame_picture
from lumen.video.tones import is_steady, tones_of

AHEAD = 4  # frames for each worker, besides those that share a run


@dataclass(frozen=True, kw_only=True)
class ClipResult:
    """What was made of a clip.

    Attributes:
        frames: How many frames it has.
        warnings: What people should know, one line each; damage first.
        damage: Why a part of it is missing or wrong; empty if nothing is known.
        is_unchanged: Whether nobody would see the change of any frame.
    """

    frames: int
    warnings: tuple[str, ...]
    damage: str
    is_unchanged: bool

    def refuse_damaged(self) -> None:
        """Refuse a result of which a part is known to be wrong or missing.

        Raises:
            DecodeError: It is damaged.
        """
        if self.damage:
            raise DecodeError(self.damage)


@dataclass(kw_only=True)
class _Frame:
    """A frame on its way."""

    number: int
    picture: Picture
    tone: Floats | None


class _EndedError(Exception):
    """There are no more frames."""


def enhance_clip(
    source: BinaryIO,
    target: BinaryIO,
    facts: ClipFacts,
    workers: Sequence[Models],
    options: EnhanceOptions,
    storing: Storing,
    progress: Callable[[int], None],
    *,
    fixed_tone: Floats | None = None,
) -> ClipResult:
    """Enhance a clip into an empty file.

    Args:
        source: The clip, opened.
        target: The file, open for reading and writing.
        facts: What `look_at` found.
        workers: Models that work side by side.
        options: How each frame is enhanced.
        storing: How the result is stored.
        progress: Called with the number of frames that are done, several times a second; an exception that it raises
            ends the work.
        fixed_tone: float32 [K], used for all frames instead of a path of their own.

    Raises:
        PictureError: The clip cannot be decoded, enhanced or encoded, or FFmpeg crashed or hangs.
        OSError: The target cannot be written.
        UnavailableError: The model cannot be used.
    """
    steady = fixed_tone is None and is_steady(workers[0].for_sample(facts.sample), options)
    with ExitStack() as stack:
        ffmpeg = stack.enter_context(FFmpegProcess(source, target))
        ahead = stack.enter_context(FFmpegProcess(source)) if steady else None
        ffmpeg.ask(
            "convert",
            frame_bytes=facts.frame_bytes,
            facts=asdict(facts),
            max_pixels=options.max_pixels,
            storing=asdict(storing),
            threads=storing.threads,
        )
        tones: Iterator[Floats] | None = None if fixed_tone is None else repeat(fixed_tone)
        if ahead is not None:
            tones = tones_of(ahead, facts, workers[0], options)
        flow = _Flow([ffmpeg, *filter(None, [ahead])], tones, facts, workers, options)
        flow.run(progress)
        ffmpeg.send({"end": True})
        done, _ = ffmpeg.receive()
    return _result(facts, flow, done["lost"])


class _Flow:
    """Takes frames from FFmpeg through the model, and back in order."""

    def __init__(
        self,
        processes: Sequence[FFmpegProcess],
        tones: Iterator[Floats] | None,
        facts: ClipFacts,
        workers: Sequence[Models],
        options: EnhanceOptions,
    ) -> None:
        """Take the process that converts, and others to end with it; and the tones of the frames, if they are given."""
        self.end: Message = {}
        self.is_unchanged = True
        self._processes = processes
        self._ffmpeg = processes[0]
        self._tones = tones
        self._facts = facts
        self._options = options
        self._workers = workers
        self._lock = threading.Lock()
        self._sent = self._started = 0
        self._waiting: dict[int, Pixels] = {}  # enhanced before an earlier frame was
        self._per_run = 1

    def run(self, progress: Callable[[int], None]) -> None:
        """Enhance all frames."""
        steps = Steps(read=self._read, work=self._improve, write=self._write, gather=self._gather)
        stages = Stages(steps, self._workers)
        try:
            for ended in drive(stages, self._numbers(), lambda: self._has_room(stages)):
                if ended is not None and isinstance(ended[1], Exception) and not isinstance(ended[1], _EndedError):
                    raise ended[1]
                progress(self._sent)
        except BaseException:
            for process in self._processes:
                process.close()  # or a thread would wait for it
            raise
        finally:
            stages.close()

    def _numbers(self) -> Iterator[int]:
        for number in count():
            self._started = number + 1
            yield number

    def _has_room(self, stages: Stages[int, _Frame, None, Models]) -> bool:
        inside = self._started - self._sent
        most = len(self._workers) * (self._per_run + AHEAD)
        by_memory = max(len(self._workers) + 1, AHEAD_BYTES * len(self._workers) // self._facts.frame_bytes)
        return not self.end and len(stages.reading) < 1 and inside < min(most, by_memory)

    def _read(self, number: int) -> _Frame:
        if self.end:
            raise _EndedError
        message, data = self._ffmpeg.receive()
        if "end" in message:
            self.end = message
            raise _EndedError
        tone = None if self._tones is None else next(self._tones, None)
        if tone is None and self._tones is not None:
            raise DecodeError("the clip has fewer frames each time that it is read; it may be changing, or be damaged")
        return _Frame(number=number, picture=frame_picture(data, self._facts), tone=tone)

    def _gather(self, models: Models, first: _Frame, others: Sequence[_Frame]) -> Sequence[_Frame]:
        """Return frames that share a run with the first one: all of a clip are alike."""
        with suppress(LumenError):  # which the run itself reports
            self._per_run = frames_per_run(first.picture, models, self._options)
        return others[: self._per_run - 1]

    def _improve(self, models: Models, frames: Sequence[_Frame]) -> list[_Frame | Exception]:
        pictures = [frame.picture for frame in frames]
        enhanced: list[Picture] = []
        if len(frames) > 1:
            with suppress(LumenError):  # such as too little memory for all of them together
                tones = None if self._tones is None else [frame.tone for frame in frames if frame.tone is not None]
                enhanced = enhance_frames(pictures, models, self._options, fixed_tones=tones)
        if not enhanced:
            enhanced = [
                enhance_picture(frame.picture, models, self._options, fixed_tone=frame.tone) for frame in frames
            ]
        for frame, picture in zip(frames, enhanced, strict=True):
            self.is_unchanged = self.is_unchanged and looks_same(frame.picture, picture)
            frame.picture = picture
        return list(frames)

    def _write(self, frame: _Frame) -> None:
        """Send a frame back, after all earlier ones."""
        with self._lock:
            self._waiting[frame.number] = frame.picture.pixels
            while self._sent in self._waiting:
                pixels = np.ascontiguousarray(self._waiting.pop(self._sent))
                self._ffmpeg.send({"frame": self._sent}, pixels.data.cast("B"))
                self._sent += 1


def _result(facts: ClipFacts, flow: _Flow, lost: Sequence[str]) -> ClipResult:
    end = flow.end
    cut = facts.cut or end["broken"]
    damage = []
    if cut:
        damage.append(f"the clip is cut off at its end ({cut}); it is enhanced as far as it goes")
    if end["damaged"] or facts.damaged:
        count_ = max(end["damaged"], facts.damaged)
        damage.append(f"{count_} packets of the video are damaged; the frames around them show it")
    notes = ["the clip was interlaced and is deinterlaced: one frame for two fields"] if end["interlaced"] else []
    return ClipResult(
        frames=end["end"],
        warnings=(*damage, *notes, *facts.lost, *lost),
        damage="; ".join(damage),
        is_unchanged=flow.is_unchanged and not damage,
    )
