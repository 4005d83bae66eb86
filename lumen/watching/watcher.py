"""The watcher: yields settled files in order, and records in the ledger what became of them."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from lumen.errors import OutputError
from lumen.watching.context import WatchContext
from lumen.watching.ledger.binding import Binding
from lumen.watching.ledger.ledger import SUSPECT_AFTER, FileOutcome, Row
from lumen.watching.ledger.schema import DamagedLedgerError
from lumen.watching.observing.hints import Hints
from lumen.watching.observing.observer import Observe, observe
from lumen.watching.observing.supervisor import CHECK_S, Supervisor
from lumen.watching.retire import is_to_retire
from lumen.watching.scanner import Scanner
from lumen.watching.versions import Settled

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
SHORTEST_DEFERRAL_S, LONGEST_DEFERRAL_S = 10.0, 600.0
SHORTEST_NAP_S = 0.2  # while a due file cannot be started yet
MOST_INTERRUPTIONS = 100  # a file that was in work each time the process ended so often is given up
MOST_LINES = 10  # of one kind at once; beyond that only their number is reported
SIGN_S = 10.0  # between two signs of life


class Watcher:
    """Yields settled files, and records what became of them. For one thread, except `stop`.

    Attributes:
        hints: Where to look next.
        paused: Why no file is started, by the part that asked for the pause.
        counts: Files ended since the start, by status.
    """

    def __init__(
        self,
        context: WatchContext,
        result_path: Callable[[str], str],
        *,
        hints: Hints | None = None,
        begin: Observe = observe,
    ) -> None:
        """Prepare; nothing is scanned yet.

        Args:
            context: What all parts share.
            result_path: Returns the path of a result below the output folder, given that of its file.
            hints: Where to look next; its `wake` ends the wait between two rounds.
            begin: Starts an observer.
        """
        self.hints = hints or Hints()
        self.paused: dict[str, str] = {}
        self._tree = context.tree
        self._ledger = context.ledger
        self._options = context.options
        self._result_path = result_path
        self._emit = context.events.emit
        self._clock = context.clock
        self._supervisor = Supervisor(context, self.hints, begin=begin)
        self._binding = Binding(context.ledger, context.tree, context.events, context.options.moved_from)
        self._scanner = Scanner(context, self.hints, self._supervisor)
        self.counts: Counter[str] = Counter()
        self._working: dict[int, Row] = {}
        self._deferred: set[int] = set()  # only with `oneshot`, which ends without them
        self._is_stopped = False
        self._scans_noted = 0
        self._started_at = self._clock.time()

    def files(self, room: Callable[[], int]) -> Iterator[Settled | None]:
        """Yield files to process, and None whenever there are no more for now; then wait for the next.

        Ends after `stop`, and with `oneshot` when every file is finished.

        Args:
            room: Returns how many files can be started now.

        Raises:
            DamagedLedgerError: The ledger can no longer be used.
        """
        try:
            while not self._is_stopped:
                taken: list[Settled] = []
                nap = CHECK_S
                with self._pausing():
                    self._look()
                    count = 0 if self.paused or self._is_stopped else room()
                    taken = self._take(count) if count > 0 else []
                yield from taken
                yield None
                with self._pausing():
                    if self._options.oneshot and self._is_over():
                        return
                    nap = self._nap_s(has_room=room() > 0)
                self.hints.wait(nap)
        finally:
            self._scanner.cancel_scan()
            self._supervisor.stop()

    def stop(self) -> None:
        """End `files`; may be called from other threads and from signal handlers."""
        self._is_stopped = True
        self.hints.wake()

    # Pausing

    def pause(self, key: str, reason: str) -> None:
        """Start no file until `resume` is called for the same key."""
        is_news = key not in self.paused
        self.paused[key] = reason
        if is_news:
            self._scanner.cancel_scan()
            self._emit("paused", "warning", reason=reason)
            self.write_status()

    def resume(self, key: str) -> None:
        """End a pause."""
        if self.paused.pop(key, None) is not None and not self.paused:
            self._emit("resumed", "warning", waiting=self.waiting, message="work continues")
            self._scanner.request_scan()
            self.write_status()
            self.hints.wake()

    def write_status(self, state: str = "") -> None:
        """Record the state of the watcher for `--status`, if the ledger can be written."""
        with suppress(OutputError):
            self._ledger.write_facts(
                state=state or self.state,
                reason="; ".join(self.paused.values()),
                settling=self._scanner.settling,
                input=str(self._tree.root),
                pid=os.getpid(),
                host=platform.node(),
                oneshot=self._options.oneshot,
                started_at=self._started_at,
                noted_at=self._clock.time(),
                sign_s=SIGN_S,
            )

    @property
    def settling(self) -> int:
        """How many files have yet to settle."""
        return self._scanner.settling

    @property
    def state(self) -> str:
        """`watching` or `paused`."""
        return "paused" if self.paused else "watching"

    @property
    def ended(self) -> dict[str, int]:
        """How many files were done, failed or unsupported since the start."""
        return {status: self.counts[status] for status in ("done", "failed", "unsupported")}

    @property
    def waiting(self) -> int:
        """How many files wait, settle or are in work; of the ledger 0 while it cannot be read."""
        unfinished = 0
        with suppress(OutputError):
            unfinished = self._ledger.unfinished()
        return unfinished + self._scanner.settling

    @property
    def has_nothing_to_do(self) -> bool:
        """Whether no file is in work and none could be started now."""
        return bool(self.paused) or not (self._working or self._next(1))

    def is_input_there(self) -> bool:
        """Check that the watched folder still exists and is the same."""
        before = self._tree.identity
        self._check_input(now=True)
        return "input" not in self.paused and self._tree.identity == before

    # What became of a file

    def finish(self, outcome: FileOutcome) -> None:
        """Record the end of a file."""
        self._ledger.finish(outcome)
        self.counts[outcome.status] += 1
        self._working.pop(outcome.key, None)

    def try_again(self, settled: Settled, reason: str, *, is_incomplete: bool) -> bool:
        """Schedule another attempt, at growing intervals; return False after the last one.

        Args:
            settled: The file.
            reason: Why this attempt failed.
            is_incomplete: It may still be uploading: its last attempt comes `incomplete_timeout_s` after its first.
                Otherwise it is tried again soon.
        """
        now, attempts = self._clock.time(), settled.attempts + 1
        left = self._options.retries - attempts
        if left < 1:
            return False
        if is_incomplete:  # of five attempts: an eighth of the time, another eighth, a quarter, a half
            wait = self._options.incomplete_timeout_s / 2 ** (left if attempts > 1 else left - 1)
            wait = max(wait, self._options.settle_s)
        else:
            wait = min(FIRST_RETRY_S * 2 ** (attempts - 1), LONGEST_RETRY_S)
        self._ledger.retry(settled.key, now + wait, attempts=attempts, reason=reason)
        self._working.pop(settled.key, None)
        facts = {"attempt": attempts, "of": self._options.retries, "again_in_s": round(wait, 1)}
        self._emit("retry", "warning", path=settled.relative, **facts, reason=reason)
        return True

    @property
    def deferred(self) -> int:
        """With `oneshot`, how many files are left for another run."""
        return len(self._deferred)

    def defer(self, settled: Settled, reason: str) -> None:
        """Schedule a file for later without counting an attempt: the problem is not the file."""
        now = self._clock.time()
        wait = min(max((now - settled.first_seen) / 2, SHORTEST_DEFERRAL_S), LONGEST_DEFERRAL_S)
        self._ledger.retry(settled.key, now + wait, attempts=settled.attempts, reason=reason)
        self._working.pop(settled.key, None)
        if self._options.oneshot:
            self._deferred.add(settled.key)
        if settled.reason != reason:  # reported once, not every time
            self._emit("deferred", "warning", path=settled.relative, again_in_s=round(wait, 1), reason=reason)

    def adopt(self, settled: Settled, digest: bytes) -> None:
        """Treat a file as the finished version that has the same content."""
        self._ledger.adopt(settled.key, digest)
        self._working.pop(settled.key, None)
        self._emit("known", "debug", path=settled.relative)

    def look_again(self, settled: Settled) -> bool:
        """Let a file settle again if it changed or went since; return False if it is unchanged."""
        try:
            version = self._tree.look(settled.relative)
        except OSError:
            return False
        if version == settled.version:
            return False
        self._ledger.forget([settled.key])
        self._working.pop(settled.key, None)
        self._scanner.see(settled.relative, version)
        if version is None:
            self._emit("gone", path=settled.relative, message="removed while it was read")
        else:
            self._emit("changed", "debug", path=settled.relative)
        return True

    def give_back(self, files: Sequence[Settled]) -> None:
        """Let files wait again as if they had not been started."""
        self._ledger.give_back([settled.key for settled in files])
        for settled in files:
            self._working.pop(settled.key, None)

    # One round

    @contextmanager
    def _pausing(self) -> Iterator[None]:
        """Pause if the ledger cannot be written; the part that resumes checks that it can."""
        try:
            yield
        except DamagedLedgerError:
            raise
        except OutputError as error:
            self.pause("output", str(error))

    def _look(self) -> None:
        self._check_input()
        if "input" in self.paused:
            self._scanner.take_hints(look=False)
            return
        # Also while the output is full or away: what arrives meanwhile is counted, and waits in the ledger.
        try:
            self._scanner.look()
        except OSError as error:
            self._supervisor.mark_absent(error)
            self._check_input()
        if self._scanner.scans > self._scans_noted:
            self._scans_noted = self._scanner.scans
            self.write_status()

    def _check_input(self, *, now: bool = False) -> None:
        self._supervisor.check(now=now)
        absence = self._supervisor.absence
        if absence is None:
            absence = self._binding.refusal()  # a link that leads elsewhere now
        if absence is None:
            self.resume("input")
        else:
            self.pause("input", absence)

    def _take(self, count: int) -> list[Settled]:
        """Return at most `count` files to process, marked as in work."""
        if any(row.interruptions >= SUSPECT_AFTER for row in self._working.values()):
            return []  # a suspect is processed alone
        rows = [row for row in self._next(count + len(self._working)) if self._may_begin(row)]
        rows = self._still_there(rows[:count])
        owned = self._ledger.begin({row.key: (row.relative, self._result_path(row.relative)) for row in rows})
        self._deferred.difference_update(row.key for row in rows)
        taken = []
        for row in rows:
            settled = self._settled(row)
            if row.key in owned:
                self._refuse(settled, f"its result already belongs to {owned[row.key]}; use another --format or name")
            elif row.interruptions >= MOST_INTERRUPTIONS:
                self._refuse(settled, f"lumen ended {row.interruptions} times while it worked on this file")
            else:
                self._working[row.key] = row
                taken.append(settled)
        if len(taken) < len(rows):
            self.hints.wake()  # there is room for more at once
        return taken

    def _next(self, count: int) -> list[Row]:
        return self._ledger.next(
            count,
            self._clock.time(),
            newest=self._options.order == "newest",
            longest_wait_s=max(self._options.incomplete_timeout_s, LONGEST_DEFERRAL_S),
        )

    def _may_begin(self, row: Row) -> bool:
        """Tell whether a file may be started: one version of a name at a time, and a suspect only alone."""
        if any(row.relative == other.relative for other in self._working.values()):
            return False
        if self._options.steady and self._scanner.waits_for_older(row.relative, row.version, row.first_seen):
            return False
        return row.interruptions < SUSPECT_AFTER or not self._working

    def _still_there(self, rows: Sequence[Row]) -> list[Row]:
        """Return the versions that are unchanged; those that went or changed leave the ledger."""
        kept, gone, unreadable = [], [], []
        for row in rows:
            try:
                version = self._tree.look(row.relative, row.version) if self._tree.wants(row.relative) else None
            except OSError as error:
                unreadable.append((row, error))
                continue
            if version == row.version:
                kept.append(row)
            else:
                gone.append((row, version))
        if (gone or unreadable) and not self.is_input_there():
            return []  # the whole folder has gone, not these files
        for row, fault in unreadable:
            self.defer(self._settled(row), f"cannot look at the file: {fault.strerror or fault}")
        if gone:
            self._ledger.forget([row.key for row, _ in gone])
            self.hints.wake()  # the next can be started at once
        for row, version in gone:
            self._scanner.see(row.relative, version)
        lost = [row for row, version in gone if version is None]
        for row in lost if len(lost) <= MOST_LINES else ():
            self._emit("gone", path=row.relative, message="removed before it was processed")
        if len(lost) > MOST_LINES:
            self._emit("gone", files=len(lost), message="removed before they were processed")
        return kept

    def _settled(self, row: Row) -> Settled:
        return Settled(
            key=row.key,
            path=self._tree.path(row.relative),
            relative=row.relative,
            version=row.version,
            attempts=row.attempts,
            first_seen=row.first_seen,
            reason=row.reason,
            known_digests=self._ledger.known_digests(row.relative, row.version),
        )

    def _refuse(self, settled: Settled, reason: str) -> None:
        self.finish(
            FileOutcome(
                key=settled.key,
                status="failed",
                finished_at=self._clock.time(),
                attempts=settled.attempts + 1,
                reason=reason,
                is_to_retire=is_to_retire("failed", self._options),
            )
        )
        self._emit("failed", "error", path=settled.relative, reason=reason)

    def _is_over(self) -> bool:
        if self._working or self.paused or not self._scanner.has_seen_all:
            return False
        return self._ledger.unfinished() <= len(self._deferred)

    def _nap_s(self, *, has_room: bool) -> float:
        """Return how long nothing has to be done if no hint arrives."""
        if self.paused or self._is_stopped:
            return CHECK_S
        nap = min(CHECK_S, self._scanner.nap_s())
        due = self._ledger.next_due() if has_room else None
        if due is not None:
            nap = min(nap, max(SHORTEST_NAP_S, due - self._clock.time()))
        return nap
