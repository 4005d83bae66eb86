"""A file in work, and how its work may end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from lumen.config import EnhanceOptions
from lumen.errors import LumenError, PictureError
from lumen.files.inputs import Identity
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Floats
from lumen.video.facts import ClipFacts
from lumen.watching.folder_lights import Turn
from lumen.watching.versions import Settled


class ChangedError(LumenError):
    """A file changed after it had settled."""


class HangingError(PictureError):
    """Reading or decoding a file makes no progress."""


class KnownError(Exception):
    """A file has the content of a version that is finished already."""


@dataclass(kw_only=True, eq=False)
class Work:
    """One file in work.

    Attributes:
        settled: The file.
        target: Where its result goes.
        options: How it is enhanced.
        changes: Which of these differ from those of other pictures.
        stage: Its stage, or the one it ended in.
        picture: The picture, from decoding to encoding.
        clip: What it is, if it is a clip.
        frames: How many frames of a clip were enhanced.
        data: The encoded result, until it is on the disk.
        identity: Of the input, when it was opened.
        digest: Of the content of the input.
        is_to_keep: Whether its input must be left alone, because it may be damaged or has no result.
        is_left: Whether it was fine as it is, so that its file is copied or skipped.
        seconds: Spent on it so far, without waiting.
        megapixels: Size of the picture.
        together: How many pictures shared its run of the model.
        warnings: What could not be kept.
        extended: Extended attributes of the input, which the result gets.
        stream: The input, while it is read.
        position: How far it was read when that was last looked at.
        still_s: For how long it has not got further.
        turn: Its place in the order of its folder, if that has a steady light.
        tone: float32 [K], used instead of its own.
    """

    settled: Settled
    target: Path
    options: EnhanceOptions = field(default_factory=EnhanceOptions)
    changes: Mapping[str, Any] = field(default_factory=dict)
    stage: Literal["read", "model", "write"] = "read"
    picture: Picture | None = None
    clip: ClipFacts | None = None
    frames: int = 0
    data: bytes | None = None
    identity: Identity | None = None
    digest: bytes = b""
    is_to_keep: bool = False
    is_left: bool = False
    seconds: float = 0.0
    megapixels: float = 0.0
    together: int = 1
    warnings: tuple[str, ...] = ()
    extended: Mapping[str, bytes] = field(default_factory=dict)
    stream: BinaryIO | None = None
    position: int = -1
    still_s: float = 0.0
    turn: Turn | None = None
    tone: Floats | None = None

    def wait(self, seconds: float) -> None:
        """Count the time in which nothing was read, not even by the decoder that has the stream."""
        position = -1
        with suppress(OSError, ValueError):  # it may be closed in this moment
            position = -1 if self.stream is None else os.lseek(self.stream.fileno(), 0, os.SEEK_CUR)
        is_still = position == self.position and not (self.turn is not None and self.turn.is_waiting)
        self.still_s = self.still_s + seconds if is_still else 0.0
        self.position = position

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return (0 if self.picture is None else self.picture.pixels.nbytes) + len(self.data or b"")


Ending = tuple[Work, Exception | None]
