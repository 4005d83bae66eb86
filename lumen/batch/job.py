"""One file to enhance, and where its results go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

COMPARISON_SUFFIX = ".compare.jpg"  # appended to the whole name: `a.jpg` and `a.png` each get their own


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to enhance, and the file of its result: in place the same file, or the one that a link points to."""

    source: Path
    target: Path


def comparison_of(job: Job) -> Job:
    """Return the job of the before and after picture, which lies beside the result."""
    return replace(job, target=job.target.with_name(job.target.name + COMPARISON_SUFFIX))
