"""What runs in the worker processes of a cluster: a session is opened once in each, then it works on blocks of jobs."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from lumen.cluster.nodes import Expected
from lumen.cluster.shipping import ShippedModel
from lumen.config import RuntimeOptions
from lumen.errors import LumenError, PictureError, reason_of
from lumen.runtime.memory import return_freed_memory

J = TypeVar("J")
R = TypeVar("R")
Numbered = tuple[int, R | Exception]  # how a job of a block ended, by its number there
J_contra = TypeVar("J_contra", contravariant=True)


class WorkerSession(Protocol[J_contra, R]):
    """What works on jobs in one process, with its models open."""

    def facts(self) -> Mapping[str, Any]:
        """Return which model makes the results, as JSON values; nothing without a model."""

    def memory(self) -> int:
        """Return the bytes that the work on pictures takes at most, beside its GPU."""

    def run(self, jobs: Sequence[J_contra]) -> Iterator[Numbered[R] | None]:
        """Yield the number of each job that has ended with its result or its error, and None from time to time."""

    def leave(self) -> None:
        """Finish what is worked on, and leave the other jobs; may be called repeatedly."""

    def close(self) -> list[Numbered[R]]:
        """End a run: return the jobs that were still finished and not yielded, and drop the rest."""


class Sessions(Protocol[J_contra, R]):
    """Opens a session in a worker process; it is pickled."""

    def open(self, options: Sequence[RuntimeOptions]) -> WorkerSession[J_contra, R]:
        """Open one, with the models as they lie on this machine; raises `LumenError`."""


@dataclass(frozen=True, kw_only=True)
class Parcel(Generic[J, R]):
    """What a worker process needs before its first block.

    Attributes:
        key: Tells the parcels of several runs apart.
        sessions: Opens the session.
        models: The models of the session.
        expected: What its machine must have.
    """

    key: str
    sessions: Sessions[J, R]
    models: tuple[ShippedModel, ...]
    expected: Expected


@dataclass(frozen=True, kw_only=True)
class BlockEnding(Generic[R]):
    """What became of the jobs of a block, by their numbers in it; those that were left are missing.

    Attributes:
        endings: A result or an error for each.
        warnings: What lumen warned of meanwhile.
    """

    endings: tuple[Numbered[R], ...]
    warnings: tuple[str, ...]


# The session of this process: a worker of Ray serves one run, and its tasks one after the other.
_opened: dict[str, WorkerSession[Any, Any]] = {}


def open_session(parcel: Parcel[Any, Any]) -> tuple[Mapping[str, Any], int]:
    """Open the session of this process, and return the facts about its model and the memory that it takes.

    Raises:
        LumenError: This machine lacks something.
    """
    session = _session_of(parcel)
    return session.facts(), session.memory()


def work_on(parcel: Parcel[J, R], jobs: Sequence[J]) -> BlockEnding[R]:
    """Work on a block of jobs.

    The first interrupt, by which Ray cancels a task, leaves the jobs that are not begun with; the second one all that
    are not being written. Raises `LumenError` if this machine lacks something.
    """
    with _heard_warnings() as warnings, _Interrupts() as interrupts:
        endings = tuple((number, _plain(ending)) for number, ending in _endings(_session_of(parcel), jobs, interrupts))
    return BlockEnding(endings=endings, warnings=tuple(warnings))


def _session_of(parcel: Parcel[J, R]) -> WorkerSession[J, R]:
    if parcel.key not in _opened:
        parcel.expected.check()
        return_freed_memory()
        _opened[parcel.key] = parcel.sessions.open([model.unpacked() for model in parcel.models])
    return _opened[parcel.key]


def _endings(session: WorkerSession[J, R], jobs: Sequence[J], interrupts: _Interrupts) -> list[Numbered[R]]:
    found: list[Numbered[R]] = []
    try:
        for ended in session.run(jobs):
            if ended is not None:
                found.append(ended)
            if interrupts.heard:
                session.leave()
    except KeyboardInterrupt:
        pass  # what was not begun with or is half done is given back
    finally:
        found += session.close()
    return found


def _plain(ending: R | Exception) -> R | Exception:
    """Return an error that every machine can unpickle."""
    if not isinstance(ending, Exception) or isinstance(ending, LumenError):
        return ending
    return PictureError(reason_of(ending))


class _Interrupts:
    """Counts interrupts for the length of a `with` block; the second one is raised, later ones are ignored."""

    def __init__(self) -> None:
        self.heard = 0

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _hear(self, *_: object) -> None:
        self.heard += 1
        if self.heard == 2:
            raise KeyboardInterrupt


@contextmanager
def _heard_warnings() -> Iterator[list[str]]:
    """Collect what lumen warns of: nobody looks at the terminals of workers."""
    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("lumen")
    logger.addHandler(handler)
    try:
        yield heard
    finally:
        logger.removeHandler(handler)
