"""Plans of pictures by name only, as text."""

from __future__ import annotations

from pathlib import Path

from lumen.batch.job import Job
from lumen.batch.plan import Plan, plan_jobs
from lumen.batch.report import Outcome
from lumen.config import BatchOptions


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def plan(*inputs: str, out: str = "out", recursive: bool = False, suffix: str = "") -> Plan:
    options = BatchOptions(output=Path(out), recursive=recursive, suffix=suffix)
    return plan_jobs([Path(name) for name in inputs], options)


def pairs(found: Plan) -> list[tuple[str, str]]:
    return [(str(job.source), str(job.target)) for job in found.jobs]


class Quiet:
    """A listener that only remembers how files ended."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def started(self, pending: int) -> None:
        """Nothing."""

    def progressed(self, job: Job, fraction: float, megapixels: float, frames: int = 0) -> None:
        """Nothing."""

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def stopping(self) -> None:
        """Nothing."""

    def statuses(self) -> dict[str, str]:
        return {outcome.source.name: outcome.status for outcome in self.outcomes}
