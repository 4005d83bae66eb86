"""Which pictures are skipped, and why: how their results were made, and what to add to have them made again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lumen.batch.destinations import Destination
from lumen.batch.history import Made, differences, results_made
from lumen.batch.job import Job, comparison_of
from lumen.config import BatchOptions
from lumen.files.paths import is_plain_file
from lumen.text import printable

Settings = Callable[[Job], Mapping[str, object]]
Changes = Callable[[Job], Mapping[str, object]]

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


def sort_out(
    jobs: Iterable[Job], destination: Destination, options: BatchOptions, settings: Settings, changes: Changes
) -> ToDo:
    """Return what is to be done with each job.

    Args:
        jobs: The jobs.
        destination: Knows which results exist.
        options: Options of the run.
        settings: Returns what `settings_of` does, for a job of this run.
        changes: Returns which of these were named for this one picture.
    """
    todo = ToDo()
    reasons = {job: destination.skip_reason(job) for job in jobs}
    skipped = {job: reason for job, reason in reasons.items() if reason is not None}
    if skipped and options.output is not None:
        targets = {job: str(job.target.relative_to(options.output)) for job in skipped}
        made = results_made(options.output, targets.values())
        known = {job: made[target] for job, target in targets.items() if target in made}
        for job, how in known.items():
            if options.existing == "update" and not _is_of_another(how, job) and is_outdated(how, changes(job)):
                reasons[job] = None
                del skipped[job]
            else:
                skipped[job] = _with(skipped[job], job, how, settings(job))
    todo.pending.extend(job for job, reason in reasons.items() if reason is None)
    for job, reason in skipped.items():
        is_uncompared = options.compare and destination.skip_reason(comparison_of(job)) is None
        (todo.uncompared if is_uncompared else todo.skipped)[job] = reason
    return todo


def is_outdated(made: Made, changes: Mapping[str, object]) -> bool:
    """Tell whether a result was made with other options than those that were named for its picture alone.

    Options of the whole run do not count: `--existing update` would undo what was chosen for a picture before.
    """
    named = {name: value for name, value in changes.items() if name in made.settings}
    return any(made.settings[name] != value for name, value in named.items())


def _with(reason: str, job: Job, made: Made, now: Mapping[str, object]) -> str:
    """Return a reason with what the record of the result adds to it."""
    if _is_of_another(made, job):
        return f"a result of another picture, {printable(made.source)}, has its name; choose another --out"
    if changed := differences(made.settings, now):
        return f"the result exists, made with other settings ({changed}); {AGAIN}"
    return reason if ";" in reason else f"{reason}, made with the same settings"


def _is_of_another(made: Made, job: Job) -> bool:
    """Tell whether a result was made from another picture than that of a job."""
    return is_plain_file(made.source) and is_plain_file(job.source) and not made.source.samefile(job.source)
