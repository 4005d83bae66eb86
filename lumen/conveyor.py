"""Three stages side by side: while one thing is worked on, the next is fetched and the last is put away.

Little is in memory at once, whatever the number of jobs: a few items, and of large ones only one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

TICK_S = 0.2  # how long `run` stays silent at most
AHEAD_BYTES = 256 << 20  # when more is in memory, nothing further is fetched

J = TypeVar("J", bound=Hashable)
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Stages(Generic[J, I, R]):
    """What is done to each job.

    Attributes:
        read: Fetches it.
        improve: Works on it; several workers work on several items at once.
        write: Puts it away.
        size: Bytes that an item holds.
        short_of_memory: Errors after which a job is tried once more, alone.
    """

    read: Callable[[J], I]
    improve: Sequence[Callable[[I], I]]
    write: Callable[[I], R]
    size: Callable[[I], int]
    short_of_memory: tuple[type[Exception], ...] = (MemoryError,)


class Conveyor(Generic[J, I, R]):
    """Takes jobs through the stages. `run`, `drain` and `close` are for one thread."""

    def __init__(self, jobs: Iterable[J], stages: Stages[J, I, R], *, helpers: int = 1) -> None:
        """Prepare; nothing is begun.

        Args:
            jobs: In the order in which they are begun.
            stages: What is done.
            helpers: Threads that read, and as many that write.
        """
        self._stages = stages
        self._helpers = helpers
        self._waiting = deque(jobs)
        self._alone: deque[J] = deque()  # jobs for which memory was short beside others
        self._last_try: set[J] = set()
        self._ready: deque[tuple[J, I]] = deque()
        self._idle = list(stages.improve)
        self._reading: dict[Future[Any], J] = {}
        self._improving: dict[Future[Any], tuple[J, I, Callable[[I], I]]] = {}
        self._writing: dict[Future[Any], tuple[J, I]] = {}
        self._draining = False
        self._readers = ThreadPoolExecutor(helpers, "read")
        self._workers = ThreadPoolExecutor(len(stages.improve), "improve")
        self._writers = ThreadPoolExecutor(helpers, "write")

    def run(self) -> Iterator[tuple[J, R | Exception] | None]:
        """Yield each job that has ended with its result or its error, and None from time to time."""
        while True:
            self._begin()
            running: list[Future[Any]] = [*self._reading, *self._improving, *self._writing]
            if not running:
                return
            done, _ = wait(running, TICK_S, FIRST_COMPLETED)
            for future in done:
                yield self._advance(future)
            if not done:
                yield None

    def drain(self) -> None:
        """Begin nothing more: what is worked on is finished."""
        self._draining = True

    def close(self, *, at_once: bool = False) -> list[tuple[J, R | Exception]]:
        """End: what is being written is finished and returned, the rest is dropped.

        Args:
            at_once: Wait for nothing; for a process that is about to end.
        """
        self._draining = True
        for pool in (self._readers, self._workers):
            pool.shutdown(wait=False, cancel_futures=True)
        self._writers.shutdown(wait=not at_once, cancel_futures=at_once)
        if at_once:
            return []
        for pool in (self._readers, self._workers):
            pool.shutdown()
        return [(job, _ending(future)) for future, (job, _) in self._writing.items()]

    def _begin(self) -> None:
        """Begin what can be begun."""
        if self._draining:
            return
        while self._ready and self._idle:
            job, item = self._ready.popleft()
            improve = self._idle.pop(0)
            self._improving[self._workers.submit(improve, item)] = (job, item, improve)
        while (following := self._next()) is not None:
            self._reading[self._readers.submit(self._stages.read, following)] = following

    def _next(self) -> J | None:
        """Return the job to fetch now, None while there is none or no room."""
        inside = self._inside()
        if self._alone or self._last_try:
            if inside or not self._alone:
                return None
            self._last_try.add(self._alone[0])
            return self._alone.popleft()
        ahead = len(self._reading) + len(self._ready)
        workers = len(self._stages.improve)
        room = ahead < max(workers, self._helpers) and inside < workers + 2 * self._helpers
        if not self._waiting or not room or (inside and self._bytes() > AHEAD_BYTES):
            return None
        return self._waiting.popleft()

    def _inside(self) -> int:
        return len(self._reading) + len(self._ready) + len(self._improving) + len(self._writing)

    def _bytes(self) -> int:
        ready = [item for _, item in self._ready]
        improving = [item for _, item, _ in self._improving.values()]
        writing = [item for _, item in self._writing.values()]
        return sum(map(self._stages.size, [*ready, *improving, *writing]))

    def _advance(self, future: Future[Any]) -> tuple[J, R | Exception] | None:
        """Hand on what a stage has done; return the job if it has ended."""
        ending = _ending(future)
        if future in self._writing:
            job, _ = self._writing.pop(future)
            return self._end(job, ending)
        if future in self._improving:
            job, _, improve = self._improving.pop(future)
            self._idle.append(improve)
            if isinstance(ending, Exception):
                return self._end(job, ending)
            self._writing[self._writers.submit(self._stages.write, ending)] = (job, ending)
            return None
        job = self._reading.pop(future)
        if isinstance(ending, Exception):
            return self._end(job, ending)
        self._ready.append((job, ending))
        return None

    def _end(self, job: J, ending: R | Exception) -> tuple[J, R | Exception] | None:
        short = isinstance(ending, self._stages.short_of_memory)
        if short and self._inside() and job not in self._last_try:
            self._alone.append(job)
            return None
        self._last_try.discard(job)
        return job, ending


def _ending(future: Future[Any]) -> Any:
    """Return what a stage returned or raised; what is no `Exception`, such as an interruption, is raised."""
    error = future.exception()
    return error if isinstance(error, Exception) else future.result()
