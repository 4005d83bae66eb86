"""One file to enhance, and the places of what it becomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

COMPARISON_SUFFIX = ".compare.jpg"  # after the whole name of the result: `a.jpg` and `a.png` have one each


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to enhance and the file its result becomes; in place the same, or what a link points to."""

    source: Path
    target: Path


def comparison_of(job: Job) -> Job:
    """Return the place of the picture of before and after, beside the result."""
    return replace(job, target=job.target.with_name(job.target.name + COMPARISON_SUFFIX))
