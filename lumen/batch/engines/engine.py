"""Protocol of an engine: the only interface between a batch and what works on its files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

from lumen.batch.job import Job
from lumen.batch.report import Outcome, Progress
from lumen.batch.work import PictureWork
from lumen.config import EnhanceOptions
from lumen.runtime.protocols import Models
from lumen.stages import Ended


class BatchEngine(Protocol):
    """Works on jobs, in its own order, as many at a time as it has room for; its methods are for one thread."""

    @property
    def tone_models(self) -> Models:
        """What decides in this process on tones that several pictures share; opened on first use."""

    def open(self, work: PictureWork, variants: Collection[EnhanceOptions]) -> Mapping[str, Any]:
        """Get ready, before the first job: a missing model must not count as a failed file.

        Args:
            work: What is done to each file.
            variants: The options of the pictures.

        Returns:
            Which model makes the results, and where: JSON values, as of `lumen.batch.record.model_facts`.

        Raises:
            UnavailableError: The model or the device cannot be used.
            UsageError: The model cannot follow the options.
        """

    def run(self, jobs: Iterator[Job]) -> Iterator[Ended[Job, Outcome] | None]:
        """Yield each job that has ended with its outcome or its error, and None from time to time.

        Args:
            jobs: Taken one by one as there is room, since there may be any number; an error that they raise is raised
                here. After `leave` no other is taken, and those that were left are not yielded.
        """

    def progress(self) -> Mapping[Job, Progress]:
        """Return how much of each file in work is done, of those that are known."""

    def leave(self) -> None:
        """Start no more work; may be called repeatedly."""

    def close(self, *, at_once: bool = False) -> list[Ended[Job, Outcome]]:
        """End, also in the middle: return the jobs that were still finished and not yielded, and drop the rest.

        Args:
            at_once: Do not wait, because the process is about to end.
        """
