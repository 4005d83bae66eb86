"""Writes the page and the metrics of a watcher every few seconds, from a thread of its own.

The loop of the service only leaves its signs of life, frames, and takes what is to be told. So a disk that hangs below
the page holds up no picture, and a loop that hangs is seen on the page.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from lumen.errors import OutputError, reason_of
from lumen.watching.context import WatchContext
from lumen.watching.ledger.status import WatchStatus, read_status, reading
from lumen.watching.monitoring.frames import Frame, LastFrames
from lumen.watching.monitoring.last_day import LastDay
from lumen.watching.monitoring.metrics import metrics_text
from lumen.watching.monitoring.shown_file import ShownFile
from lumen.watching.monitoring.snapshot import Disk, Sign, Snapshot
from lumen.watching.watcher import Watcher
from lumen.watching.work import Work

log = logging.getLogger(__name__)

TURN_S: Final = 10.0
SHARE: Final = 20  # a turn that takes long is followed by a longer pause: at most a twentieth of the time is spent
LONGEST_TURN_S: Final = 100.0
CLOSE_S: Final = 5.0


class Monitor:
    """Shows a watcher in files, if it is asked to. Its methods are for the thread of the watcher."""

    def __init__(self, context: WatchContext, watcher: Watcher) -> None:
        """Prepare; nothing is written yet.

        Args:
            context: What all parts share; its options say which files are wanted.
            watcher: What is shown.
        """
        self._options = context.options
        self._events = context.events
        self._clock = context.clock
        self._watcher = watcher
        self._input = context.tree.root
        self._frames, self._day = LastFrames(), LastDay()
        self._status: WatchStatus | None = None
        self._news: SimpleQueue[Callable[[], None]] = SimpleQueue()  # to be told by the thread of the watcher
        self._closing = threading.Event()
        self._sign = self._look_at_watcher("")
        self._files: list[tuple[ShownFile, Callable[[Snapshot, ShownFile, bool], None]]] = []
        if self._options.page is not None:
            self._files.append((ShownFile(self._options.page, partial(self._report, "page")), self._write_page))
        if self._options.metrics is not None:
            file = ShownFile(self._options.metrics, partial(self._report, "metrics"))
            self._files.append((file, self._write_metrics))
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    @property
    def wants_frames(self) -> bool:
        """Whether pictures are shown."""
        return self._options.page is not None

    def start(self) -> None:
        """Begin to write."""
        if self._files:
            self._thread.start()

    def turn(self, state: str = "") -> None:
        """Leave a sign of life, and tell what there is to tell; `state` is that of the watcher if not given."""
        self._sign = self._look_at_watcher(state)
        with suppress(Empty):
            while True:
                self._news.get_nowait()()

    def show(self, work: Work) -> None:
        """Show a picture that is done."""
        if work.pair is not None:
            before, after = work.pair
            self._frames.add(Frame(path=work.settled.relative, at=self._clock.time(), before=before, after=after))

    def close(self) -> bool:
        """Write everything once more, and return whether the thread has ended."""
        if not self._thread.is_alive():
            return True
        self.turn("stopped")
        self._closing.set()
        self._thread.join(CLOSE_S)
        self.turn("stopped")
        return not self._thread.is_alive()

    def _look_at_watcher(self, state: str) -> Sign:
        watcher = self._watcher
        return Sign(
            at=self._clock.time(),
            state=state or watcher.state,
            paused=dict(watcher.paused),
            settling=watcher.settling,
        )

    def _report(self, name: str, reason: str | None) -> None:
        """Have it told that a file cannot be written, or can again."""
        path = str(self._options.page if name == "page" else self._options.metrics)
        if reason is not None:
            self._news.put(lambda: self._events.emit("unshown", "warning", path=path, reason=reason))
        else:
            self._news.put(lambda: self._events.emit("shown", path=path, message="it is written again"))

    # On the thread of its own

    def _run(self) -> None:
        for file, _ in self._files:
            file.clean()
        if self._options.page is not None:
            self._frames.restore(self._options.page, self._home)
        is_last = False
        while not is_last:
            is_last = self._closing.is_set()
            started = self._clock.monotonic()
            seen = self._snapshot()
            if seen is not None:
                self._write(seen, at_once=is_last)
            if not is_last:
                pause = min(SHARE * (self._clock.monotonic() - started), LONGEST_TURN_S)
                self._closing.wait(max(TURN_S, pause))

    def _write(self, seen: Snapshot, *, at_once: bool) -> None:
        for file, write in self._files:
            try:
                write(seen, file, at_once)
            except Exception as error:  # whatever it is, pictures go on
                log.debug("cannot make %s", file.path, exc_info=error)
                file.fail(reason_of(error))

    def _snapshot(self) -> Snapshot | None:
        """Return the watcher at this moment, with what the ledger said last; None if that never could be read."""
        now, output, is_current = self._clock.time(), self._options.output, True
        try:
            self._status = read_status(output, now)
            with reading(output) as (database, _):
                self._day.update(database, now)
        except OutputError:
            is_current = False  # its disk is away, or it is being written; the watcher tells why
        if self._status is None:
            return None
        return Snapshot(
            now=now,
            input=self._input,
            output=output,
            sign=self._sign,
            status=self._status,
            is_current=is_current,
            day=self._day.parts(now),
            disk=Disk.of(output),
        )

    def _write_metrics(self, seen: Snapshot, file: ShownFile, at_once: bool) -> None:
        text = metrics_text(seen)
        file.write(text, lambda: text, self._clock.monotonic(), at_once=at_once)

    def _write_page(self, seen: Snapshot, file: ShownFile, at_once: bool) -> None:
        from lumen.watching.monitoring.page import page_values, watch_page  # with the library of templates

        frames = self._frames.shown()
        values = page_values(seen, frames)
        render = partial(watch_page, values, self._frames.kept(self._home), seen.now)
        file.write(values, render, self._clock.monotonic(), at_once=at_once)

    @property
    def _home(self) -> str:
        """The output folder, as a page names it."""
        return str(Path(self._options.output).absolute())
