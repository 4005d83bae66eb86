"""One file to enhance, and where its results go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lumen.errors import DecodeError
from lumen.files.inputs import Input, open_input, open_named
from lumen.files.patterns import COMPARISON_SUFFIX
from lumen.runtime.protocols import Floats


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to enhance.

    Attributes:
        source: The file.
        target: The file of its result: in place the same file, or the one that a link points to.
        below: The folder in which it was found, if no link may be followed on the way from there.
        relative: Its path below the input folder, by which options may differ.
        tone: float32 [K], used instead of the one that the model decides on for the picture.
        variants: float32 [K] for other exposures and shadows, if the picture is to be shown with these.
        is_alone: Listings of stores have shown that neither sidecars of the picture nor a comparison of its result are
            there, so that nobody needs to ask.
    """

    source: Path
    target: Path
    below: Path | None = None
    relative: Path = Path()
    tone: Floats | None = field(default=None, compare=False)
    variants: Mapping[tuple[float, float], Floats] = field(default_factory=dict, compare=False)
    is_alone: bool = field(default=False, compare=False)


def comparison_of(job: Job) -> Job:
    """Return the job of the before and after picture, which lies beside the result: `a.jpg.compare.jpg`."""
    return replace(job, target=job.target.with_name(job.target.name + COMPARISON_SUFFIX))


def open_source(job: Job) -> Input:
    """Open the file of a job.

    Raises:
        DecodeError: It cannot be read, or a link is on the way where none may be followed.
    """
    try:
        if job.below is None:
            return open_named(job.source)
        return open_input(job.below, str(job.source.relative_to(job.below)))
    except OSError as error:
        raise DecodeError(f"cannot read the file: {error.strerror or error}") from error
