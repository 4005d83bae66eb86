"""Many files: decode the next one and encode the last one while the model works on the one between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from lumen.config import BatchOptions, EnhanceOptions
from lumen.errors import LumenError, OutputError
from lumen.imaging.atomic import TEMP_SUFFIX, make_folder
from lumen.imaging.codec import Picture, read_picture
from lumen.locking import lock_folder
from lumen.pipeline import enhance_picture, window_px, write_result
from lumen.report import Outcome, Report
from lumen.runtime.model import Models
from lumen.sources import Job, Plan, refuse_existing, skip_reason

log = logging.getLogger(__name__)

T = TypeVar("T")


class Listener(Protocol):
    """Hears what happens; called from the thread that runs the batch."""

    def started(self, pending: int) -> None:
        """Work begins on that many files."""

    def progressed(self, job: Job, fraction: float) -> None:
        """A part of one picture, in (0, 1], is enhanced."""

    def finished(self, outcome: Outcome) -> None:
        """One file is done, skipped, failed or planned."""


@dataclass(kw_only=True)
class _Item:
    """A picture on its way through the batch, and the seconds spent on it so far."""

    job: Job
    picture: Picture
    seconds: float


class Batch:
    """One run over many files. `report` is right at any time, also after an interruption."""

    def __init__(
        self, plan: Plan, models: Models, enhance: EnhanceOptions, options: BatchOptions, listener: Listener
    ) -> None:
        """Prepare a run; nothing is touched yet."""
        self.report = Report(total=len(plan.jobs) + len(plan.failures))
        self._plan = plan
        self._models = models
        self._enhance = enhance
        self._options = options
        self._listener = listener

    def run(self) -> Report:
        """Enhance every file that has no result yet.

        A file that fails is recorded and the others go on. On an interruption the picture that is being written is
        finished, the rest is left for the next run.

        Raises:
            OutputError: The output cannot be written; the run stops.
            LockedError: Another run works on the output folder.
            UnavailableError: The model or the device cannot be used.
            UsageError: A result exists and must not; or the asked window or memory is too small.
        """
        started = time.monotonic()
        try:
            with lock_folder(self._options.output):
                pending = self._pending()
                _remove_leftovers({job.target.parent for job in pending})
                if pending and not self._stopping:
                    # Open the model before the first file: a model that is missing is not the file's fault.
                    window_px(self._models.for_sample("uint8"), self._enhance)
                    self._listener.started(len(pending))
                    self._work(pending)
        finally:
            self.report.seconds = time.monotonic() - started
        return self.report

    def dry_run(self) -> Report:
        """Report what `run` would do; write nothing and open no model."""
        for job in self._pending():
            self._finish(Outcome(source=job.source, target=job.target, status="planned"))
        return self.report

    @property
    def _stopping(self) -> bool:
        return self._options.fail_fast and bool(self.report.failures)

    def _pending(self) -> list[Job]:
        """Report what cannot or need not be done, and return the rest."""
        if self._options.existing == "error":
            refuse_existing(self._plan.jobs)
        for outcome in self._plan.failures:
            self._finish(outcome)
        pending = []
        for job in self._plan.jobs:
            reason = skip_reason(job, self._options.existing)
            if reason is None:
                pending.append(job)
            else:
                self._finish(Outcome(source=job.source, target=job.target, status="skipped", reason=reason))
        return pending

    def _work(self, pending: Sequence[Job]) -> None:
        writing: tuple[Job, Future[Outcome]] | None = None
        with ThreadPoolExecutor(1, "decode") as decoder, ThreadPoolExecutor(1, "encode") as encoder:
            try:
                for item in self._decoded(pending, decoder):
                    enhanced = self._attempt(item.job, partial(self._improve, item)) is not None
                    last, writing = writing, None
                    self._settle(last)
                    if enhanced:
                        writing = (item.job, encoder.submit(self._write, item))
            finally:
                self._settle(writing)

    def _decoded(self, pending: Sequence[Job], decoder: ThreadPoolExecutor) -> Iterator[_Item]:
        """Yield every picture that can be decoded, and decode one ahead."""
        ahead = decoder.submit(self._read, pending[0])
        for job, following in zip(pending, [*pending[1:], None], strict=True):
            if self._stopping:
                return
            current = ahead
            if following is not None:
                ahead = decoder.submit(self._read, following)
            item = self._attempt(job, current.result)
            if item is not None:
                yield item

    def _settle(self, writing: tuple[Job, Future[Outcome]] | None) -> None:
        """Wait until a picture is on disk, and report it."""
        if writing is None:
            return
        job, future = writing
        try:
            wait([future])
        finally:  # an interruption while waiting does not undo what is being written: it is waited for and reported
            outcome = self._attempt(job, future.result)
            if outcome is not None:
                self._finish(outcome)

    def _attempt(self, job: Job, step: Callable[[], T]) -> T | None:
        """Run one step of one file; a failure becomes the file's outcome, only a bad output stops the run."""
        try:
            return step()
        except Exception as error:
            log.debug("%s failed", job.source, exc_info=error)
            self._finish(Outcome(source=job.source, target=job.target, status="failed", reason=_reason(error)))
            if isinstance(error, OutputError):
                raise
            return None

    def _finish(self, outcome: Outcome) -> None:
        self.report.add(outcome)
        self._listener.finished(outcome)

    def _read(self, job: Job) -> _Item:
        started = time.monotonic()
        picture = read_picture(job.source, max_pixels=self._enhance.max_pixels)
        return _Item(job=job, picture=picture, seconds=time.monotonic() - started)

    def _improve(self, item: _Item) -> _Item:
        started = time.monotonic()
        progress = partial(self._listener.progressed, item.job)
        item.picture = enhance_picture(item.picture, self._models, self._enhance, progress)
        item.seconds += time.monotonic() - started
        return item

    def _write(self, item: _Item) -> Outcome:
        started = time.monotonic()
        target, picture = item.job.target, item.picture
        make_folder(target.parent)
        warnings = write_result(picture, item.job.source, target, quality=self._enhance.quality)
        return Outcome(
            source=item.job.source,
            target=target,
            status="done",
            seconds=item.seconds + time.monotonic() - started,
            megapixels=picture.width * picture.height / 1e6,
            warnings=warnings,
        )


def _remove_leftovers(folders: Iterable[Path]) -> None:
    """Remove what a killed run left half-written; the lock says that nobody is writing here now."""
    for folder in folders:
        with suppress(OSError):  # a folder whose name is too long cannot even be looked at
            for leftover in folder.glob(f".*{TEMP_SUFFIX}"):
                with suppress(OSError):
                    leftover.unlink()


def _reason(error: Exception) -> str:
    """Return one line for people."""
    if isinstance(error, LumenError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for this picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"internal error, {type(error).__name__}: {str(error).partition(chr(10))[0]}"
