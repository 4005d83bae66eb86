"""Which pictures are skipped, and why: how their results were made, and what to add to have them made again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lumen.batch.destinations import Destination
from lumen.batch.history import Made, differences, results_made
from lumen.batch.job import Job, comparison_of
from lumen.config import BatchOptions
from lumen.files.paths import is_plain_file
from lumen.imaging.clip_formats import is_clip
from lumen.text import printable

Settings = Callable[[Job], Mapping[str, object]]

AGAIN = "add --existing overwrite to make it again"


@dataclass(frozen=True, kw_only=True)
class ToDo:
    """The jobs of a run.

    Attributes:
        pending: Those to enhance.
        skipped: Those to skip, with the reason.
        uncompared: Those whose result exists, with the reason, but lacks its comparison.
    """

    pending: list[Job] = field(default_factory=list)
    skipped: dict[Job, str] = field(default_factory=dict)
    uncompared: dict[Job, str] = field(default_factory=dict)


def sort_out(jobs: Iterable[Job], destination: Destination, options: BatchOptions, settings: Settings) -> ToDo:
    """Return what is to be done with each job; `settings` returns what `settings_of` does, for a job of this run."""
    todo = ToDo()
    reasons = {job: destination.skip_reason(job) for job in jobs}
    skipped = {job: reason for job, reason in reasons.items() if reason is not None}
    todo.pending.extend(job for job, reason in reasons.items() if reason is None)
    if skipped and options.output is not None:
        skipped = with_history(skipped, options.output, settings)
    for job, reason in skipped.items():
        is_uncompared = (
            options.compare and not is_clip(job.source) and destination.skip_reason(comparison_of(job)) is None
        )
        (todo.uncompared if is_uncompared else todo.skipped)[job] = reason
    return todo


def with_history(skipped: Mapping[Job, str], output: Path, settings: Settings) -> dict[Job, str]:
    """Return why each job is skipped, from the records of the runs that made the results.

    Args:
        skipped: The jobs, with what is known without records.
        output: The output folder.
        settings: As for `sort_out`.
    """
    targets = {job: str(job.target.relative_to(output)) for job in skipped}
    made = results_made(output, targets.values())
    return {
        job: reason if (known := made.get(targets[job])) is None else _with(reason, job, known, settings(job))
        for job, reason in skipped.items()
    }


def _with(reason: str, job: Job, made: Made, now: Mapping[str, object]) -> str:
    """Return a reason with what the record of the result adds to it."""
    if is_plain_file(made.source) and is_plain_file(job.source) and not made.source.samefile(job.source):
        return f"a result of another picture, {printable(made.source)}, has its name; choose another --out"
    if changed := differences(made.settings, now):
        return f"the result exists, made with other settings ({changed}); {AGAIN}"
    return reason if ";" in reason else f"{reason}, made with the same settings"
