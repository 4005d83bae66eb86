"""Signs of life: a watcher says every few seconds that it is alive, and every hour how its folders are doing.

They come from the loop of the service itself, and not from a thread of their own: where that loop stands still, so do
they.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from lumen.errors import OutputError
from lumen.watching.context import WatchContext
from lumen.watching.ledger.folders import FolderNumbers
from lumen.watching.watcher import SIGN_S, Watcher
from lumen.watching.worker import Worker

REPORT_S = 3600.0
MOST_FOLDERS = 50  # with a line of their own


class SignsOfLife:
    """Call `turn` in every round of the loop; it acts when a sign is due."""

    def __init__(self, context: WatchContext, watcher: Watcher, worker: Worker, every_s: float = SIGN_S) -> None:
        """Take the parts; the first sign is due at once, the first report after an hour."""
        self._ledger = context.ledger
        self._emit = context.events.emit
        self._clock = context.clock
        self._watcher = watcher
        self._worker = worker
        self._every_s = min(every_s, SIGN_S)
        self._next_sign = float("-inf")
        self._next_status = float("-inf")
        self._next_report = self._clock.monotonic() + REPORT_S
        self._before: tuple[Any, ...] = ()

    def turn(self, state: str = "") -> None:
        """Give a sign if one is due: in the ledger for `--status`, and as the event `alive`."""
        now = self._clock.monotonic()
        if now < self._next_sign:
            return
        self._next_sign = now + self._every_s
        if now >= self._next_status:
            self._next_status = now + SIGN_S
            self._watcher.write_status(state)
        progress = (self._worker.progress, self._watcher.counts.total())
        with suppress(OutputError):  # the loop pauses because of it
            self._emit(
                "alive",
                "debug",
                state=state or self._watcher.state,
                progress=progress != self._before or self._watcher.has_nothing_to_do,
                waiting=self._watcher.waiting,
                **self._watcher.ended,
            )
        self._before = progress
        if now >= self._next_report:
            self._next_report = now + REPORT_S
            self.report()

    def report(self) -> None:
        """Tell the numbers of each folder; of many, those in which something arrived last."""
        try:
            folders = self._ledger.folders(self._clock.time())
        except OutputError:
            return
        shown = sorted(folders, key=lambda each: -each.last_arrival)[:MOST_FOLDERS]
        for each in sorted(shown, key=lambda each: each.name):
            self._emit("folder", path=each.name, **_facts(each))


def _facts(numbers: FolderNumbers) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "done": numbers.done,
        "failed": numbers.failed,
        "unsupported": numbers.unsupported,
        "waiting": numbers.waiting,
        "done_last_hour": numbers.done_last_hour,
    }
    with suppress(ValueError, OverflowError, OSError):
        facts["last_arrival"] = datetime.fromtimestamp(numbers.last_arrival, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if numbers.delay_s is not None:
        facts |= {"delay_s": numbers.delay_s, "longest_delay_s": numbers.longest_delay_s}
    return facts
