"""Pictures of one folder whose results go into one folder: what a plan is a stream of.

A block holds all that a plan takes of a folder. So whatever concerns the folder as a whole is done once for the block:
collisions in it, and the look at the results that exist (`Destination.skip_reasons`), for which one listing will do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

from lumen.batch.job import Job
from lumen.batch.report import Outcome
from lumen.files.patterns import COMPARISON_SUFFIX


@dataclass(frozen=True, kw_only=True)
class Block:
    """Pictures of one folder, in the order in which they are enhanced, and files of it that cannot be tried.

    Names instead of jobs, because many blocks wait while the models work.

    Attributes:
        source: The folder of the pictures.
        target: The folder of their results.
        place: The path of the folder below the input folder.
        below: The folder in which they were found, if no link may be followed on the way from there.
        names: The names of the pictures.
        results: The names of their results.
        links: Those of them that are links.
        failures: What cannot be tried, with the reason.
        sidecars: As of `FoundFolder`.
        alone: `Job.is_alone` of each; nothing if it is known of none.
    """

    source: Path
    target: Path
    place: Path = Path()
    below: Path | None = None
    names: Sequence[str] = ()
    results: Sequence[str] = ()
    links: frozenset[str] = frozenset()
    failures: Sequence[Outcome] = ()
    sidecars: frozenset[str] | None = None
    alone: Sequence[bool] = ()

    def __len__(self) -> int:
        """Return how many files there are."""
        return len(self.names) + len(self.failures)

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs."""
        alone = self.alone or [False] * len(self.names)
        for name, result, is_alone in zip(self.names, self.results, alone, strict=True):
            yield Job(
                source=self.source / name,
                target=self.target / result,
                below=self.below,
                relative=self.place / name,
                is_alone=is_alone,
            )

    def part(self, wanted: Sequence[bool]) -> Block:
        """Return the block with those pictures for which `wanted` has True, and no failures."""
        names, results = list(compress(self.names, wanted)), list(compress(self.results, wanted))
        alone = list(compress(self.alone, wanted))
        return replace(self, names=names, results=results, failures=(), alone=alone)

    def cut(self, start: int, end: int) -> Block:
        """Return the pictures from `start` to before `end`; the failures are in the first part."""
        if not start and end >= len(self.names):
            return self
        names, results, alone = self.names[start:end], self.results[start:end], self.alone[start:end]
        return replace(self, names=names, results=results, failures=() if start else self.failures, alone=alone)

    def comparisons(self) -> Block:
        """Return the block of the pictures of before and after, as `comparison_of` does for a job."""
        return replace(self, results=[name + COMPARISON_SUFFIX for name in self.results], failures=())
