"""Plans of pictures by name only, as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lumen.batch.block import Block
from lumen.batch.job import Job
from lumen.batch.listed import PathList
from lumen.batch.plan import Plan, plan_jobs
from lumen.batch.report import Outcome
from lumen.config import BatchOptions


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


class Planned:
    """All that a plan brings, and the plan."""

    def __init__(self, plan: Plan) -> None:
        blocks = list(plan.blocks)
        self.plan = plan
        self.jobs = [job for block in blocks for job in block.jobs()]
        self.failures = [each for block in blocks for each in block.failures]


def planned(inputs: Sequence[Path], options: BatchOptions, listed: PathList | Sequence[Path] = ()) -> Planned:
    return Planned(plan_jobs(inputs, options, listed=listed))


def plan(*inputs: str, out: str = "out", recursive: bool = False, suffix: str = "") -> Planned:
    options = BatchOptions(output=Path(out), recursive=recursive, suffix=suffix)
    return planned([Path(name) for name in inputs], options)


def block_of(*jobs: Job) -> Block:
    """A block of jobs whose pictures are in one folder, and their results too."""
    source, target, relative = jobs[0].source, jobs[0].target, jobs[0].relative
    return Block(
        source=source.parent,
        target=target.parent,
        place=relative.parent,
        below=jobs[0].below,
        names=[job.source.name for job in jobs],
        results=[job.target.name for job in jobs],
    )


def pairs(found: Planned) -> list[tuple[str, str]]:
    return [(str(job.source), str(job.target)) for job in found.jobs]


class Quiet:
    """A listener that only remembers how files ended."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def started(self, pending: int) -> None:
        """Nothing."""

    def counted(self, pending: int, *, is_all: bool, clips: int = 0) -> None:
        """Nothing."""

    def progressed(self, job: Job, fraction: float, megapixels: float, frames: int = 0) -> None:
        """Nothing."""

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def stopping(self) -> None:
        """Nothing."""

    def statuses(self) -> dict[str, str]:
        return {outcome.source.name: outcome.status for outcome in self.outcomes}
