"""Many files: decode the next one and encode the last one while the model works on the current one."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lumen.batch.comparison import compare_existing, comparison, preview
from lumen.batch.destinations import Origin, destination_of
from lumen.batch.history import settings_of
from lumen.batch.job import Job, comparison_of, open_source
from lumen.batch.plan import Plan
from lumen.batch.record import RunRecord, model_facts
from lumen.batch.report import Outcome, Report, Status
from lumen.batch.sidecars import copy_sidecars
from lumen.batch.skipping import sort_out
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.file_io import encode_result, read_source, refuse_warnings
from lumen.enhance.model_choice import check_options
from lumen.enhance.picture_rules import PictureOptions, PictureRule
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.sharing import Cores, Share, workers_on
from lumen.enhance.unchanged import content_of, is_left
from lumen.errors import (
    OutOfMemoryError,
    OutputError,
    PictureError,
    UnusableModelError,
    UsageError,
    reason_of,
)
from lumen.files.atomic import user_attributes
from lumen.files.inputs import Identity
from lumen.files.paths import is_plain_file
from lumen.imaging.picture import Picture
from lumen.runtime.devices import helper_threads
from lumen.runtime.protocols import Models
from lumen.runtime.runs import terminate_runs
from lumen.stages import Stages, Steps, drive, few_inside

log = logging.getLogger(__name__)

RECORDED_INPUTS = 100


class BatchListener(Protocol):
    """Is told what happens, on the thread that runs the batch."""

    def started(self, pending: int) -> None:
        """Work begins on that many files."""

    def progressed(self, job: Job, fraction: float, megapixels: float) -> None:
        """A fraction of one picture of that size, in [0, 1], is enhanced; called repeatedly."""

    def finished(self, outcome: Outcome) -> None:
        """One file is done, skipped, failed or planned."""

    def stopping(self) -> None:
        """The run was asked to stop, and ends after the files in work."""


@dataclass(kw_only=True)
class _Item:
    """A picture on its way through the batch, and the seconds spent on it so far."""

    job: Job
    options: EnhanceOptions
    picture: Picture
    origin: Origin
    seconds: float
    is_left: bool = False  # nobody would see the change
    before: NDArray[np.uint8] | None = None  # a reduced copy for the comparison


class Batch:
    """One run over many files. `report` is correct at any time, also after an interruption."""

    def __init__(
        self,
        plan: Plan,
        models: Models | Sequence[Models],
        enhance: EnhanceOptions,
        options: BatchOptions,
        listener: BatchListener,
        rules: Sequence[PictureRule] = (),
        model: str | None = None,
    ) -> None:
        """Prepare a run; nothing is touched yet.

        Args:
            plan: Which files, and where results go.
            models: The 8-bit and 16-bit pair of model files, or several pairs that work side by side.
            enhance: How each picture is enhanced.
            options: Where results go.
            listener: Told what happens.
            rules: For which pictures `enhance` differs.
            model: What was asked for as model, to tell later runs that ask for another one.

        Raises:
            UsageError: The options would lose part of the inputs.
        """
        self._enhance = PictureOptions(enhance, rules)
        if options.in_place and any(each.frames == "first" for each in self._enhance.variants()):
            raise UsageError(
                "--frames first cannot be combined with --in-place, because the other pictures of a file would be lost"
            )
        self.report = Report(total=len(plan.jobs) + len(plan.failures))
        self._plan = plan
        self._targets = {job.target for job in plan.jobs}
        self._models = tuple(models) if isinstance(models, Sequence) else (models,)
        self._options = options
        self._listener = listener
        self._model = model
        self._destination = destination_of(options)
        self._record: RunRecord | None = None
        self._fractions: dict[Job, tuple[float, float]] = {}  # and megapixels
        # Plain flags: signal handlers can interrupt each other, and would deadlock on the lock inside an event.
        self._asked_to_stop = self._has_said_stopping = self._at_once = False

    def run(self) -> Report:
        """Enhance every file that has no result yet.

        A file that fails is recorded and the others continue. On an exception such as KeyboardInterrupt the pictures
        that are being written are finished, and the rest is left for the next run.

        Raises:
            OutputError: The output cannot be written; the run stops.
            LockedError: Another run works on the output folder.
            UnavailableError: The model or the device cannot be used.
            UsageError: A result exists and must not; or the requested window or memory is too small.
        """
        started = time.monotonic()
        try:
            with self._destination.held(self._plan.jobs):
                self._record = RunRecord(self._plan.home, self._request())
                pending, uncompared = self._pending()
                if pending and not self._ending:
                    # Open the models before the first file: a missing model must not count as a failed file.
                    models = [each.for_sample("uint8") for each in self._models]
                    variants = {self._enhance.of(job.relative) for job in pending}
                    for options in variants:
                        for model in models:
                            check_options(model, options)
                    self._record.model(model_facts(models))
                    self._listener.started(len(pending) + len(uncompared))
                    self._run_jobs(pending, variants, helper_threads([model.device for model in models]))
                elif uncompared:
                    self._listener.started(len(uncompared))
                self._add_comparisons(uncompared)
        finally:
            self.report.seconds = time.monotonic() - started
            if self._record is not None:
                self._record.close(self.report)
        return self.report

    def dry_run(self) -> Report:
        """Report what `run` would do; write nothing and open no model."""
        pending, uncompared = self._pending()
        for job in [*pending, *map(comparison_of, uncompared)]:
            self._finish(self._outcome(job, "planned"))
        return self.report

    def stop(self, *, at_once: bool = False) -> None:
        """Let `run` return after the files in work; may be called from other threads and from signal handlers.

        Args:
            at_once: Do not wait for files in work when the next exception is raised into `run`; the process must then
                end with `lumen.files.atomic.discard_unfinished` and `os._exit`.
        """
        self._at_once |= at_once
        self._asked_to_stop = True

    @property
    def stopped(self) -> bool:
        """Whether files are left because of `stop`."""
        return self._asked_to_stop and self.report.left > 0

    @property
    def _ending(self) -> bool:
        return self._asked_to_stop or (self._options.fail_fast and bool(self.report.failures))

    def _pending(self) -> tuple[list[Job], dict[Job, str]]:
        """Report files that cannot be enhanced or need not be, and return the rest: `ToDo.pending` and `uncompared`."""
        if self._options.existing == "error":
            self._destination.refuse_existing(self._plan.jobs)
        for outcome in self._plan.failures:
            self._finish(outcome)
        todo = sort_out(self._plan.jobs, self._destination, self._options, self._settings)
        for job, reason in todo.skipped.items():
            self._finish(self._outcome(job, "skipped", reason=reason))
        return todo.pending, todo.uncompared

    def _settings(self, job: Job) -> dict[str, object]:
        return settings_of(dataclasses.asdict(self._enhance.of(job.relative)), self._model)

    def _add_comparisons(self, uncompared: Mapping[Job, str]) -> None:
        """Write comparisons from inputs and results that exist, without enhancing anything."""
        for job, reason in uncompared.items():
            if self._ending:
                return
            try:
                ending: Outcome | Exception = self._compare_existing(job, reason)
            except (PictureError, MemoryError) as error:
                warnings = (f"there is no comparison: {reason_of(error)}",)
                ending = self._outcome(job, "skipped", reason=reason, warnings=warnings)
            except OutputError as error:
                ending = error
            self._end_job(job, ending)
            self._report_progress()

    def _compare_existing(self, job: Job, reason: str) -> Outcome:
        started = time.monotonic()
        below = None if self._options.follow_links else self._options.output
        data, origin, megapixels = compare_existing(job, self._enhance.of(job.relative), below=below)
        beside = comparison_of(job)
        self._destination.put(beside, data, Origin(identity=origin))
        reason, seconds = f"only the comparison was made, because {reason}", time.monotonic() - started
        return self._outcome(beside, "done", reason=reason, seconds=seconds, megapixels=megapixels)

    def _run_jobs(self, pending: Sequence[Job], variants: Collection[EnhanceOptions], helpers: int) -> None:
        def improve(cores: Cores, items: Sequence[_Item]) -> list[_Item]:
            with cores.lend(lambda: (len(pending) - stages.begun) // len(self._models)) as share:
                return [self._improve(item, cores.sets[0], share, stages.check) for item in items]

        steps = Steps(read=self._read, work=improve, write=self._write)
        stages = Stages(steps, workers_on(self._models, variants), helpers=helpers, interrupt=terminate_runs)
        has_room = partial(few_inside, stages, _size)
        try:
            for ended in drive(stages, pending, has_room, short_of_memory=(MemoryError, OutOfMemoryError)):
                if ended is not None:
                    self._end_job(*ended)
                if self._ending:
                    stages.leave()
                self._report_progress()
        finally:
            for job, ending in stages.close(at_once=self._at_once):
                with suppress(OutputError):  # the error that stopped the run is already being raised
                    self._end_job(job, ending)

    def _end_job(self, job: Job, ending: Outcome | Exception) -> None:
        """Report a file. An error becomes its outcome.

        Only an output that cannot be written, or a model that is damaged or broke its contract, stops the run. In the
        second case the file is left for the next run: nothing is known about it.
        """
        self._fractions.pop(job, None)
        if isinstance(ending, Outcome):
            self._finish(ending)
            return
        if isinstance(ending, UnusableModelError):
            raise ending
        log.debug("%s failed", job.source, exc_info=ending)
        stops_run = isinstance(ending, OutputError)
        self._finish(self._outcome(job, "failed", reason=reason_of(ending), stops_run=stops_run))
        if isinstance(ending, OutputError):
            raise ending

    def _outcome(self, job: Job, status: Status, **facts: Any) -> Outcome:
        changes = self._enhance.changes(job.relative)
        return Outcome(source=job.source, target=job.target, status=status, changes=changes, **facts)

    def _finish(self, outcome: Outcome) -> None:
        self.report.add(outcome)
        if self._record is not None:
            self._record.add(outcome)
        self._listener.finished(outcome)

    def _report_progress(self) -> None:
        for job, progress in tuple(self._fractions.items()):
            self._listener.progressed(job, *progress)
        if self._asked_to_stop and not self._has_said_stopping:
            self._has_said_stopping = True
            self._listener.stopping()

    def _read(self, job: Job) -> _Item:
        started, options = time.monotonic(), self._enhance.of(job.relative)
        opened = open_source(job)
        with opened.stream as stream:
            extended = user_attributes(stream) if options.metadata == "keep" else {}
            digest = self._destination.digest(stream)
            original = self._destination.original(job, digest)
            origin = Origin(identity=opened.identity, digest=digest, extended=extended, is_result=original is not None)
            with stream if original is None else original.stream as pixels:
                picture = read_source(job.source, options, job.target, stream=pixels)
        if self._options.in_place:
            picture.refuse_damaged()  # what is left of the original may be all that there is
        seconds = time.monotonic() - started
        return _Item(job=job, options=options, picture=picture, origin=origin, seconds=seconds)

    def _improve(self, item: _Item, models: Models, share: Share, check: Callable[[], None]) -> _Item:
        def progress(fraction: float) -> None:
            check()
            self._fractions[item.job] = fraction, megapixels

        started, megapixels = time.monotonic(), item.picture.megapixels
        progress(0.0)
        item.before = preview(item.picture) if self._wants_comparison(item.job) else None
        picture, job = item.picture, item.job
        item.picture = enhance_picture(picture, models, item.options, progress, share)
        if not item.origin.is_result:  # which is never left as it is, even where its original would be
            item.is_left = is_left(picture, item.picture, job.source, job.target, item.options)
        item.seconds += time.monotonic() - started
        return item

    def _write(self, item: _Item) -> Outcome:
        started = time.monotonic()
        job, picture = item.job, item.picture
        if item.is_left and (self._options.in_place or item.options.unchanged == "skip"):
            return self._leave(item, started)
        warnings: tuple[str, ...] = ()
        data = content_of(partial(open_source, job), item.origin.identity) if item.is_left else None
        is_copied = data is not None
        if data is None:
            data, warnings = encode_result(picture, job.source, job.target, item.options)
        # What belongs to a result is written first: if it exists, everything does.
        warnings = (*warnings, *self._copy_sidecars(item), *self._compare(item))
        refuse_warnings(warnings, item.options)
        needless = self._destination.put(job, data, item.origin)
        if needless is not None:
            return self._outcome(job, "skipped", reason=needless)
        return self._outcome(
            job,
            "done",
            seconds=item.seconds + time.monotonic() - started,
            megapixels=picture.megapixels,
            is_damaged=picture.damage is not None and picture.damage.in_picture,
            warnings=warnings,
            is_unchanged=is_copied,
        )

    def _leave(self, item: _Item, started: float) -> Outcome:
        """End a file that stays as it is, without a result of its own."""
        self._destination.leave(item.job, item.origin)
        is_done = item.options.unchanged == "copy"
        return self._outcome(
            item.job,
            "done" if is_done else "skipped",
            reason="" if is_done else "it is fine as it is",
            seconds=item.seconds + time.monotonic() - started,
            megapixels=item.picture.megapixels,
            is_unchanged=True,
        )

    def _wants_comparison(self, job: Job) -> bool:
        """Tell whether to write a comparison: where one is there, it would show the result of an earlier run."""
        if self._options.compare or self._options.in_place:
            return self._options.compare
        beside = comparison_of(job).target
        return beside not in self._targets and is_plain_file(beside)

    def _compare(self, item: _Item) -> tuple[str, ...]:
        """Write the comparison if there is to be one; failing to is only a warning."""
        if item.before is None:
            return ()
        try:
            data = comparison(item.before, item.picture)
            self._destination.put(comparison_of(item.job), data, item.origin)
        except PictureError as error:
            return (f"there is no comparison: {error}",)
        return ()

    def _copy_sidecars(self, item: _Item) -> tuple[str, ...]:
        """Copy the files that belong to the picture; in place they are there, and stripped metadata stand in them."""
        if self._options.sidecars == "ignore" or self._options.in_place or item.options.metadata == "strip":
            return ()

        def put(job: Job, data: bytes, identity: Identity) -> None:
            self._destination.put(job, data, Origin(identity=identity))

        replaces = self._options.existing in ("overwrite", "update")
        return tuple(copy_sidecars(item.job, open_source, put, replaces=replaces))

    def _request(self) -> Mapping[str, Any]:
        inputs = self._plan.inputs
        options: dict[str, Any] = {
            "batch": dataclasses.asdict(self._options),
            "enhance": dataclasses.asdict(self._enhance.options),
        }
        if self._enhance.rules:
            options["pictures"] = self._enhance.as_list()
        # By the folder and the model, later runs know how a result was made, and from what.
        options |= {"cwd": os.getcwd(), "model": self._model}  # noqa: PTH109  # as text
        return {"inputs": inputs[:RECORDED_INPUTS], "of_inputs": len(inputs), "files": self.report.total, **options}


def _size(item: _Item) -> int:
    return item.picture.pixels.nbytes
