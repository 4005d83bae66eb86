"""One clip from its file to the file of its result, by the names and the options."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import BinaryIO

from lumen.config import EnhanceOptions, ResultOptions
from lumen.errors import PictureError
from lumen.files.inputs import Input
from lumen.imaging.clip_formats import clip_suffix
from lumen.runtime.cores import usable_cores
from lumen.runtime.protocols import Floats, Models
from lumen.video.clip import ClipResult, enhance_clip
from lumen.video.facts import ClipFacts, Storing


@dataclass(frozen=True, kw_only=True)
class ClipTask:
    """What is to be made of a clip.

    Attributes:
        source: Its name.
        target: The name of its result.
        options: How its frames are enhanced.
        results: How the result is stored.
        tone: float32 [K], used for all its frames; by default they have a path of tones of their own.
    """

    source: PurePath
    target: PurePath
    options: EnhanceOptions
    results: ResultOptions
    tone: Floats | None = None

    @property
    def storing(self) -> Storing:
        """How the result is stored."""
        return Storing(
            suffix=self.target.suffix,
            codec=self.results.video_codec,
            crf=self.results.crf,
            strips=self.options.metadata == "strip",
            threads=usable_cores(),
        )

    @property
    def may_be_left(self) -> bool:
        """Whether a clip that is fine stays as it is: the options want that, and ask for no other file."""
        if self.options.unchanged == "skip":
            return True
        is_same = self.target.suffix.lower() == self.source.suffix.lower() and self.results.video_codec == "auto"
        return self.options.unchanged == "copy" and is_same and self.options.metadata == "keep"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say if the result has another container than its clip, and nobody asked for that."""
        before, after = self.source.suffix, self.target.suffix
        if before.lower() == after.lower() or clip_suffix(before, self.results.video_codec) != after:
            return ()
        return (f"the result is {after}, since {before} cannot hold it",)


class _LeftError(Exception):
    """The clip stays without a result, since it is fine."""


def convert_file(
    task: ClipTask,
    opened: Input,
    writing: AbstractContextManager[BinaryIO],
    facts: ClipFacts,
    workers: Sequence[Models],
    progress: Callable[[int], None],
    check: Callable[[ClipResult], None],
) -> ClipResult:
    """Enhance a clip, and write its result unless it stays as it is.

    Args:
        task: What is to be made of it.
        opened: The clip; it is not closed.
        writing: Gives the file of the result its name at its end.
        facts: What the clip is.
        workers: Models that work side by side.
        progress: Called with the number of frames that are done, several times a second; an exception that it raises
            ends the work.
        check: Called with the result before it gets its name; an exception that it raises keeps that from it.

    Raises:
        PictureError: The clip cannot be decoded, enhanced or encoded, or has changed.
        OutputError: The result cannot be written.
    """
    with suppress(_LeftError), writing as target:
        result = enhance_clip(
            opened.stream, target, facts, workers, task.options, task.storing, progress, fixed_tone=task.tone
        )
        result = replace(result, is_unchanged=result.is_unchanged and task.may_be_left)
        if not result.is_unchanged:
            result = replace(result, warnings=(*result.warnings, *task.notes))
        check(result)
        if opened.has_changed():
            raise PictureError("the file changed while it was worked on; run again")
        if result.is_unchanged:
            result = replace(result, warnings=())
            if task.options.unchanged == "skip":
                raise _LeftError
            opened.stream.seek(0)
            target.seek(0)
            target.truncate(0)
            shutil.copyfileobj(opened.stream, target)
    return result
