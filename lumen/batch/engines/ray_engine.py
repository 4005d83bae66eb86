"""The workers of a Ray cluster as the engine: each works on a small block of files as `LocalEngine` does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from lumen.batch.destinations import destination_of
from lumen.batch.engines.local import LocalEngine
from lumen.batch.job import Job, comparison_of
from lumen.batch.report import Outcome, Progress
from lumen.batch.work import PictureWork
from lumen.cluster.blocks import Blocks, memory_of
from lumen.cluster.connection import Cluster, require_ray
from lumen.cluster.nodes import SharedFile, check_nodes, expected_of, marked
from lumen.cluster.shipping import ShippedModel
from lumen.config import BatchOptions, EnhanceOptions, RuntimeOptions
from lumen.enhance.picture_rules import PictureOptions
from lumen.errors import StoreError
from lumen.files.atomic import remove_leftovers
from lumen.files.store_path import StorePath
from lumen.runtime.open import ModelSet
from lumen.runtime.protocols import Models
from lumen.stages import Ended

LOOKED_AT = 3  # of the first pictures, whether every node sees them

Task = tuple[Job, bool]  # and whether the place of its comparison is that of another result


class RayEngine:
    """Works on a Ray cluster, which may be this machine alone."""

    def __init__(self, runtime: RuntimeOptions) -> None:
        """Take the model, and the device and the threads of each worker.

        Raises:
            MissingExtraError: Ray is not installed.
            UsageError: A GPU is asked for by its number.
        """
        require_ray(runtime)
        self._runtime = runtime
        self._held = ExitStack()
        self._tone_models: Models | None = None
        self._littered: set[Path] = set()  # folders where lost workers may have left unfinished files

    @property
    def tone_models(self) -> Models:
        """The model on the CPU of this machine: a tone is little work, and the other devices belong to the workers."""
        if self._tone_models is None:
            self._tone_models = ModelSet(replace(self._runtime, device="cpu", precision="fp32"))
        return self._tone_models

    def open(self, work: PictureWork, variants: Collection[EnhanceOptions]) -> Mapping[str, Any]:
        """Connect, look at the nodes, and open the model in one worker."""
        self._work = work
        with ExitStack() as opening:
            self._cluster = Cluster()
            opening.callback(self._cluster.close)
            mark = opening.enter_context(_marked(work.options))
            self._blocks: Blocks[Task, Outcome] = Blocks(self._cluster, self._runtime, self._lost)
            sessions = self.sessions(work, variants)
            facts = self._blocks.open(sessions, (ShippedModel.of(self._blocks.worker),), expected_of([mark]))
            self._held = opening.pop_all()
        return facts

    def sessions(self, work: PictureWork, variants: Collection[EnhanceOptions]) -> PictureSessions:
        """Return what workers are sent."""
        return PictureSessions(pictures=work.pictures, options=work.options, variants=tuple(variants))

    def run(self, jobs: Iterator[Job]) -> Iterator[Ended[Job, Outcome] | None]:
        """Pass the jobs through the workers."""
        first = list(islice(jobs, LOOKED_AT))
        check_nodes(self._cluster, expected_of(_seen(first)))
        for ended in self._blocks.run(map(self._task, chain(first, jobs))):
            yield None if ended is None else _of_job(ended)

    def progress(self) -> Mapping[Job, Progress]:
        """Return nothing: workers tell of whole files."""
        return {}

    def leave(self) -> None:
        """Let workers finish the files that they have begun with."""
        self._blocks.leave()

    def close(self, *, at_once: bool = False) -> list[Ended[Job, Outcome]]:
        """Let workers finish what they are writing, and leave the cluster."""
        ended = self._blocks.close(at_once=at_once)
        if not at_once:
            for folder in self._littered:
                remove_leftovers(folder, _tag(self._work.options), below=self._work.options.output)
            self._held.close()
        return [_of_job(each) for each in ended]

    def _lost(self, tasks: Sequence[Task]) -> None:
        folders = (job.target.parent for job, _ in tasks)
        self._littered.update(each for each in folders if not isinstance(each, StorePath))

    def _task(self, job: Job) -> Task:
        return job, self._work.is_target(comparison_of(job).target)


@dataclass(frozen=True, kw_only=True)
class PictureSessions:
    """What a worker is sent to enhance pictures; the fields are as for `PictureWork` and `BatchEngine.open`."""

    pictures: PictureOptions
    options: BatchOptions
    variants: tuple[EnhanceOptions, ...]

    def open(self, options: Sequence[RuntimeOptions]) -> PictureSession:
        """Open the model in this process."""
        return PictureSession(self, ModelSet(*options))


class PictureSession:
    """A worker process: `LocalEngine` with its models, for one block after the other."""

    def __init__(self, asked: PictureSessions, models: Models) -> None:
        """Open the model; raises `LumenError`."""
        self._jobs: dict[Job, int] = {}
        self._taken: set[Path] = set()
        self._models = models
        self._engine = LocalEngine(self._models, helpers=1)  # the other cores belong to other workers
        self._variants = asked.variants
        work = PictureWork(
            pictures=asked.pictures,
            options=asked.options,
            destination=destination_of(asked.options),
            is_target=self._taken.__contains__,
        )
        self._facts = self._engine.open(work, asked.variants)

    def facts(self) -> Mapping[str, Any]:
        """Return the facts about the model."""
        return self._facts

    def memory(self) -> int:
        """Return the memory for the largest window and the pictures around it."""
        return memory_of(self._models.for_sample("uint8"), self._variants)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome | Exception] | None]:
        """Work on the pictures of a block."""
        self._jobs = {job: number for number, (job, _) in enumerate(tasks)}
        self._taken.clear()
        self._taken.update(comparison_of(job).target for job, is_taken in tasks if is_taken)
        for ended in self._engine.run(iter(self._jobs)):
            yield None if ended is None else (self._jobs[ended[0]], ended[1])

    def leave(self) -> None:
        """Finish the pictures that are worked on."""
        self._engine.leave()

    def close(self) -> list[tuple[int, Outcome | Exception]]:
        """Finish what is being written."""
        return [(self._jobs[job], ending) for job, ending in self._engine.close()]


def _marked(options: BatchOptions) -> AbstractContextManager[SharedFile]:
    """Mark the output folder, each shard by a name of its own."""
    assert options.output is not None
    return marked(options.output, f"cluster{_tag(options)}")


def _tag(options: BatchOptions) -> str:
    """Return what tells the files of a shard apart, as `OutputFolder` does."""
    index, count = options.shard
    return "" if count == 1 else f".{index}of{count}"


def _seen(jobs: Sequence[Job]) -> Iterator[SharedFile]:
    for job in jobs:
        with suppress(OSError, StoreError):  # a lost file is the failure of that file alone
            yield SharedFile.of(job.source)


def _of_job(ended: Ended[Task, Outcome]) -> Ended[Job, Outcome]:
    (job, _), ending = ended
    return job, ending
