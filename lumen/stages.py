"""Bounded read | work | write pools: while one item is worked on, the next is read and the last is written.

`Stages` moves jobs from stage to stage. Its caller decides when the next job starts, by what the stages hold: only a
few items are in memory at once, however many jobs there are. `drive` does so for a sequence of jobs.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

TICK_S = 0.2  # after which `drive` yields None
AHEAD_BYTES = 256 << 20  # for each worker: when more is in memory, nothing further is read

J = TypeVar("J")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")
W = TypeVar("W")
Ended = tuple[J, R | Exception]


class LeftError(Exception):
    """A job was left unfinished on purpose."""


@dataclass(frozen=True, kw_only=True)
class Steps(Generic[J, I, R, W]):
    """What is done to each job.

    Attributes:
        read: Reads it.
        work: Works on one item, or on several together. Returns the result or error of each; an error that it raises
            belongs to all of them.
        write: Writes an item.
        gather: Returns which of the waiting items join the first one; none by default.
    """

    read: Callable[[J], I]
    work: Callable[[W, Sequence[I]], Sequence[I | Exception]]
    write: Callable[[I], R]
    gather: Callable[[W, I, Sequence[I]], Sequence[I]] | None = None


class Stages(Generic[J, I, R, W]):
    """Jobs in three stages: a job becomes an item when it is read, and a result when it is written.

    The methods are for one thread, except `check` and `waiting`.

    Attributes:
        begun: How many items workers have been given.
        workers: How many workers there are.
        helpers: How many jobs are read at once, and how many are written; 0 is none beside the work.
        is_leaving: Whether `leave` was called.
    """

    def __init__(
        self,
        steps: Steps[J, I, R, W],
        workers: Sequence[W],
        *,
        helpers: int = 1,
        is_behind: Callable[[], bool] | None = None,
        wake: Callable[[], None] | None = None,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        """Prepare; nothing is started.

        Args:
            steps: What is done.
            workers: Passed to `work`; each is in use once at a time.
            helpers: Threads that read, and as many that write; 0 is one of each, which its caller does not use beside
                the work.
            is_behind: Tells that no work may start, because too much is being written.
            wake: Called, on any thread, when a stage has ended and `advance` has something to do.
            interrupt: Interrupts work that does not call `check`, as far as that is possible; called by `abort` while
                something is worked on, once or repeatedly.
        """
        self.workers = len(workers)
        self.helpers = helpers
        self.is_leaving = False
        self.begun = 0
        self._steps = steps
        self._is_behind = is_behind
        self._wake = wake
        self._interrupt = interrupt
        self._abort = threading.Event()
        self._idle = deque(workers)
        self._reading: dict[Future[I], J] = {}
        self._ready: deque[tuple[J, I]] = deque()
        self._working: dict[Future[Sequence[I | Exception]], tuple[W, list[tuple[J, I]]]] = {}
        self._writing: dict[Future[R], tuple[J, I]] = {}
        self._readers = self._helper_pool("read")
        self._runners = ThreadPoolExecutor(self.workers, "work")
        self._writers = self._helper_pool("write")

    @property
    def waiting(self) -> int:
        """How many items wait for a worker."""
        return len(self._ready)

    @property
    def reading(self) -> list[J]:
        """Jobs that are being read."""
        return list(self._reading.values())

    @property
    def ready(self) -> list[I]:
        """Items that wait for a worker."""
        return [item for _, item in self._ready]

    @property
    def working(self) -> list[I]:
        """Items that are worked on."""
        return [item for _, run in self._working.values() for _, item in run]

    @property
    def writing(self) -> list[I]:
        """Items that are being written."""
        return [item for _, item in self._writing.values()]

    @property
    def inside(self) -> int:
        """How many jobs are in any stage."""
        return len(self.reading) + len(self.ready) + len(self.working) + len(self.writing)

    def submit(self, job: J) -> None:
        """Start a job."""
        self._reading[self._start(self._readers, partial(self._steps.read, job))] = job

    def submit_writing(self, job: J, item: I) -> None:
        """Start a job at its last stage."""
        self._writing[self._start(self._writers, partial(self._steps.write, item))] = (job, item)

    def begin_work(self) -> None:
        """Give idle workers the items that are ready."""
        while self._idle and self._ready and not (self._is_behind and self._is_behind()):
            worker, run = self._idle.popleft(), [self._ready.popleft()]
            if self._steps.gather is not None:
                joining = set(map(id, self._steps.gather(worker, run[0][1], self.ready)))
                run += [each for each in self._ready if id(each[1]) in joining]
                self._ready = deque(each for each in self._ready if id(each[1]) not in joining)
            self.begun += len(run)
            call = partial(self._steps.work, worker, [item for _, item in run])
            self._working[self._start(self._runners, call)] = (worker, run)

    def advance(self, wait_s: float = 0.0) -> Iterator[Ended[J, R]]:
        """Pass jobs on to their next stage, and yield each job that has ended with its result or its error.

        An interruption, such as KeyboardInterrupt, is raised. After that, or if the caller stops iterating, `close`
        still returns the jobs that were written.

        Args:
            wait_s: How long to wait for a stage if none is done.
        """
        running: list[Future[Any]] = [*self._reading, *self._working, *self._writing]
        done = wait(running, wait_s, FIRST_COMPLETED)[0] if running else set()
        for future in running:
            if future in done:
                yield from self._hand_on(future, _ending(future))

    def _hand_on(self, future: Future[Any], ending: Any) -> list[Ended[J, R]]:
        """Pass the jobs of a stage on to the next one, and return those that have ended."""
        if future in self._writing:
            return [(self._writing.pop(future)[0], ending)]
        if future in self._reading:
            job = self._reading.pop(future)
            if self.is_leaving and not isinstance(ending, Exception):
                ending = LeftError()
            if isinstance(ending, Exception):
                return [(job, ending)]
            self._ready.append((job, ending))
            return []
        worker, run = self._working.pop(future)
        self._idle.append(worker)
        ended: list[Ended[J, R]] = []
        made = [ending] * len(run) if isinstance(ending, Exception) else ending
        for (job, _), item in zip(run, made, strict=True):
            if isinstance(item, Exception):
                ended.append((job, item))
            else:
                self.submit_writing(job, item)
        return ended

    def leave(self) -> list[J]:
        """Start no more work, and return the jobs that no worker has; one that is being read ends with `LeftError`."""
        self.is_leaving = True
        left = [job for job, _ in self._ready]
        self._ready.clear()
        for future, job in list(self._reading.items()):
            if future.cancel():
                del self._reading[future]
                left.append(job)
        return left

    def abandon(self, job: J) -> Future[I]:
        """Leave a job behind that is being read and does not come back, and return its future."""
        (left,) = (future for future, each in self._reading.items() if each is job)
        del self._reading[left]
        # Its thread cannot be ended. Others take over what no thread has begun with.
        waiting = [(future, each) for future, each in self._reading.items() if future.cancel()]
        self._readers.shutdown(wait=False)
        self._readers = self._helper_pool("read")
        for future, each in waiting:
            del self._reading[future]
            self.submit(each)
        return left

    def abort(self) -> None:
        """Make workers that call `check` abort their items, and interrupt what does not."""
        self._abort.set()
        if self._interrupt is not None and not all(future.done() for future in self._working):
            self._interrupt()

    def check(self) -> None:
        """Raise `LeftError` after `abort`; workers call it now and then."""
        if self._abort.is_set():
            raise LeftError

    def close(self, *, at_once: bool = False) -> list[Ended[J, R]]:
        """End: jobs that are being written are finished and returned, the rest is dropped.

        Args:
            at_once: Do not wait, because the process is about to end.
        """
        self.abort()
        for pool in (self._readers, self._runners):
            pool.shutdown(wait=False, cancel_futures=True)
        self._writers.shutdown(wait=not at_once, cancel_futures=at_once)
        if at_once:
            return []
        while busy := [future for future in self._working if not future.done()]:
            self.abort()  # again and again: the next part of an item may have begun just before
            with suppress(TimeoutError, CancelledError):
                busy[0].exception(TICK_S)
        for pool in (self._readers, self._runners):
            pool.shutdown()
        return [(job, _ending(future)) for future, (job, _) in self._writing.items()]

    def _helper_pool(self, name: str) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max(1, self.helpers), name)

    def _start(self, pool: ThreadPoolExecutor, call: Callable[[], Any]) -> Future[Any]:
        future = pool.submit(call)
        if (wake := self._wake) is not None:
            future.add_done_callback(lambda _: wake())
        return future


def _ending(future: Future[Any]) -> Any:
    """Return what a stage returned, or its error; an interruption is raised."""
    error = future.exception()
    return error if isinstance(error, Exception) else future.result()


def few_inside(stages: Stages[Any, I, Any, Any], size: Callable[[I], int]) -> bool:
    """Tell whether another job may start: a few at a time, of large ones only one, and without helpers one of any.

    Args:
        stages: Where it would start.
        size: Returns the bytes that an item takes.
    """
    if not stages.helpers:
        return not stages.inside
    ahead = len(stages.reading) + len(stages.ready)
    if ahead >= max(stages.workers, stages.helpers) or stages.inside >= stages.workers + 2 * stages.helpers:
        return False
    return sum(map(size, [*stages.ready, *stages.working, *stages.writing])) <= AHEAD_BYTES * stages.workers


def drive(
    stages: Stages[J, I, R, W],
    jobs: Iterable[J],
    has_room: Callable[[], bool],
    *,
    short_of_memory: tuple[type[Exception], ...] = (),
) -> Iterator[Ended[J, R] | None]:
    """Yield each job that has ended with its result or its error, and None from time to time.

    After `Stages.leave` no other job starts, and jobs that were left are not yielded.

    Args:
        stages: What the jobs go through.
        jobs: In the order in which they are started; taken one by one as there is room, so there may be any number.
        has_room: Tells whether another job may start.
        short_of_memory: Errors after which a job is retried once, alone.
    """
    waiting, again = iter(jobs), deque[J]()
    is_alone = False
    while True:
        stages.begin_work()
        if stages.is_leaving:
            pass
        elif again or is_alone:
            if not stages.inside:
                stages.submit(again.popleft())
                is_alone = True
        else:
            while has_room() and (following := list(islice(waiting, 1))):
                stages.submit(*following)
        if not stages.inside:
            return
        silent = True
        for job, ending in stages.advance(TICK_S):
            is_alone = False
            if isinstance(ending, short_of_memory) and stages.inside:
                again.append(job)
            elif not isinstance(ending, LeftError):
                silent = False
                yield job, ending
        if silent:
            yield None


def in_order(ended: Iterable[tuple[int, R] | None]) -> Iterator[R]:
    """Yield the results of jobs numbered from 0 in the order of their numbers."""
    waiting: dict[int, R] = {}
    following = 0
    for each in ended:
        if each is not None:
            waiting[each[0]] = each[1]
        while following in waiting:
            yield waiting.pop(following)
            following += 1
