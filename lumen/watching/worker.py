"""Files through the stages: decoded ahead, enhanced alone or with others like them, encoded and written behind."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from lumen.config import EnhanceOptions
from lumen.enhance.file_io import encode_result, read_source
from lumen.enhance.frames import are_alike, enhance_frames, frames_per_run
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import ContractError, LumenError, ModelError, NotFiniteError, UnavailableError
from lumen.files.atomic import flush_folder, make_folder, write_atomically
from lumen.files.paths import is_folder
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Models
from lumen.runtime.runs import terminate_runs
from lumen.spec import SampleType
from lumen.stages import LeftError, Stages, Steps
from lumen.watching.versions import Settled, Version

AHEAD = 16  # decoded pictures, if they are small
AHEAD_BYTES = 64 << 20  # when more is decoded, no other file is started
BEHIND = 24  # pictures that are being written
BEHIND_BYTES = 256 << 20
PROBE_PX = 64


class ChangedError(LumenError):
    """A file changed after it had settled."""


class KnownError(Exception):
    """A file has the content of a version that is finished already."""


class LostModelsError(Exception):
    """The models fail with every picture; `__cause__` says why."""


@dataclass(kw_only=True, eq=False)
class Work:
    """One file in work.

    Attributes:
        settled: The file.
        target: Where its result goes.
        stage: Its stage, or the one it ended in.
        picture: The picture, from decoding to encoding.
        data: The encoded result, until it is on the disk.
        digest: Of the content of the input.
        seconds: Spent on it so far, without waiting.
        megapixels: Size of the picture.
        together: How many pictures shared its run of the model.
        warnings: What could not be kept.
    """

    settled: Settled
    target: Path
    stage: Literal["read", "model", "write"] = "read"
    picture: Picture | None = None
    data: bytes | None = None
    digest: bytes = b""
    seconds: float = 0.0
    megapixels: float = 0.0
    together: int = 1
    warnings: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return (0 if self.picture is None else self.picture.pixels.nbytes) + len(self.data or b"")


Ending = tuple[Work, Exception | None]


class Worker:
    """Takes files through the stages. Its methods are for one thread; `wake` is called on others."""

    def __init__(
        self,
        models: Sequence[Models],
        options: EnhanceOptions,
        look: Callable[[str], Version | None],
        wake: Callable[[], None],
        *,
        helpers: int = 1,
    ) -> None:
        """Prepare.

        Args:
            models: Sets of models that work side by side.
            options: How each picture is enhanced.
            look: Returns the current version of a file, given its relative path.
            wake: Called when a stage has ended, and `advance` has something to do.
            helpers: Threads that read, and as many that write.
        """
        self._options = options
        self._look = look
        steps = Steps(read=self._read, work=self._improve, write=self._write, gather=self._alike)
        self._stages = Stages(
            steps, models, helpers=helpers, is_behind=self._is_behind, wake=wake, interrupt=terminate_runs
        )

    @property
    def inside(self) -> int:
        """How many files are in work."""
        return self._stages.inside

    @property
    def room(self) -> int:
        """How many files can be started now."""
        reading, ready = len(self._stages.reading), self._stages.ready
        if _nbytes(ready) > AHEAD_BYTES or self._is_behind():
            return 0
        return max(0, min(AHEAD - len(ready) - reading, self._stages.helpers - reading))

    @property
    def is_writing(self) -> bool:
        """Whether results are being written."""
        return bool(self._stages.writing)

    def begin(self, work: Work) -> None:
        """Start a file."""
        self._stages.submit(work)

    def write_again(self, work: Work) -> None:
        """Write a result that could not be written before."""
        self._stages.submit_writing(work, work)

    def advance(self) -> list[Ending]:
        """Pass files on to their next stage, and return those that have ended, with their error if there is one."""
        ended = list(self._stages.advance())
        self._stages.begin_work()
        return ended

    def leave(self) -> list[Work]:
        """Start nothing more, and return the files that had not reached the model."""
        return self._stages.leave()

    def abort(self) -> None:
        """Abort the pictures that the model works on."""
        self._stages.abort()

    def close(self) -> list[Work]:
        """End without waiting, and return the files that are left; threads that hang would keep the process alive."""
        stages = self._stages
        stages.close(at_once=True)
        return [*stages.ready, *stages.reading, *stages.working, *stages.writing]

    def _is_behind(self) -> bool:
        writing = self._stages.writing
        return len(writing) >= BEHIND or _nbytes(writing) > BEHIND_BYTES

    def _alike(self, models: Models, first: Work, others: Sequence[Work]) -> Sequence[Work]:
        """Return pictures that can share a run with the first one."""
        if first.picture is None or not others:
            return ()
        try:
            count = frames_per_run(first.picture, models, self._options)
        except LumenError:
            return ()  # the run itself reports the error
        alike = [work for work in others if work.picture is not None and are_alike(first.picture, work.picture)]
        return alike[: count - 1]

    def _read(self, work: Work) -> Work:
        started = time.monotonic()
        settled = work.settled
        try:
            with settled.path.open("rb") as file:
                work.digest = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).digest()
            if work.digest not in settled.known_digests:
                work.picture = read_source(settled.path, self._options, work.target)
        except Exception as error:
            # A file that is being replaced may seem damaged or missing.
            if self._has_changed(settled):
                raise ChangedError from error
            raise
        if self._has_changed(settled):
            raise ChangedError("it changed while it was read")
        if work.picture is None:
            raise KnownError
        work.megapixels = work.picture.width * work.picture.height / 1e6
        work.seconds = time.monotonic() - started
        return work

    def _has_changed(self, settled: Settled) -> bool:
        try:
            return self._look(settled.relative) != settled.version
        except OSError:
            return True

    def _improve(self, models: Models, works: Sequence[Work]) -> list[Work | Exception]:
        """Enhance pictures together; if that fails, one by one, so that none fails because of another."""
        started = time.monotonic()
        for work in works:
            work.stage = "model"
        if len(works) > 1:
            with suppress(Exception):
                pictures = [work.picture for work in works if work.picture is not None]
                enhanced = enhance_frames(pictures, models, self._options)
                for work, picture in zip(works, enhanced, strict=True):
                    work.picture, work.together = picture, len(works)
                    work.seconds += (time.monotonic() - started) / len(works)
                return list(works)
        return [self._improve_one(work, models) for work in works]

    def _improve_one(self, work: Work, models: Models) -> Work | Exception:
        started = time.monotonic()
        try:
            self._stages.check()
            if work.picture is not None:
                work.picture = enhance_picture(work.picture, models, self._options, lambda _: self._stages.check())
        except Exception as error:  # noqa: BLE001
            return self._attributed(error, work, models)
        work.seconds += time.monotonic() - started
        return work

    def _attributed(self, error: Exception, work: Work, models: Models) -> Exception:
        """Return the error itself if it is that of the picture, `LostModelsError` if the models cannot be used."""
        try:
            self._stages.check()
        except LeftError as left:  # an interrupted model fails
            return left
        if isinstance(error, ContractError):
            return _lost(error)
        if isinstance(error, NotFiniteError) and work.picture is not None:
            return error if self._works(models, work.picture.sample) else _lost(error)
        if isinstance(error, UnavailableError):
            return error if self._works(models, "uint8") else _lost(error)
        return error

    def _works(self, models: Models, sample: SampleType) -> bool:
        """Tell whether the models work with a picture that nobody sent: small, grey and dark."""
        level = np.iinfo(sample).max // 6
        picture = Picture(pixels=np.full((PROBE_PX, PROBE_PX, 3), level, sample), format="png")
        try:
            enhance_picture(picture, models, self._options)
        except Exception:  # noqa: BLE001
            return False
        return True

    def _write(self, work: Work) -> None:
        started = time.monotonic()
        work.stage = "write"
        if work.data is None and work.picture is not None:
            work.data, work.warnings = encode_result(work.picture, work.settled.path, work.target, self._options)
            work.picture = None
        _make_durable_folder(work.target.parent)
        write_atomically(work.target, work.data or b"", modified_ns=work.settled.version.mtime_ns)
        work.data = None
        work.seconds += time.monotonic() - started


def _lost(error: Exception) -> LostModelsError:
    lost = LostModelsError()
    lost.__cause__ = error if isinstance(error, UnavailableError) else ModelError(str(error))
    return lost


def _nbytes(works: Sequence[Work]) -> int:
    return sum(work.nbytes for work in works)


def _make_durable_folder(folder: Path) -> None:
    """Make a folder and its missing parents, and flush their names to the disk: the input may be removed after this."""
    if is_folder(folder):
        return
    missing = [each for each in (folder, *folder.parents) if not is_folder(each)]
    make_folder(folder)
    for each in missing:
        flush_folder(each.parent)
