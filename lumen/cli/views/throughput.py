"""How much of a run is done, and how long the rest will take.

Pixels are counted, not files: a panorama takes as long as a hundred small pictures. The sizes of files that were not
opened yet are taken to be like those that were.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lumen.batch.report import Outcome
from lumen.text import span

SPEED_S: Final = 60.0  # the speed is that of about the last minute
LEFT_S: Final = 20.0  # in which the time left comes near what is newly known,
LEFT_SHARE: Final = 0.5  # but in this share of it at most: near the end there is no time to bend slowly
FAR, FAR_SHARE = 2.0, 0.5  # where it is so many times too long, it bends in this share of the time that was seen
BURST_S, LONGEST_S = 0.1, 1.0


class Throughput:
    """How much of a run is done, how fast it is, and how long the rest will take; the clock returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.start(0)

    def start(self, pending: int) -> None:
        """Start counting for a run of `pending` files."""
        self.pending, self.is_counted, self.files, self.failed, self.megapixels = pending, True, 0, 0, 0.0
        self._parts: dict[str, tuple[float, float]] = {}
        self._clips: dict[str, _Clip] = {}
        self._share = 0.0
        self._started = self._clock()
        self._base = self._last = _Look(at=self._started)
        self._burst_at = self._started

    def count(self, pending: int, *, is_all: bool) -> None:
        """Note how many files are known, and whether these are all: before, there is no share and no time left."""
        self.pending, self.is_counted = pending, is_all

    def progress(self, name: str, fraction: float, megapixels: float, frames: int = 0) -> None:
        """Note how much of a file of that size, or of a clip of so many frames, is done, in [0, 1]."""
        self._parts[name] = fraction, megapixels
        if frames:
            began = self._clips[name].began if name in self._clips else self._clock()
            self._clips[name] = _Clip(began=began, done=round(fraction * frames), frames=frames)
        self._look()

    def finish(self, outcome: Outcome) -> None:
        """Note the outcome of a file."""
        _, megapixels = self._parts.pop(str(outcome.source), (0.0, 0.0))
        self._clips.pop(str(outcome.source), None)
        is_work = outcome.target is not None  # or it could not be tried
        if is_work and outcome.status != "planned" and (outcome.status != "skipped" or outcome.is_unchanged):
            self.files += 1
            self.failed += outcome.status == "failed"
            self.megapixels += outcome.megapixels or megapixels
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
    def speed(self) -> str:
        """Frames per second while there are clips in work, else megapixels; nothing before any is done."""
        if self._clips:
            now = self._clock()
            speed = sum(clip.done / max(now - clip.began, 1e-9) for clip in self._clips.values() if clip.done)
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
        if not self._clips:
            return ""
        done, frames = (sum(getattr(clip, name) for clip in self._clips.values()) for name in ("done", "frames"))
        return f"frame {done} of {frames}"

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
        done = self.megapixels + sum(fraction * size for fraction, size in self._parts.values())
        sizes = self.megapixels + sum(size for _, size in self._parts.values())
        known = self.files + len(self._parts)
        total = sizes * max(1.0, self.pending / known) if known and self.is_counted else 0.0
        share = 0.0 if not self.is_counted else done / total if total else self.files / max(1, self.pending)
        self._share = min(1.0, max(self._share, share))
        self._last = self._base.followed(now, done, max(0.0, total - done) if self.is_counted else None)


@dataclass(frozen=True, kw_only=True)
class _Clip:
    """A clip in work: when it began, and how many of its frames are done."""

    began: float
    done: int
    frames: int


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
        left_s = rest * recent_s / recent if rest is not None and recent and recent_s else None
        if left_s is not None and self.left_s is not None:  # it counts down, and bends to what is known now
            counted = max(0.0, self.left_s - passed)
            bend_s = max(BURST_S, min(LEFT_S, LEFT_SHARE * max(left_s, counted)))
            if counted > FAR * left_s:
                bend_s = max(BURST_S, min(bend_s, FAR_SHARE * recent_s))
            left_s = counted + (left_s - counted) * -math.expm1(-passed / bend_s)
        return _Look(at=at, done=done, recent=recent, recent_s=recent_s, left_s=left_s)
