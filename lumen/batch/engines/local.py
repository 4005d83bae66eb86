"""This process as the engine: decode the next file and encode the last one while the model works on the current one."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lumen.batch.job import Job
from lumen.batch.record import model_facts
from lumen.batch.report import Outcome, Progress
from lumen.batch.work import Item, PictureWork
from lumen.config import EnhanceOptions
from lumen.enhance.model_choice import check_options
from lumen.enhance.sharing import Cores, workers_on
from lumen.errors import OutOfMemoryError
from lumen.files.store_path import StorePath
from lumen.runtime.devices import helper_threads
from lumen.runtime.protocols import Model, Models
from lumen.runtime.runs import terminate_runs
from lumen.stages import Ended, Stages, Steps, drive, few_inside


class LocalEngine:
    """Works in the threads of this process."""

    def __init__(self, models: Models | Sequence[Models], *, helpers: int | None = None) -> None:
        """Prepare; nothing is opened.

        Args:
            models: The 8-bit and 16-bit pair of model files, or several pairs that work side by side.
            helpers: At most how many threads read, and as many write; None leaves it to the devices.
        """
        self._sets = tuple(models) if isinstance(models, Sequence) else (models,)
        self._helpers = helpers
        self._cores: list[Cores] = []
        self._taken, self._has_all = 0, False
        self._progress: dict[Job, Progress] = {}
        self._stages: Stages[Job, Item, Outcome, Cores] | None = None

    @property
    def tone_models(self) -> Models:
        """The first of the models."""
        return self._sets[0]

    def open(self, work: PictureWork, variants: Collection[EnhanceOptions]) -> Mapping[str, Any]:
        """Open the models."""
        self._work, self._variants = work, variants
        models = self._models()
        for options in variants:
            for model in models:
                check_options(model, options)
        return model_facts(models)

    def run(self, jobs: Iterator[Job]) -> Iterator[Ended[Job, Outcome] | None]:
        """Pass the jobs through the stages; once more after `close`, with the models as they are."""
        if not self._cores:
            self._cores = workers_on(self._sets, self._variants)
        steps = Steps(read=self._work.read, work=self._enhance, write=self._work.write)
        helpers = helper_threads([model.device for model in self._models()])
        helpers = helpers if self._helpers is None else min(self._helpers, helpers)
        stages = Stages(steps, self._cores, helpers=helpers, interrupt=terminate_runs)
        self._stages, self._taken, self._has_all = stages, 0, False
        has_room = partial(few_inside, stages, lambda item: item.nbytes)
        for ended in drive(stages, self._counted(jobs), has_room, short_of_memory=(MemoryError, OutOfMemoryError)):
            if ended is not None:
                self._progress.pop(ended[0], None)
            yield ended

    def progress(self) -> Mapping[Job, Progress]:
        """Return how much of each picture is enhanced."""
        return dict(self._progress)

    def leave(self) -> None:
        """Finish what a worker has."""
        if self._stages is not None:
            self._stages.leave()

    def close(self, *, at_once: bool = False) -> list[Ended[Job, Outcome]]:
        """Finish what is being written."""
        return [] if self._stages is None else self._stages.close(at_once=at_once)

    def _models(self) -> list[Model]:
        return [each.for_sample("uint8") for each in self._sets]

    def _counted(self, jobs: Iterator[Job]) -> Iterator[Job]:
        assert self._stages is not None
        for job in jobs:
            self._taken += 1
            if isinstance(job.source, StorePath) or isinstance(job.target, StorePath):
                self._stages.helpers = max(1, self._stages.helpers)  # to wait for the network beside the work
            yield job
        self._has_all = True

    def _others(self) -> int:
        """Return for each device how many pictures no worker has yet; very many while not all are known."""
        assert self._stages is not None
        return (self._taken - self._stages.begun) // len(self._sets) if self._has_all else sys.maxsize

    def _enhance(self, cores: Cores, items: Sequence[Item]) -> list[Item]:
        with cores.lend(self._others) as share:
            models = cores.sets[0]
            return [self._work.enhance(item, models, partial(self._progressed, item), share) for item in items]

    def _progressed(self, item: Item, fraction: float) -> None:
        assert self._stages is not None
        self._stages.check()
        self._progress[item.job] = Progress(fraction, item.megapixels, item.frames)
