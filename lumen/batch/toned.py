"""Tones for the jobs of a batch before they are worked on: steady ones for each folder, or that of one picture for all.

A first pass decodes the pictures of a folder ahead of the work, and keeps their thumbnails only. So every picture is
read twice, and memory does not grow with the look-ahead. All pictures of a folder are looked at, also those that have a
result already: so a run that goes on after an interruption gives the rest what it would have had.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from lumen.batch.block import Block
from lumen.batch.job import Job
from lumen.batch.previews import variants_of
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.file_io import read_source
from lumen.enhance.picture_rules import PictureOptions
from lumen.enhance.steady import Settings, Steady, SteadyLight, refuse_unsteady, thumbnail_of
from lumen.errors import LumenError, PictureError, UsageError
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Floats, Models
from lumen.text import printable

log = logging.getLogger(__name__)

LOOKED_AT = 2  # pictures that are decoded at a time


class JobTones:
    """Gives jobs their tones, in the order of the work."""

    def __init__(
        self,
        models: Models,
        pictures: PictureOptions,
        options: BatchOptions,
        look: Callable[[Job], Picture],
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            models: What solves the tones.
            pictures: How each picture is enhanced.
            options: Which tones are asked for.
            look: Decodes the picture of a job, without any claim on its result.
        """
        self._models, self._pictures, self._options, self._look = models, pictures, options, look
        self._fixed = dict[Settings, Floats]()
        self._light: SteadyLight[list[Job]] | None = None
        self._folder: Path | None = None
        self._number = 0
        self._held: list[Block] = []  # of the folder, before its first picture to enhance
        self._early: list[Job] = []  # that cannot be looked at, before the first one that can
        self._last: list[Job] = []

    @property
    def are_asked(self) -> bool:
        """Whether the options ask for any tones."""
        return self._options.steady != "off" or self._options.exposure_from is not None

    def of(self, block: Block, pending: Iterable[Job]) -> Iterator[Job]:
        """Yield the jobs to enhance that are ready, with their tones, as far as those of earlier folders go.

        Args:
            block: Pictures of a folder in the order of the sequence; a large folder comes in several.
            pending: Which of them are to be enhanced.

        Raises:
            UsageError: The model or the options do not allow it.
            ModelError: The model failed.
        """
        if self._options.steady == "off":
            yield from map(self._with_fixed, pending)
            return
        if block.source != self._folder:
            yield from self.end()
            self._folder = block.source
        wanted = set(pending)
        if not wanted and self._light is None:
            self._held.append(block)
            return
        for each in [*self._held, block]:
            yield from self._through(each, wanted)
        self._held.clear()

    def end(self) -> Iterator[Job]:
        """Yield the jobs that are left of the folder."""
        if self._light is not None:
            yield from _toned(self._light.end())
        yield from self._early
        self._light, self._number, self._early, self._last = None, 0, [], []
        self._held.clear()

    def _through(self, block: Block, wanted: set[Job]) -> Iterator[Job]:
        if self._light is None:
            self._light = SteadyLight(self._checked().for_sample("uint8"))
        for job, seen in self._looked_at(block.jobs()):
            item = [job] if job in wanted else []
            if seen is None:  # reading it fails again, or it follows the picture before it
                (self._last if self._number else self._early).extend(item)
                continue
            self._last, self._early = [*self._early, *item], []
            options = self._pictures.of(job.relative)
            variants = self._variants(options) if self._last else []
            ready = self._light.push(
                self._number, seen, self._last, ev=options.ev, shadows=options.shadows, variants=variants
            )
            self._number += 1
            yield from _toned(ready)

    def _looked_at(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Floats | None]]:
        """Yield each job with its thumbnail, None if it cannot be read; a few are decoded at a time."""
        waiting = deque[tuple[Job, Future[Floats | None]]]()
        with ThreadPoolExecutor(LOOKED_AT, "look") as pool:
            for job in jobs:
                waiting.append((job, pool.submit(self._seen, job)))
                if len(waiting) > LOOKED_AT:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for first, future in waiting:
                yield first, future.result()

    def _seen(self, job: Job) -> Floats | None:
        try:
            return thumbnail_of(self._look(job), self._models)
        except (PictureError, OSError, MemoryError) as error:
            log.debug("%s is left out of its sequence", job.source, exc_info=error)
            return None

    def _with_fixed(self, job: Job) -> Job:
        """Return a job with the tone of the one picture."""
        options, source = self._pictures.of(job.relative), self._options.exposure_from or job.source
        settings = [(options.ev, options.shadows), *self._variants(options)]
        for ev, shadows in settings:
            if (ev, shadows) not in self._fixed:
                with_these = replace(options, ev=ev, shadows=shadows)
                self._fixed[ev, shadows] = tone_from(source, self._checked(), with_these)
        tone, *variants = (self._fixed[each] for each in settings)
        return replace(job, tone=tone, variants=dict(zip(settings[1:], variants, strict=True)))

    def _variants(self, options: EnhanceOptions) -> list[Settings]:
        """Return the settings with which a picture is shown on a page besides."""
        if not self._options.variants:
            return []
        return [(each.ev, each.shadows) for each in variants_of(options, has_shadows=True).values()]

    def _checked(self) -> Models:
        for options in self._pictures.variants():
            refuse_unsteady(self._models.for_sample("uint8"), options)
        return self._models


def tone_from(source: Path, models: Models, options: EnhanceOptions) -> Floats:
    """Return the tone of a picture, float32 [K], for others.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        picture = read_source(source, options)
    except LumenError as error:
        raise UsageError(f"--exposure-from {printable(source)}: {error}") from error
    ev, shadows = (np.array([value], np.float32) for value in (options.ev, options.shadows))
    tones = models.for_sample("uint8").tone(thumbnail_of(picture, models)[None], ev, shadows)
    return np.asarray(tones[0])


def _toned(ready: Iterable[Steady[list[Job]]]) -> Iterator[Job]:
    for frame in ready:
        yield from (replace(job, tone=frame.tone, variants=frame.variants) for job in frame.item)
