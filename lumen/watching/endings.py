"""Records what became of every file that left the worker, and keeps results while the disk cannot take them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

from lumen.errors import (
    DecodeError,
    DeviceError,
    DiskFullError,
    MissingExtraError,
    ModelError,
    OutOfMemoryError,
    OutputError,
    PictureError,
    UnavailableError,
    UnsupportedError,
    reason_of,
)
from lumen.stages import LeftError
from lumen.watching.attribution import LostModelsError
from lumen.watching.context import WatchContext
from lumen.watching.ledger.ledger import FileOutcome, FinalStatus
from lumen.watching.ledger.schema import DamagedLedgerError
from lumen.watching.output import HeldOutput
from lumen.watching.retire import Retirement, is_to_retire
from lumen.watching.watcher import Watcher
from lumen.watching.work import ChangedError, Ending, KnownError, Work
from lumen.watching.worker import Worker

log = logging.getLogger(__name__)

LOOK_S = 2.0  # between two checks of the output folder
FIRST_MEND_S, LONGEST_MEND_S = 1.0, 10.0
LONGEST_RELAPSE_S = 300.0  # longest pause when work resumes and fails again at once, repeatedly


class Endings:
    """Writes endings to the ledger. For the thread of the watcher."""

    def __init__(self, context: WatchContext, watcher: Watcher, worker: Worker, output: HeldOutput) -> None:
        """Take the parts that files come from and go to."""
        self.held: list[Work] = []  # results that could not be written
        self._unrecorded: deque[Ending] = deque()  # endings that the ledger could not take yet
        self._watcher = watcher
        self._worker = worker
        self._output = output
        self._retirement = Retirement(context)
        self._options = context.options
        self._emit = context.events.emit
        self._clock = context.clock
        self._next_look = self._next_mend = self._paused_at = float("-inf")
        self._mend_s = self._relapse_s = FIRST_MEND_S

    def turn(self) -> None:
        """Record what has ended, retire inputs, and check the output folder.

        Raises:
            DamagedLedgerError: The ledger cannot be used any more.
            UnavailableError: The models cannot be used any more.
        """
        self.take(self._worker.advance())
        if "output" not in self._watcher.paused:
            try:
                if self._retirement.work():
                    self._watcher.hints.wake()
            except DamagedLedgerError:
                raise
            except OutputError as error:
                self._pause(error)
        self._check_output()

    def take(self, endings: Iterable[Ending]) -> None:
        """Write endings to the ledger; those that it cannot take now are kept for the next time."""
        self._unrecorded.extend(endings)
        while self._unrecorded:
            ending = self._unrecorded.popleft()
            try:
                self._record(*ending)
            except DamagedLedgerError:
                raise
            except OutputError as error:
                self._unrecorded.appendleft(ending)
                self._pause(error)
                return

    def _record(self, work: Work, error: Exception | None) -> None:
        settled = work.settled
        if error is None:
            self._done(work)
        elif isinstance(error, KnownError):
            self._watcher.adopt(settled, work.digest)
        elif isinstance(error, LeftError | LostModelsError):
            self._watcher.give_back([settled])
            if isinstance(error.__cause__, UnavailableError):
                raise error.__cause__
        elif isinstance(error, OutputError) and work.stage == "write":
            self._hold(work, error)
        elif work.stage == "read" and not self._watcher.is_input_there():
            self._watcher.give_back([settled])
        elif work.stage == "read" and (isinstance(error, ChangedError) or _is_of_the_system(error)):
            if not self._watcher.look_again(settled):
                self._watcher.defer(settled, f"cannot read the file: {reason_of(error.__cause__ or error)}")
        elif isinstance(error, ModelError | DeviceError):  # such as a missing 16-bit file: others can go on
            self._watcher.defer(settled, reason_of(error))
        else:
            self._fault(work, error)

    def _done(self, work: Work) -> None:
        settled = work.settled
        self._finish(work, "done")
        waited = max(0.0, self._clock.time() - settled.first_seen - work.seconds)
        facts = {"seconds": round(work.seconds, 3), "waited_s": round(waited, 3), "megapixels": work.megapixels}
        together = {"together": work.together} if work.together > 1 else {}
        differing = {"options": work.changes} if work.changes else {}
        frames = {"frames": work.frames} if work.frames else {}
        unchanged = {"unchanged": work.options.unchanged} if work.is_left else {}
        if work.turn is not None and work.turn.late_s:
            message = "older than what its folder has shown: it got the light of now, and changed nothing"
            self._emit("late", path=settled.relative, behind_s=round(work.turn.late_s, 3), message=message)
        self._emit("done", path=settled.relative, **facts, **frames, **together, **unchanged, **differing)
        for warning in work.warnings:
            self._emit("note", "warning", path=settled.relative, message=warning)

    def _fault(self, work: Work, error: Exception) -> None:
        """Try again after a fault that may pass; fail the file after one that will not, or after the last attempt."""
        log.debug("%s failed", work.settled.path, exc_info=error)
        reason = reason_of(error)
        if isinstance(error, UnsupportedError | MissingExtraError):
            self._fail(work, "unsupported", reason)
            return
        stays = isinstance(error, PictureError) and not isinstance(error, DecodeError | OutOfMemoryError)
        is_incomplete = isinstance(error, DecodeError)
        if stays or not self._watcher.try_again(work.settled, reason, is_incomplete=is_incomplete):
            self._fail(work, "failed", reason)

    def _fail(self, work: Work, status: FinalStatus, reason: str) -> None:
        self._finish(work, status, reason)
        self._emit(status, "error", path=work.settled.relative, attempts=work.settled.attempts + 1, reason=reason)

    def _finish(self, work: Work, status: FinalStatus, reason: str = "") -> None:
        self._watcher.finish(
            FileOutcome(
                key=work.settled.key,
                status=status,
                finished_at=self._clock.time(),
                attempts=work.settled.attempts + 1,
                reason=reason,
                seconds=work.seconds,
                megapixels=work.megapixels,
                digest=work.digest or None,
                is_to_retire=is_to_retire(status, self._options) and not (status == "done" and work.is_to_keep),
            )
        )

    def _hold(self, work: Work, error: OutputError) -> None:
        """Keep a result until it can be written; if only its own path is the problem, defer the file instead."""
        if isinstance(error, DiskFullError) or self._is_output_faulty():
            if work.clip is None:
                self.held.append(work)
            else:  # its result is too large to be kept: it is made again
                self._watcher.give_back([work.settled])
            self._pause(error)
        else:
            self._watcher.defer(work.settled, str(error))

    def _is_output_faulty(self) -> bool:
        try:
            self._output.probe()
        except OutputError:
            return True
        return self._output.is_other()

    def _pause(self, error: OutputError) -> None:
        if "output" not in self._watcher.paused:
            now = self._clock.monotonic()
            follows = now - self._paused_at < 2 * LONGEST_RELAPSE_S
            self._relapse_s = min(2 * self._relapse_s, LONGEST_RELAPSE_S) if follows else FIRST_MEND_S
            self._paused_at, self._mend_s = now, FIRST_MEND_S
            self._next_mend = now + self._relapse_s
        self._watcher.pause("output", str(error))

    def _check_output(self) -> None:
        """Pause if the disk is short of space or the folder has gone; resume when the problem is solved."""
        now = self._clock.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            if (shortage := self._output.shortage()) is None:
                self._watcher.resume("space")
            else:
                self._watcher.pause("space", shortage)
            if self._output.is_other():
                self._pause(OutputError(f"the output folder {self._output.folder} has gone, or was replaced"))
        if "output" in self._watcher.paused and now >= self._next_mend:
            self._mend(now)

    def _mend(self, now: float) -> None:
        """Retry what could not be written; resume when nothing of it is left."""
        self._mend_s = min(2 * self._mend_s, LONGEST_MEND_S)
        self._next_mend = now + self._mend_s
        try:
            self._output.mend()
        except DamagedLedgerError:
            raise
        except OutputError as error:
            self._watcher.pause("output", str(error))
            return
        held, self.held = self.held, []
        for work in held:
            self._worker.write_again(work)
        self.take(())
        if held or self._worker.is_writing:
            self._next_mend = now + FIRST_MEND_S  # to see whether they were written
        elif not self._unrecorded:
            self._watcher.resume("output")


def _is_of_the_system(error: Exception) -> bool:
    """Tell whether an error comes from the file system; decoders raise the same type without an error number."""
    return isinstance(error, OSError) and error.errno is not None
