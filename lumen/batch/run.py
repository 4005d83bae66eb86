"""Many files: what is to be done, an engine that does it, and what is told and recorded of every file."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from lumen.batch.ahead import TICK_S, Ahead
from lumen.batch.block import Block
from lumen.batch.destinations import destination_of
from lumen.batch.engines.engine import BatchEngine
from lumen.batch.job import Job, comparison_of
from lumen.batch.packed_queue import PackedQueue
from lumen.batch.plan import Plan
from lumen.batch.record import RunRecord
from lumen.batch.report import Outcome, Report
from lumen.batch.skipping import Sorter, ToDo
from lumen.batch.toned import JobTones
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
from lumen.files.paths import is_folder
from lumen.files.patterns import is_comparison
from lumen.text import printable

log = logging.getLogger(__name__)

SHOWN_PATTERNS = 3


class BatchListener(Protocol):
    """Is told what happens, on the thread that runs the batch."""

    def started(self, pending: int) -> None:
        """Work begins, on that many files as far as is known."""

    def counted(self, pending: int, *, is_all: bool, clips: int = 0) -> None:
        """There is work on that many files by now, so many of them clips; told again and again until these are all."""

    def progressed(self, job: Job, fraction: float, megapixels: float, frames: int = 0) -> None:
        """A fraction of one picture, or clip of so many frames, of that size is enhanced; called repeatedly."""

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
        settings: Mapping[str, Any] | None = None,
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
            settings: Options as `--settings` has them, JSON values: the page of the run offers them for the next one.

        Raises:
            UsageError: The options would lose part of the inputs.
        """
        self._enhance = PictureOptions(enhance, rules)
        if options.in_place and any(each.frames == "first" for each in self._enhance.variants()):
            raise UsageError(
                "--frames first cannot be combined with --in-place, because the other pictures of a file would be lost"
            )
        self.report = Report(total=0, is_counted=False)
        self._plan = plan
        self._engine = engine
        self._options = options
        self._listener = listener
        self._model = model
        self._settings_given = settings
        self._destination = destination_of(options)
        self._sorter = Sorter(self._destination, options, self._enhance, model)
        # Who asks for an error if any result exists must hear of it before the first picture.
        self._ahead = Ahead(plan, self._sorter.sort, whole=options.existing == "error")
        self._uncompared = PackedQueue[ToDo]()
        self._prepared = set[int]()  # hashes of folders of results
        self._targets = set[Path]()  # results that have the name of a comparison
        self._work = PictureWork(
            pictures=self._enhance,
            options=options,
            destination=self._destination,
            is_target=self._targets.__contains__,
        )
        self._tones = JobTones(engine.tone_models, self._enhance, options, self._work.look)
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
            NothingToDoError: No picture was found.
            UsageError: A result exists and must not, or the requested window or memory is too small. Or results would
                overwrite an input or each other: nothing of their folder was touched, but others may be done.
        """
        started = time.monotonic()
        try:
            with self._ahead:
                self._ahead.wait_for_plan(lambda: self._ending)
                with self._destination.held():
                    self._ahead.wait_for_sorted(lambda: self._ending)
                    self._count()
                    self._record = RunRecord(self._plan.home, self._request())
                    self._enhance_all(self._jobs())
                    self._add_comparisons()
                    if self._ahead.is_sorted:
                        self._warn_of_unmatched()
        finally:
            self._count()
            self.report.seconds = time.monotonic() - started
            if self._record is not None:
                self._record.close(self.report)
        return self.report

    def dry_run(self) -> Report:
        """Report what `run` would do; write nothing and open no model. It raises what `run` does of the plan."""
        for block in self._plan.blocks:
            self.report.total += len(block)
            if self._asked_to_stop:
                return self.report
            for todo in self._sorter.sort(block):
                for job, reason, is_uncompared in self._open(todo):
                    if reason is None or is_uncompared:
                        self._finish(self._work.outcome(comparison_of(job) if is_uncompared else job, "planned"))
        self.report.is_counted = True
        self._sorter.earlier.warn(is_all=True)
        self._warn_of_unmatched()
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
        return self._asked_to_stop and (self.report.left > 0 or not self.report.is_counted)

    @property
    def _ending(self) -> bool:
        return self._asked_to_stop or (self._options.fail_fast and bool(self.report.failures))

    def _enhance_all(self, jobs: Iterator[Job]) -> None:
        """Open the models when there is a picture for them, and enhance all."""
        first = next(jobs, None)
        if self._ending or not self._ahead.pending:
            return
        if first is not None:
            variants = set(self._sorter.variants)
            if not self._ahead.is_sorted:  # later pictures may have any of them
                variants.update(self._enhance.variants())
            # Before the first file: a missing model must not count as a failed file.
            facts = self._engine.open(self._work, variants)
            if self._record is not None:
                self._record.model(facts)
        self._listener.started(self._ahead.pending)
        self._count()
        if first is not None:
            self._run_jobs(chain([first], jobs))

    def _jobs(self) -> Iterator[Job]:
        """Yield what to enhance as it becomes known; report what is skipped on the way."""
        while not self._ending:
            is_end, todo = self._ahead.is_sorted, self._ahead.take()
            if todo is None:
                if is_end:
                    yield from self._tones.end()
                    return
                time.sleep(TICK_S)
                continue
            if None in todo.reasons:
                self._prepare(todo.block)
                self._targets |= {todo.block.target / name for name in todo.block.results if is_comparison(name)}
            if any(todo.uncompared):
                self._uncompared.put(todo, len(todo.block))
            pending = (job for job, reason, _ in self._open(todo) if reason is None)
            yield from self._tones.of(todo.block, pending) if self._tones.are_asked else pending

    def _prepare(self, block: Block) -> None:
        """Prepare a folder of results once: later, what looks left over may be a result that is being written."""
        if hash(block.target) not in self._prepared:
            self._prepared.add(hash(block.target))
            self._destination.prepare(block)

    def _open(self, todo: ToDo) -> Iterator[tuple[Job, str | None, bool]]:
        """Yield the jobs that need work, as `ToDo.jobs` does; report the other files on the way."""
        for outcome in todo.block.failures:
            self._finish(outcome)
        for job, reason, is_uncompared in todo.jobs():
            if reason is None or is_uncompared:
                yield job, reason, is_uncompared
            else:
                self._finish(self._work.outcome(job, "skipped", reason=reason))

    def _count(self) -> None:
        """Take over what is planned by now."""
        ahead = self._ahead
        self.report.total, self.report.is_counted = ahead.files, ahead.is_planned
        self._sorter.earlier.warn(is_all=ahead.is_sorted)
        self._listener.counted(ahead.pending, is_all=ahead.is_sorted, clips=ahead.pending_clips)

    def _add_comparisons(self) -> None:
        """Write comparisons from inputs and results that exist, without enhancing anything."""
        while (todo := self._uncompared.take()) is not None:
            for job, reason, is_uncompared in todo.jobs():
                if self._ending:
                    return
                if is_uncompared and reason is not None:
                    self._add_comparison(job, reason)

    def _add_comparison(self, job: Job, reason: str) -> None:
        try:
            ending: Outcome | Exception = self._work.compare_existing(job, reason)
        except (PictureError, MemoryError) as error:
            warnings = (f"there is no comparison: {reason_of(error)}",)
            ending = self._work.outcome(job, "skipped", reason=reason, warnings=warnings)
        except OutputError as error:
            ending = error
        self._end_job(job, ending)
        self._report_progress()

    def _run_jobs(self, jobs: Iterator[Job]) -> None:
        try:
            for ended in self._engine.run(jobs):
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
        self._count()
        for job, progress in self._engine.progress().items():
            self._listener.progressed(job, *progress)
        if self._asked_to_stop and not self._has_said_stopping:
            self._has_said_stopping = True
            self._listener.stopping()

    def _warn_of_unmatched(self) -> None:
        """Warn of patterns of the settings that no file matched, unless this run has only a part of the files."""
        plan, options = self._plan, self._options
        patterns = [json.dumps(each, ensure_ascii=False) for each in self._sorter.unmatched]
        is_part = options.include or options.exclude or options.shard != (1, 1) or plan.of_inputs > len(plan.inputs)
        if not patterns or is_part or not all(map(is_folder, plan.inputs)):
            return
        more = f" and {len(patterns) - SHOWN_PATTERNS} more" if len(patterns) > SHOWN_PATTERNS else ""
        shown = printable(", ".join(patterns[:SHOWN_PATTERNS]))
        log.warning("the settings have [[picture]] for %s%s, which no file matches", shown, more)

    def _request(self) -> Mapping[str, Any]:
        options: dict[str, Any] = {
            "batch": dataclasses.asdict(self._options),
            "enhance": dataclasses.asdict(self._enhance.options),
        }
        if self._enhance.rules:
            options["pictures"] = self._enhance.as_list()
        if self._settings_given is not None:
            options["settings"] = self._settings_given
        # By the folder and the model, later runs know how a result was made, and from what.
        options |= {"cwd": os.getcwd(), "model": self._model}  # noqa: PTH109  # as text
        files = self.report.total if self.report.is_counted else None  # it stands at the end of the record too
        return {"inputs": self._plan.inputs, "of_inputs": self._plan.of_inputs, "files": files, **options}
