"""Files of which more and more come: decoded ahead, through the model alone or together, encoded and written behind."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from lumen.config import EnhanceOptions
from lumen.enhance.file_io import encode_result, read_source
from lumen.enhance.frames import are_alike, enhance_frames, frames_per_run
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import LumenError, UnavailableError
from lumen.files.atomic import flush_folder, make_folder, write_atomically
from lumen.files.paths import is_folder
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Models
from lumen.watching.versions import Settled, Version

AHEAD = 16  # decoded pictures, while they are small
AHEAD_BYTES = 64 << 20  # when more are decoded, no other is begun
BEHIND = 24  # pictures that are being written
BEHIND_BYTES = 256 << 20
PROBE_PX = 64

Stage = Literal["read", "model", "write"]
Look = Callable[[str], Version | None]
R = TypeVar("R")


class ChangedError(LumenError):
    """A file is not any more what it was when it had settled."""


class KnownError(Exception):
    """A file has the content of a version that was finished."""


class LostModelsError(Exception):
    """The models fail with every picture; the cause says why."""


class LeftError(Exception):
    """A picture was left unfinished on purpose."""


@dataclass(kw_only=True, eq=False)
class Work:
    """One file on its way.

    Attributes:
        settled: The file.
        target: Where its result goes.
        stage: Where it is, or was when it ended.
        picture: From decoding to encoding.
        data: The encoded result; it is kept until it is on the disk.
        digest: Of the input's content.
        seconds: Spent on it so far, waiting not counted.
        megapixels: Size of the picture.
        together: How many pictures shared the run of the model.
        warnings: What could not be kept.
    """

    settled: Settled
    target: Path
    stage: Stage = "read"
    picture: Picture | None = None
    data: bytes | None = None
    digest: bytes = b""
    seconds: float = 0.0
    megapixels: float = 0.0
    together: int = 1
    warnings: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return (0 if self.picture is None else self.picture.pixels.nbytes) + len(self.data or b"")


Ending = tuple[Work, Exception | None]


@dataclass(kw_only=True, eq=False)
class _Run:
    """Pictures that go through a model together."""

    models: Models
    works: list[Work]


class Worker:
    """Takes files through the stages. Its methods are for one thread; `bell` is called from others."""

    def __init__(
        self,
        models: Sequence[Models],
        options: EnhanceOptions,
        look: Look,
        bell: Callable[[], None],
        *,
        helpers: int = 1,
    ) -> None:
        """Prepare.

        Args:
            models: Each set works on pictures of its own.
            options: What is done to each picture.
            look: Returns what the file of a relative path is now.
            bell: Called when a stage has ended, and `advance` has something to do.
            helpers: Threads that read, and as many that write.
        """
        self._options = options
        self._look = look
        self._bell = bell
        self._helpers = helpers
        self._leave = threading.Event()
        self._is_leaving = False
        self._idle = deque(models)
        self._ready: deque[Work] = deque()
        self._reading: dict[Future[None], Work] = {}
        self._improving: dict[Future[list[Ending]], _Run] = {}
        self._writing: dict[Future[None], Work] = {}
        self._readers = ThreadPoolExecutor(helpers, "read")
        self._workers = ThreadPoolExecutor(len(models), "model")
        self._writers = ThreadPoolExecutor(helpers, "write")

    @property
    def inside(self) -> int:
        """How many files are here."""
        return (
            len(self._reading)
            + len(self._ready)
            + len(self._writing)
            + sum(len(run.works) for run in self._improving.values())
        )

    @property
    def room(self) -> int:
        """How many files can be begun now."""
        ahead = AHEAD - len(self._ready) - len(self._reading)
        full = sum(work.nbytes for work in self._ready) > AHEAD_BYTES or self._is_behind()
        return 0 if full else max(0, min(ahead, self._helpers - len(self._reading)))

    @property
    def is_writing(self) -> bool:
        """Whether results are being written."""
        return bool(self._writing)

    def begin(self, work: Work) -> None:
        """Begin with a file."""
        self._reading[self._submit(self._readers, partial(self._read, work))] = work

    def write_again(self, work: Work) -> None:
        """Write a result that could not be written."""
        self._writing[self._submit(self._writers, partial(self._write, work))] = work

    def advance(self) -> list[Ending]:
        """Hand on what the stages have done, and return the files that have ended, with their error if there is one."""
        endings: list[Ending] = []
        for reading in [future for future in self._reading if future.done()]:
            work, error = self._reading.pop(reading), _error(reading)
            if error is None and self._is_leaving:
                error = LeftError()
            if error is None:
                self._ready.append(work)
            else:
                endings.append((work, error))
        for improving in [future for future in self._improving if future.done()]:
            run = self._improving.pop(improving)
            self._idle.append(run.models)
            for work, error in improving.result():
                if error is None:
                    self.write_again(work)
                else:
                    endings.append((work, error))
        written = [future for future in self._writing if future.done()]
        endings += [(self._writing.pop(writing), _error(writing)) for writing in written]
        self._begin_runs()
        return endings

    def leave(self) -> list[Work]:
        """Begin nothing more, and return the files that had not reached the model."""
        self._is_leaving = True
        left = list(self._ready)
        self._ready.clear()
        for future, work in list(self._reading.items()):
            if future.cancel():
                left.append(work)
                del self._reading[future]
        return left

    def hurry(self) -> None:
        """Leave pictures unfinished that the model works on."""
        self._leave.set()

    def close(self) -> list[Work]:
        """End without waiting, and return the files that are left; threads that hang keep the process from ending."""
        self._leave.set()
        for pool in (self._readers, self._workers, self._writers):
            pool.shutdown(wait=False, cancel_futures=True)
        runs = [work for run in self._improving.values() for work in run.works]
        return [*self._ready, *self._reading.values(), *runs, *self._writing.values()]

    def _submit(self, pool: ThreadPoolExecutor, call: Callable[[], R]) -> Future[R]:
        future = pool.submit(call)
        future.add_done_callback(lambda _: self._bell())
        return future

    def _is_behind(self) -> bool:
        return len(self._writing) >= BEHIND or sum(work.nbytes for work in self._writing.values()) > BEHIND_BYTES

    def _begin_runs(self) -> None:
        while self._idle and self._ready and not self._is_behind():
            run = _Run(models=self._idle.popleft(), works=[self._ready.popleft()])
            self._gather(run)
            self._improving[self._submit(self._workers, partial(self._improve, run))] = run

    def _gather(self, run: _Run) -> None:
        """Add to a run the pictures that are like its first one."""
        first = run.works[0].picture
        if first is None or not self._ready:
            return
        with suppress(LumenError):  # the run itself will say it
            count = frames_per_run(first, run.models, self._options)
            alike = [work for work in self._ready if work.picture is not None and are_alike(first, work.picture)]
            run.works += alike[: count - 1]
        for work in run.works[1:]:
            self._ready.remove(work)

    def _read(self, work: Work) -> None:
        started = time.monotonic()
        settled = work.settled
        try:
            with settled.path.open("rb") as file:
                work.digest = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).digest()
            if work.digest not in settled.twins:
                work.picture = read_source(settled.path, self._options, work.target)
        except Exception as error:
            # A file that is being replaced may look damaged, or be gone.
            if self._has_changed(settled):
                raise ChangedError from error
            raise
        if self._has_changed(settled):
            raise ChangedError("it changed while it was read")
        if work.picture is None:
            raise KnownError
        work.megapixels = work.picture.width * work.picture.height / 1e6
        work.seconds = time.monotonic() - started

    def _has_changed(self, settled: Settled) -> bool:
        try:
            return self._look(settled.relative) != settled.version
        except OSError:
            return True

    def _improve(self, run: _Run) -> list[Ending]:
        """Enhance pictures together; where that fails, one by one, so that none fails for another."""
        started = time.monotonic()
        for work in run.works:
            work.stage = "model"
        if len(run.works) > 1:
            with suppress(Exception):
                pictures = [work.picture for work in run.works if work.picture is not None]
                enhanced = enhance_frames(pictures, run.models, self._options)
                for work, picture in zip(run.works, enhanced, strict=True):
                    work.picture, work.together = picture, len(run.works)
                    work.seconds += (time.monotonic() - started) / len(run.works)
                return [(work, None) for work in run.works]
        return [(work, self._improve_one(work, run.models)) for work in run.works]

    def _improve_one(self, work: Work, models: Models) -> Exception | None:
        def progress(_: float) -> None:
            if self._leave.is_set():
                raise LeftError

        started = time.monotonic()
        try:
            progress(0.0)
            if work.picture is not None:
                work.picture = enhance_picture(work.picture, models, self._options, progress)
        except UnavailableError as error:
            return self._blamed(error, models)
        except Exception as error:  # noqa: BLE001
            return error
        work.seconds += time.monotonic() - started
        return None

    def _blamed(self, error: UnavailableError, models: Models) -> Exception:
        """Return an error as it is where the models still work with other pictures."""
        picture = Picture(pixels=np.full((PROBE_PX, PROBE_PX, 3), 40, np.uint8), format="png")
        try:
            enhance_picture(picture, models, self._options)
        except Exception:  # noqa: BLE001
            lost = LostModelsError()
            lost.__cause__ = error
            return lost
        return error

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


def _error(future: Future[None]) -> Exception | None:
    """Return what a stage has raised; what is no `Exception` is raised."""
    try:
        future.result()
    except Exception as error:  # noqa: BLE001
        return error
    return None


def _make_durable_folder(folder: Path) -> None:
    """Make a folder and those above it, and bring their names to the disk: an input may be removed after this."""
    if is_folder(folder):
        return
    missing = [each for each in (folder, *folder.parents) if not is_folder(each)]
    make_folder(folder)
    for each in missing:
        flush_folder(each.parent)
