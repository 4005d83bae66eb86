"""How much of a run is done, and how long the rest will take.

Pixels are counted, not files: a panorama takes as long as a hundred small pictures. The sizes of files that were not
opened yet are taken to be like those that were: pictures like pictures, clips like clips. All frames of a clip count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lumen.batch.report import Outcome, Progress
from lumen.imaging.clip_formats import is_clip
from lumen.text import span

SPEED_S: Final = 60.0  # the speed is that of about the last minute
LEFT_S: Final = 20.0  # in which the time left comes near what is newly known,
LEFT_SHARE: Final = 0.5  # but in this share of it at most: near the end there is no time to bend slowly
EVIDENCE_S: Final = 3.0  # of work, before there is a time left: the first pixels come late, or many at once
BURST_S, LONGEST_S = 0.1, 1.0


class Throughput:
    """How much of a run is done, how fast it is, and how long the rest will take; the clock returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.start(0)

    def start(self, pending: int) -> None:
        """Start counting for a run of `pending` files."""
        self.pending, self.is_counted, self.failed = pending, True, 0
        self._pictures, self._clips, self._pending_clips = _Kind(), _Kind(), 0
        self._began: dict[str, float] = {}  # when each clip in work was
        self._share = 0.0
        self._started = self._clock()
        self._base = self._last = _Look(at=self._started)
        self._burst_at = self._started

    def count(self, pending: int, *, is_all: bool, clips: int = 0) -> None:
        """Note how many files are known, so many of them clips, and whether these are all.

        Before all are, there is no share and no time left.
        """
        self.pending, self.is_counted, self._pending_clips = pending, is_all, clips

    def progress(self, name: str, fraction: float, megapixels: float, frames: int = 0) -> None:
        """Note how much of a file of that size, or of a clip of so many frames, is done, in [0, 1]."""
        self._kind(name).parts[name] = Progress(fraction, megapixels, frames)
        if frames:
            self._began.setdefault(name, self._clock())
        self._look()

    def finish(self, outcome: Outcome) -> None:
        """Note the outcome of a file."""
        name = str(outcome.source)
        part = self._kind(name).parts.pop(name, Progress(0.0, 0.0))
        self._began.pop(name, None)
        is_work = outcome.target is not None  # or it could not be tried
        if is_work and outcome.status != "planned" and (outcome.status != "skipped" or outcome.is_unchanged):
            self._kind(name).files += 1
            self._kind(name).megapixels += outcome.megapixels or part.megapixels
            self._kind(name).frames += outcome.frames or part.frames
            self.failed += outcome.status == "failed"
            self._look()

    @property
    def share(self) -> float:
        """Share of the pixels that are done, in [0, 1]; it never falls."""
        return self._share if self.pending or not self.is_counted else 1.0

    @property
    def of(self) -> str:
        """How many files there are, such as `12,000+` while more are being found."""
        return str(self.pending) if self.is_counted else f"{self.pending:,}+"

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return self._clock() - self._started

    @property
    def files(self) -> int:
        """How many files were worked on."""
        return self._pictures.files + self._clips.files

    @property
    def speed(self) -> str:
        """Frames per second while there are clips in work, else megapixels; nothing before any is done."""
        if parts := self._clips.parts:
            now = self._clock()
            speed = sum(part.frames_done / max(now - self._began[name], 1e-9) for name, part in parts.items())
            return f"{speed:.1f} frames/s" if speed else ""
        return f"{self._last.done / self.seconds:.2f} MP/s" if self._last.done and self.seconds else ""

    @property
    def left(self) -> str:
        """How long the rest will take, or nothing before any work is done, and after all is."""
        look = self._last
        if look.left_s is None or not 0 < self.share < 1:
            return ""
        return f"{span(max(0.0, look.left_s - (self._clock() - look.at)))} left"

    @property
    def failures(self) -> str:
        """How many files failed, or nothing if none did."""
        return f"{self.failed} failed" if self.failed else ""

    @property
    def frames(self) -> str:
        """How many frames of the clips in work are done, or nothing without clips."""
        parts = self._clips.parts.values()
        return (
            f"frame {sum(part.frames_done for part in parts)} of {sum(part.frames for part in parts)}" if parts else ""
        )

    @property
    def percent(self) -> str:
        """The share in words."""
        return f"{self.share:.0%} of the pixels" if self.is_counted else ""

    def line(self) -> str:
        """Return all of it on one line."""
        count = f"{self.files} of {self.of} files" + (f" ({self.percent})" if self.is_counted else "")
        return ", ".join(filter(None, (count, self.frames, self.speed, self.left, self.failures)))

    def _look(self) -> None:
        """Take what was done into the share, the speed and the time left."""
        now, last = self._clock(), self._last
        # The parts of several files come one after the other, in no time: they are one look.
        if now - last.at > BURST_S or now - self._burst_at > LONGEST_S:
            self._base, self._burst_at = last, now
        done = self._pictures.done + self._clips.done
        if not done and self._clips.parts:
            # What a clip takes to start says nothing of its frames.
            self._base = self._last = _Look(at=now)
            return
        total = self._total() if self.is_counted else 0.0
        share = 0.0 if not self.is_counted else done / total if total else self.files / max(1, self.pending)
        self._share = min(1.0, max(self._share, share))
        self._last = self._base.followed(now, done, max(0.0, total - done) if self.is_counted else None)

    def _kind(self, name: str) -> _Kind:
        return self._clips if is_clip(name) else self._pictures

    def _total(self) -> float:
        """Return the megapixels of all files; 0 while no size is known."""
        pictures, clips = self._pictures, self._clips
        # While there is none of its kind yet, a picture is like a frame, and a clip like a picture.
        picture = pictures.sizes / pictures.known if pictures.known else clips.sizes / max(1, clips.all_frames)
        clip = clips.sizes / clips.known if clips.known else picture
        left = max(0, self._pending_clips - clips.known)
        others = max(0, self.pending - self._pending_clips - pictures.known)
        return pictures.sizes + clips.sizes + picture * others + clip * left


