"""Many files: what is to be done, an engine that does it, and what is told and recorded of every file."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from lumen.batch.destinations import destination_of
from lumen.batch.engines.engine import BatchEngine
from lumen.batch.history import settings_of
from lumen.batch.job import Job, comparison_of
from lumen.batch.plan import Plan
from lumen.batch.record import RunRecord
from lumen.batch.report import Outcome, Report
from lumen.batch.skipping import sort_out
from lumen.batch.work import PictureWork
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.picture_rules import PictureOptions, PictureRule
from lumen.errors import (
    OutputError,
    PictureError,
    UnusableModelError,
    UsageError,
    reason_of,
)

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


class Batch:
    """One run over many files. `report` is correct at any time, also after an interruption."""

    def __init__(
        self,
        plan: Plan,
        engine: BatchEngine,
        enhance: EnhanceOptions,
        options: BatchOptions,
        listener: BatchListener,
        rules: Sequence[PictureRule] = (),
        model: str | None = None,
    ) -> None:
        """Prepare a run; nothing is touched yet.

        Args:
            plan: Which files, and where results go.
            engine: What works on the files.
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
        self._engine = engine
        self._options = options
        self._listener = listener
        self._model = model
        self._destination = destination_of(options)
        self._work = PictureWork(
            pictures=self._enhance,
            options=options,
            destination=self._destination,
            is_target={job.target for job in plan.jobs}.__contains__,
        )
        self._record: RunRecord | None = None
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
                    # Before the first file: a missing model must not count as a failed file.
                    variants = {self._enhance.of(job.relative) for job in pending}
                    self._record.model(self._engine.open(self._work, variants))
                    self._listener.started(len(pending) + len(uncompared))
                    self._run_jobs(iter(pending))
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
            self._finish(self._work.outcome(job, "planned"))
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
            self._finish(self._work.outcome(job, "skipped", reason=reason))
        return todo.pending, todo.uncompared

    def _settings(self, job: Job) -> dict[str, object]:
        return settings_of(dataclasses.asdict(self._enhance.of(job.relative)), self._model)

    def _add_comparisons(self, uncompared: Mapping[Job, str]) -> None:
        """Write comparisons from inputs and results that exist, without enhancing anything."""
        for job, reason in uncompared.items():
            if self._ending:
                return
            try:
                ending: Outcome | Exception = self._work.compare_existing(job, reason)
            except (PictureError, MemoryError) as error:
                warnings = (f"there is no comparison: {reason_of(error)}",)
                ending = self._work.outcome(job, "skipped", reason=reason, warnings=warnings)
            except OutputError as error:
                ending = error
            self._end_job(job, ending)
            self._report_progress()

    def _run_jobs(self, pending: Iterator[Job]) -> None:
        try:
            for ended in self._engine.run(pending):
                if ended is not None:
                    self._end_job(*ended)
                if self._ending:
                    self._engine.leave()
                self._report_progress()
        finally:
            for job, ending in self._engine.close(at_once=self._at_once):
                with suppress(OutputError):  # the error that stopped the run is already being raised
                    self._end_job(job, ending)

    def _end_job(self, job: Job, ending: Outcome | Exception) -> None:
        """Report a file. An error becomes its outcome.

        Only an output that cannot be written, or a model that is damaged or broke its contract, stops the run. In the
        second case the file is left for the next run: nothing is known about it.
        """
        if isinstance(ending, Outcome):
            self._finish(ending)
            return
        if isinstance(ending, UnusableModelError):
            raise ending
        log.debug("%s failed", job.source, exc_info=ending)
        stops_run = isinstance(ending, OutputError)
        self._finish(self._work.outcome(job, "failed", reason=reason_of(ending), stops_run=stops_run))
        if isinstance(ending, OutputError):
            raise ending

    def _finish(self, outcome: Outcome) -> None:
        self.report.add(outcome)
        if self._record is not None:
            self._record.add(outcome)
        self._listener.finished(outcome)

    def _report_progress(self) -> None:
        for job, progress in self._engine.progress().items():
            self._listener.progressed(job, *progress)
        if self._asked_to_stop and not self._has_said_stopping:
            self._has_said_stopping = True
            self._listener.stopping()

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
