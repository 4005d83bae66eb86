"""Planning ahead: while the first pictures are worked on, the rest is planned by other threads, and so counted.

What is planned waits in a packed form of a few bytes a file. A small run is planned to its end before its first
picture, so all that is refused is refused before anything is done; a large one begins after `HEAD_START_S`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

from lumen.batch.block import Block
from lumen.batch.packed_queue import PackedQueue
from lumen.batch.plan import Plan
from lumen.batch.skipping import ToDo

HEAD_START_S = 2.0
LEAVE_S = 5.0  # for the folder that is being listed
TICK_S = 0.05


class Ahead:
    """Plans on a thread of its own, and sorts on another, for the length of a `with` block.

    Attributes:
        files: How many files were found so far.
        pending: How many of them were sorted so far and need work.
        pending_clips: How many of those are clips.
        is_planned: Whether `files` is all.
        is_sorted: Whether `pending` is all.
    """

    def __init__(self, plan: Plan, sort: Callable[[Block], Iterator[ToDo]], *, whole: bool = False) -> None:
        """Take the plan and how its blocks are sorted.

        Args:
            plan: The plan.
            sort: Says what is to be done with a block; not called before `wait_for_sorted`, when the output is locked.
            whole: Wait for the end before the first picture, however long it takes.
        """
        self.files = self.pending = self.pending_clips = 0
        self.is_planned = self.is_sorted = False
        self._plan, self._sort = plan, sort
        self._whole = whole
        self._found, self._todo = PackedQueue[Block](), PackedQueue[ToDo]()
        self._is_over = threading.Event()
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._catching, args=(work,), name=name, daemon=True)
            for name, work in (("plan", self._plan_all), ("sort", self._sort_all))
        ]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(LEAVE_S)  # unless a disk does not answer

    def wait_for_plan(self, is_ending: Callable[[], bool]) -> None:
        """Wait until all is planned, or for the head start and the first block.

        Args:
            is_ending: Tells that there is no need to wait any longer.

        Raises:
            LumenError: What planning raises.
        """
        self._wait(lambda: self.is_planned, lambda: bool(self.files), is_ending)

    def wait_for_sorted(self, is_ending: Callable[[], bool]) -> None:
        """Begin to sort, and wait as `wait_for_plan` does; raises also what sorting raises."""
        self._threads[1].start()
        self._wait(lambda: self.is_sorted, lambda: True, is_ending)

    def take(self) -> ToDo | None:
        """Return what is to be done next, or None if that is not known yet, or nothing is left.

        Raises:
            LumenError: What planning and sorting raise, as soon as they do.
        """
        self._raise()
        return self._todo.take()

    def _catching(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised where the pictures are worked on
            self._error = error

    def _plan_all(self) -> None:
        for block in self._plan.blocks:
            if self._is_over.is_set():
                return
            self._found.put(block, len(block))
            self.files += len(block)
        self.is_planned = True

    def _sort_all(self) -> None:
        while not self._is_over.is_set():
            is_end, block = self.is_planned, self._found.take()
            if block is not None:
                for todo in self._sort(block):
                    self.pending += todo.pending
                    self.pending_clips += todo.pending_clips
                    self._todo.put(todo, len(todo.block))
            elif is_end:
                self.is_sorted = True
                return
            else:
                self._is_over.wait(TICK_S)

    def _wait(self, is_all: Callable[[], bool], is_enough: Callable[[], bool], is_ending: Callable[[], bool]) -> None:
        started = time.monotonic()
        while not is_all():
            self._raise()
            is_time = not self._whole and time.monotonic() - started > HEAD_START_S
            if is_ending() or (is_time and is_enough()):
                return
            time.sleep(TICK_S / 10)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
