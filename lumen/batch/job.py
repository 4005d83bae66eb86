"""One file to enhance, and where its results go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

COMPARISON_SUFFIX = ".compare.jpg"  # appended to the whole name: `a.jpg` and `a.png` each get their own


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to enhance.

    Attributes:
        source: The file.
        target: The file of its result: in place the same file, or the one that a link points to.
        below: The folder in which it was found, if no link may be followed on the way from there.
        relative: Its path below the input folder, by which options may differ.
    """

    source: Path
    target: Path
    below: Path | None = None
    relative: Path = Path()


def comparison_of(job: Job) -> Job:
    """Return the job of the before and after picture, which lies beside the result."""
    return replace(job, target=job.target.with_name(job.target.name + COMPARISON_SUFFIX))
