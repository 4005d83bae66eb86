"""Clips in a batch: each is one job, from the look at it to its result on the disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lumen.batch.destinations import Destination, Origin
from lumen.batch.job import Job, open_source
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.file_io import refuse_warnings
from lumen.enhance.sharing import Share, whole_share
from lumen.errors import PictureError, UnsupportedError
from lumen.files.atomic import user_attributes
from lumen.files.inputs import Input
from lumen.files.paths import is_folder
from lumen.imaging.clip_formats import is_clip, require_package, why_not_readable
from lumen.runtime.protocols import Models
from lumen.video.clip import ClipResult
from lumen.video.clip_file import ClipTask, convert_file
from lumen.video.facts import ClipFacts
from lumen.video.source import look_at

log = logging.getLogger("lumen")


@dataclass(kw_only=True)
class ClipItem:
    """A clip on its way through the batch, and the seconds spent on it so far."""

    job: Job
    options: EnhanceOptions
    facts: ClipFacts
    origin: Origin
    seconds: float
    result: ClipResult | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that its frames in flight take; they are in memory only while it is worked on."""
        return 0

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return self.facts.frames

    @property
    def megapixels(self) -> float:
        """Pixels of all its frames, in millions."""
        return self.facts.megapixels


def settle_clips(inputs: Sequence[Path], options: BatchOptions) -> BatchOptions:
    """Return the options with clips left out of folders, with a warning, where they cannot be read.

    Raises:
        MissingExtraError: One of the inputs is itself a clip.
    """
    if any(is_clip(each) and not is_folder(each) for each in inputs):
        require_package()
    if options.clips and (why := why_not_readable()):
        log.warning("the clips in folders are left out: %s", why)
        return replace(options, clips=False)
    return options


def read_clip(job: Job, options: EnhanceOptions) -> ClipItem:
    """Look at the clip of a job.

    Raises:
        PictureError: It cannot be read.
    """
    started = time.monotonic()
    if why := why_not_readable():
        raise UnsupportedError(why)
    opened = open_source(job)
    with opened.stream as stream:
        extended = user_attributes(stream) if options.metadata == "keep" else {}
        facts = look_at(stream, options)
    origin = Origin(identity=opened.identity, extended=extended)
    return ClipItem(job=job, options=options, facts=facts, origin=origin, seconds=time.monotonic() - started)


def convert_clip(
    item: ClipItem,
    models: Models,
    options: BatchOptions,
    destination: Destination,
    progress: Callable[[float], None],
    share: Share | None = None,
) -> ClipItem:
    """Enhance a clip and write its result.

    Raises:
        PictureError: It cannot be decoded, enhanced or encoded.
        OutputError: Nothing can be written.
    """
    started, job = time.monotonic(), item.job
    opened = _again(item)
    share = share or whole_share([models.for_sample(item.facts.sample)], [item.options])
    tone = None if options.exposure_from is None else job.tone  # or that of a picture before it in a sequence
    task = ClipTask(source=job.source, target=job.target, options=item.options, results=options, tone=tone)
    with opened.stream:
        item.result = convert_file(
            task,
            opened,
            destination.writing(job, item.origin),
            item.facts,
            share.sets(models, item.facts.frames),
            lambda frames: progress(min(1.0, frames / item.frames)),
            lambda result: refuse_warnings(result.warnings, item.options),
        )
    item.seconds += time.monotonic() - started
    return item


def outcome_facts(item: ClipItem) -> dict[str, Any]:
    """Return the fields of the outcome of a clip."""
    assert item.result is not None
    is_skipped = item.result.is_unchanged and item.options.unchanged == "skip"
    return {
        "status": "skipped" if is_skipped else "done",
        "reason": "it is fine as it is" if is_skipped else "",
        "seconds": item.seconds,
        "megapixels": item.facts.width * item.facts.height * item.result.frames / 1e6,
        "frames": item.result.frames,
        "is_damaged": bool(item.result.damage),
        "warnings": item.result.warnings,
        "is_unchanged": item.result.is_unchanged,
    }


def _again(item: ClipItem) -> Input:
    opened = open_source(item.job)
    if not opened.identity.has_content_of(item.origin.identity):
        opened.stream.close()
        raise PictureError("the file changed while it was worked on; run again")
    return opened
