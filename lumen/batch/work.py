"""What is done to each file of a batch: read it, enhance it, write its result and what belongs to it.

It is the same for every engine, and knows nothing of other files: which ones there are, and in what order.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumen.batch.clips import ClipItem, convert_clip, outcome_facts, read_clip
from lumen.batch.comparison import compare_existing, comparison, preview
from lumen.batch.destinations import Destination, Origin
from lumen.batch.job import Job, comparison_of, open_source
from lumen.batch.previews import PictureShots, PreviewStore, shown_after
from lumen.batch.report import Outcome, Status
from lumen.batch.sidecars import copy_sidecars
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.file_io import encode_result, read_source, refuse_warnings
from lumen.enhance.picture_rules import PictureOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.progress import PictureProgress
from lumen.enhance.sharing import Share
from lumen.enhance.unchanged import content_of, is_left
from lumen.errors import PictureError, UnsupportedError
from lumen.files.atomic import user_attributes
from lumen.files.inputs import Identity
from lumen.files.paths import is_plain_file
from lumen.imaging.clip_formats import is_clip
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Models

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class PictureItem:
    """A picture on its way through the batch, and the seconds spent on it so far."""

    job: Job
    options: EnhanceOptions
    picture: Picture
    origin: Origin
    seconds: float
    is_left: bool = False  # nobody would see the change
    before: NDArray[np.uint8] | None = None  # a reduced copy for the comparison
    frames: int = 0  # of a clip
    shots: PictureShots | None = None  # reduced copies for a page

    @property
    def nbytes(self) -> int:
        """Bytes that its pixels take."""
        return self.picture.pixels.nbytes

    @property
    def megapixels(self) -> float:
        """Size of the picture."""
        return self.picture.megapixels


Item = PictureItem | ClipItem


@dataclass(frozen=True, kw_only=True)
class PictureWork:
    """What is done to each file.

    Attributes:
        pictures: How each picture is enhanced.
        options: Where results go.
        destination: Writes them.
        is_target: Tells whether a path is that of the result of a job.
    """

    pictures: PictureOptions
    options: BatchOptions
    destination: Destination
    is_target: Callable[[Path], bool]

    def outcome(self, job: Job, status: Status, **facts: Any) -> Outcome:
        """Return the outcome of a job; `facts` are fields of it."""
        changes = self.pictures.changes(job.relative)
        return Outcome(source=job.source, target=job.target, status=status, changes=changes, **facts)

    def compare_existing(self, job: Job, reason: str) -> Outcome:
        """Write the comparison of a picture with the result that it has already, and why nothing else is done.

        Raises:
            PictureError: There is none to write.
            OutputError: Nothing can be written.
        """
        started = time.monotonic()
        below = None if self.options.follow_links else self.options.output
        data, origin, megapixels = compare_existing(job, self.pictures.of(job.relative), below=below)
        beside = comparison_of(job)
        self.destination.put(beside, data, Origin(identity=origin))
        reason, seconds = f"only the comparison was made, because {reason}", time.monotonic() - started
        return self.outcome(beside, "done", reason=reason, seconds=seconds, megapixels=megapixels)

    def read(self, job: Job) -> Item:
        """Read and decode the picture of a job, or look at its clip.

        Raises:
            PictureError: It cannot be read.
        """
        started, options = time.monotonic(), self.pictures.of(job.relative)
        if is_clip(job.source):
            return read_clip(job, options)
        opened = open_source(job)
        with opened.stream as stream:
            extended = user_attributes(stream) if options.metadata == "keep" else {}
            digest = self.destination.digest(stream)
            original = self.destination.original(job, digest)
            origin = Origin(identity=opened.identity, digest=digest, extended=extended, is_result=original is not None)
            with stream if original is None else original.stream as pixels:
                picture = read_source(job.source, options, job.target, stream=pixels)
        if self.options.in_place:
            picture.refuse_damaged()  # what is left of the original may be all that there is
        seconds = time.monotonic() - started
        return PictureItem(job=job, options=options, picture=picture, origin=origin, seconds=seconds)

    def look(self, job: Job) -> Picture:
        """Decode the picture of a job, or its original if it is itself a result; nothing is asked of its result.

        Raises:
            PictureError: It cannot be read.
        """
        if is_clip(job.source):
            raise UnsupportedError("a clip is no picture of a sequence: its frames are one of their own")
        with open_source(job).stream as stream:
            original = self.destination.original(job, self.destination.digest(stream))
            with stream if original is None else original.stream as pixels:
                return read_source(job.source, self.pictures.of(job.relative), stream=pixels)

    def enhance(self, item: Item, models: Models, progress: PictureProgress, share: Share | None = None) -> Item:
        """Enhance a picture, or a clip, whose result is then written, with the CPU threads of a share; None is all.

        Raises:
            PictureError: It cannot be enhanced.
            UnusableModelError: The model is damaged.
        """
        started = time.monotonic()
        progress(0.0)
        if isinstance(item, ClipItem):
            return convert_clip(item, models, self.options, self.destination, progress, share)
        item.before = preview(item.picture) if self._wants_comparison(item.job) else None
        picture, job = item.picture, item.job
        item.shots = PictureShots.of(picture) if self.options.previews else None
        item.picture = enhance_picture(picture, models, item.options, progress, share, fixed_tone=job.tone)
        if item.shots is not None and self.options.variants:
            item.shots.add_variants(picture, models, item.options, job.variants)
        if not item.origin.is_result:  # which is never left as it is, even where its original would be
            item.is_left = is_left(picture, item.picture, job.source, job.target, item.options)
        item.seconds += time.monotonic() - started
        return item

    def write(self, item: Item) -> Outcome:
        """Write the result of a picture and what belongs to it.

        Raises:
            PictureError: This one result cannot be written.
            OutputError: Nothing can be written.
        """
        if isinstance(item, ClipItem):
            return self.outcome(item.job, **outcome_facts(item))
        started = time.monotonic()
        job, picture = item.job, item.picture
        if item.is_left and (self.options.in_place or item.options.unchanged == "skip"):
            return self._leave(item, started)
        warnings: tuple[str, ...] = ()
        data = content_of(partial(open_source, job), item.origin.identity) if item.is_left else None
        is_copied = data is not None
        if data is None:
            data, warnings = encode_result(picture, job.source, job.target, item.options)
        # What belongs to a result is written first: if it exists, everything does.
        warnings = (*warnings, *self._copy_sidecars(item), *self._compare(item))
        refuse_warnings(warnings, item.options)
        needless = self.destination.put(job, data, item.origin)
        if needless is not None:
            return self.outcome(job, "skipped", reason=needless)
        self._keep_previews(item, is_there=True)
        return self.outcome(
            job,
            "done",
            seconds=item.seconds + time.monotonic() - started,
            megapixels=picture.megapixels,
            is_damaged=picture.damage is not None and picture.damage.in_picture,
            warnings=warnings,
            is_unchanged=is_copied,
        )

    def _leave(self, item: PictureItem, started: float) -> Outcome:
        """End a file that stays as it is, without a result of its own."""
        self.destination.leave(item.job, item.origin)
        self._keep_previews(item, is_there=False)
        is_done = item.options.unchanged == "copy"
        return self.outcome(
            item.job,
            "done" if is_done else "skipped",
            reason="" if is_done else "it is fine as it is",
            seconds=item.seconds + time.monotonic() - started,
            megapixels=item.picture.megapixels,
            is_unchanged=True,
        )

    def _wants_comparison(self, job: Job) -> bool:
        """Tell whether to write a comparison: where one is there, it would show the result of an earlier run."""
        if self.options.compare or self.options.in_place or job.is_alone:
            return self.options.compare
        beside = comparison_of(job).target
        return not self.is_target(beside) and is_plain_file(beside)

    def _compare(self, item: PictureItem) -> tuple[str, ...]:
        """Write the comparison if there is to be one; failing to is only a warning."""
        if item.before is None:
            return ()
        try:
            data = comparison(item.before, item.picture)
            self.destination.put(comparison_of(item.job), data, item.origin)
        except PictureError as error:
            return (f"there is no comparison: {error}",)
        return ()

    def _keep_previews(self, item: PictureItem, *, is_there: bool) -> None:
        """Keep previews if a page wants them; they can be made again, so failing to is no warning of the picture."""
        if item.shots is None or self.options.output is None:
            return
        if not item.is_left:
            item.shots.pixels["after"] = shown_after(item.picture)
        target = str(item.job.target.relative_to(self.options.output))
        try:
            PreviewStore(self.options.output).keep(
                target, item.shots, item.job.target if is_there else None, item.options
            )
        except OSError as error:
            log.info("there are no previews of %s: %s", item.job.target, error.strerror or error)

    def _copy_sidecars(self, item: PictureItem) -> tuple[str, ...]:
        """Copy the files that belong to the picture; in place they are there, and stripped metadata stand in them."""
        if self.options.sidecars == "ignore" or self.options.in_place or item.options.metadata == "strip":
            return ()
        if item.job.is_alone:
            return ()

        def put(job: Job, data: bytes, identity: Identity) -> None:
            self.destination.put(job, data, Origin(identity=identity))

        replaces = self.options.existing in ("overwrite", "update")
        return tuple(copy_sidecars(item.job, open_source, put, replaces=replaces))