@dataclass(kw_only=True)
class _Kind:
    """Pictures, or clips: how many ended, their sizes, and how much is done of those in work, by their names."""

    files: int = 0
    megapixels: float = 0.0
    frames: int = 0
    parts: dict[str, Progress] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """How many were opened."""
        return self.files + len(self.parts)

    @property
    def sizes(self) -> float:
        """Megapixels of those that were opened."""
        return self.megapixels + sum(part.megapixels for part in self.parts.values())

    @property
    def all_frames(self) -> int:
        """Frames of those that were opened; 0 of pictures."""
        return self.frames + sum(part.frames for part in self.parts.values())

    @property
    def done(self) -> float:
        """Megapixels that are done."""
        return self.megapixels + sum(part.fraction * part.megapixels for part in self.parts.values())


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What was known at one time: megapixels done, those of about the last minute, their seconds, and the time left."""

    at: float
    done: float = 0.0
    recent: float = 0.0
    recent_s: float = 0.0
    left_s: float | None = None

    def followed(self, at: float, done: float, rest: float | None) -> _Look:
        """Return what is known later, with that many megapixels done, and left if that is known."""
        passed = at - self.at
        fade = math.exp(-passed / SPEED_S)
        recent, recent_s = self.recent * fade + max(0.0, done - self.done), self.recent_s * fade + passed
        left_s = rest * recent_s / recent if rest is not None and recent and recent_s > EVIDENCE_S else None
        if left_s is not None and self.left_s is not None:  # it counts down, and bends to what is known now
            counted = max(0.0, self.left_s - passed)
            bend_s = max(BURST_S, min(LEFT_S, LEFT_SHARE * max(left_s, counted)))
            # The first pixels tell little: what is done since then outweighs them, as it outweighs any time.
            weight = max(-math.expm1(-passed / bend_s), (done - self.done) / recent)
            left_s = counted + (left_s - counted) * weight
        return _Look(at=at, done=done, recent=recent, recent_s=recent_s, left_s=left_s)
