"""Jobs for the workers of a cluster, in small blocks: few are there at once, and those of a lost worker go again."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from secrets import token_hex
from typing import Any, Generic, TypeVar

from lumen.cluster.connection import Cluster
from lumen.cluster.nodes import Expected, check_nodes, fault_of
from lumen.cluster.shipping import ShippedModel
from lumen.cluster.worker import BlockEnding, Parcel, Sessions, open_session, work_on
from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.tile_size import window_px
from lumen.errors import PictureError, UnavailableError
from lumen.runtime.protocols import Model
from lumen.stages import AHEAD_BYTES, TICK_S, Ended

BLOCK_JOBS = 8  # what `benchmarks/stragglers.py` shows to lose little either way
BLOCKS_PER_WORKER = 2  # one is worked on while the next one waits there
MAX_RETRIES = 3  # of a job whose worker was lost while it had nothing else to do
CLOSE_S = 30.0
_GPU_HOST_BYTES = 2 << 30  # what the libraries of a GPU take

log = logging.getLogger(__name__)

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class _Block(Generic[J]):
    """Jobs that one worker does one after the other, and how many workers were lost with the only job of a block."""

    jobs: tuple[J, ...]
    losses: int = 0


class Blocks(Generic[J, R]):
    """Works on jobs in a cluster; for one thread.

    Attributes:
        worker: How each worker runs a model.
    """

    def __init__(
        self, cluster: Cluster, options: RuntimeOptions, lost: Callable[[Sequence[J]], object] = lambda _: None
    ) -> None:
        """Take the cluster, what a worker is like, and what is called with the jobs of each worker that is lost."""
        self._cluster = cluster
        self._tell_lost = lost
        self._needs = cluster.needs_of(options)
        self.worker = replace(options, threads=self._needs.cpus)
        # Ray itself waits in ways that lose what a signal raises; Python waits for its futures.
        self._running: dict[Future[BlockEnding[R]], tuple[Any, _Block[J]]] = {}  # with what Ray knows the task by
        self._again: deque[_Block[J]] = deque()
        self._waiting: deque[J] = deque()  # taken from the jobs, and in no block yet
        self._told: set[str] = set()
        self._is_leaving = False

    def open(self, sessions: Sessions[J, R], models: tuple[ShippedModel, ...], expected: Expected) -> Mapping[str, Any]:
        """Look at every node, then open a session in one worker, and return its facts.

        Raises:
            UnavailableError: A node lacks something, or no node is large enough.
            UsageError: A node does not see a file, or the model cannot follow the options.
        """
        import ray

        check_nodes(self._cluster, expected)
        self._parcel = ray.put(Parcel(key=token_hex(8), sessions=sessions, models=models, expected=expected))
        opening = ray.remote(max_retries=MAX_RETRIES, **self._needs.as_options())(open_session)
        answer = opening.remote(self._parcel).future()
        self._cluster.wait_for_room(self._needs)  # with a task that waits, a cluster grows
        try:
            facts, memory = answer.result()
        except ray.exceptions.RayTaskError as error:
            raise fault_of(error, "a node") from error
        except ray.exceptions.RayError as error:
            raise UnavailableError(
                f"no worker of the Ray cluster could open the model: {_first_line(error)}"
            ) from error
        largest = max((node.resources.get("memory", 0.0) for node in self._cluster.nodes()), default=0.0)
        self._needs = replace(self._needs, memory=int(min(memory, largest)))
        return facts  # type: ignore[no-any-return]

    def run(self, jobs: Iterator[J]) -> Iterator[Ended[J, R] | None]:
        """Yield each job that has ended with its result or its error, and None from time to time.

        Jobs are taken as there is room for them. After `leave` no other is taken, and those that were left are not
        yielded.
        """
        import ray

        self._task = ray.remote(max_retries=0, **self._needs.as_options())(work_on)
        while True:
            if not self._is_leaving:
                self._submit(jobs)
            if not self._running:
                return
            silent = True
            for ended in self._collect(TICK_S):
                silent = False
                yield ended
            if silent:
                yield None

    def leave(self) -> None:
        """Give back the blocks that wait, and let workers finish the jobs that they have begun with."""
        if not self._is_leaving:
            self._is_leaving = True
            self._cancel()

    def close(self, *, at_once: bool = False) -> list[Ended[J, R]]:
        """End: return jobs that were still finished; workers drop what they are not writing."""
        self._is_leaving = True
        ended: list[Ended[J, R]] = []
        deadline = time.monotonic() + CLOSE_S
        while self._running and not at_once and time.monotonic() < deadline:
            self._cancel()  # again: the first time, a worker only begins with nothing else
            ended += self._collect(TICK_S)
        return ended

    def _submit(self, jobs: Iterator[J]) -> None:
        """Keep every worker busy."""
        workers = self._cluster.workers(self._needs)
        if not workers:
            self._tell("no node of the Ray cluster has room for a worker at this time; waiting for one")
        room = BLOCKS_PER_WORKER * max(1, workers)
        while len(self._running) < room and (block := self._next_block(jobs, room)).jobs:
            answer = self._task.remote(self._parcel, block.jobs)
            self._running[answer.future()] = (answer, block)

    def _next_block(self, jobs: Iterator[J], room: int) -> _Block[J]:
        """Return the next block, the smaller the fewer jobs there are left, so that all workers end together.

        What a worker must do as one, such as the pictures of a sequence, would be one job here.
        """
        if self._again:
            return self._again.popleft()
        self._waiting.extend(islice(jobs, max(0, room * BLOCK_JOBS - len(self._waiting))))
        count = max(1, len(self._waiting) // room)
        return _Block(jobs=tuple(self._waiting.popleft() for _ in range(min(count, len(self._waiting)))))

    def _collect(self, wait_s: float) -> Iterator[Ended[J, R]]:
        """Yield the jobs of blocks that have ended."""
        for future in wait(self._running, wait_s, FIRST_COMPLETED).done:
            _, block = self._running.pop(future)
            yield from self._ended(block, future)

    def _ended(self, block: _Block[J], future: Future[BlockEnding[R]]) -> Iterator[Ended[J, R]]:
        from ray.exceptions import RayError, RayTaskError, RuntimeEnvSetupError, TaskCancelledError

        try:
            ending = future.result()
        except TaskCancelledError:
            return
        except RayTaskError as error:
            raise fault_of(error, "a node") from error
        except RuntimeEnvSetupError as error:
            raise UnavailableError(f"a node of the Ray cluster cannot be set up: {_first_line(error)}") from error
        except RayError as error:
            yield from self._lost(block, error)
            return
        for warning in ending.warnings:
            self._tell(warning)
        for number, each in ending.endings:
            yield block.jobs[number], each

    def _lost(self, block: _Block[J], error: Exception) -> Iterator[Ended[J, R]]:
        """Do the jobs of a lost worker again, each alone, so that one that ends its worker takes no other with it."""
        self._tell_lost(block.jobs)
        log.info("a worker of the Ray cluster was lost with %d files, which go again: %s", len(block.jobs), error)
        if len(block.jobs) > 1:
            self._again.extend(_Block(jobs=(job,)) for job in block.jobs)
        elif block.losses < MAX_RETRIES:
            self._again.append(replace(block, losses=block.losses + 1))
        else:
            reason = f"{block.losses + 1} workers were lost while they worked on it: {_first_line(error)}"
            yield block.jobs[0], PictureError(reason)

    def _cancel(self) -> None:
        import ray

        for answer, _ in self._running.values():
            with suppress(ray.exceptions.RayError, ValueError):  # it has just ended
                ray.cancel(answer, force=False)

    def _tell(self, warning: str) -> None:
        """Warn of what workers warned of, once: many say the same."""
        if warning not in self._told:
            self._told.add(warning)
            log.warning("%s", warning)


def memory_of(model: Model, variants: Collection[EnhanceOptions]) -> int:
    """Return the bytes that a worker takes at most: the largest window, and the pictures around it."""
    if model.device.kind != "cpu":
        return _GPU_HOST_BYTES + AHEAD_BYTES
    if model.spec.whole:
        return model.budget_bytes
    return max(window_px(model, each) ** 2 * model.spec.bytes_per_px for each in variants) + AHEAD_BYTES


def _first_line(error: Exception) -> str:
    return next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
