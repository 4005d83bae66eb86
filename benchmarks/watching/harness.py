"""Runs `lumen watch` as services are run, in a process of its own, and looks at what it tells, writes and remembers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

from lumen.files.atomic import TEMP_SUFFIX
from tests.support.fakes import write_fake_onnx

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "NO_COLOR": "1",
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "export")]),
}
PATIENCE_S = float(os.environ.get("LUMEN_WATCH_PATIENCE_S", "60"))
GAIN = 2
DISK_MB = 8

Event = dict[str, Any]
Facts = dict[str, Any]


class FailedError(AssertionError):
    """Something that must hold does not."""


class CannotError(Exception):
    """This machine does not let the fault be made."""


def require(condition: object, text: str) -> None:
    """Raise `FailedError` unless a condition holds."""
    if not condition:
        raise FailedError(text)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Folders and models of one scenario."""

    folder: Path

    @property
    def watched(self) -> Path:
        return self.folder / "in"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def outside(self) -> Path:
        return self.folder / "outside"

    @property
    def model(self) -> Path:
        return self.folder / "fast.onnx"

    @property
    def slow_model(self) -> Path:
        return self.folder / "slow.onnx"

    @classmethod
    def make(cls, folder: Path) -> Place:
        """Make the folders, and models that double every sample: one at once, one after some work."""
        place = cls(folder=folder)
        for each in (place.watched, place.outside):
            each.mkdir(parents=True)
        write_fake_onnx(place.model, gain=GAIN, radius=0)
        write_fake_onnx(place.slow_model, gain=GAIN, radius=0, burn=12)
        return place


def frame(seed: int, width: int = 64, height: int = 48) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a dark picture [H, W, 3] that is like no other."""
    return np.random.default_rng(seed).integers(0, 80, (height, width, 3), dtype=np.uint8)


def save(path: Path, seed: int, width: int = 64, height: int = 48) -> Path:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(frame(seed, width, height)).save(path, compress_level=1)
    return path


def is_result(path: Path, seed: int, width: int = 64, height: int = 48) -> bool:
    """Tell whether a file holds what the model makes of that picture, whole."""
    return bool(np.array_equal(pixels(path), frame(seed, width, height) * GAIN))


def pixels(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Decode a file as others do."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def results(folder: Path) -> dict[str, Path]:
    """Return the files below a folder that are not hidden, by their place."""
    found = {}
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            found[str(relative)] = path
    return found


def leftovers(*folders: Path) -> list[str]:
    """Return hidden files that were left half-written."""
    return [str(path) for folder in folders for path in folder.rglob(f"*{TEMP_SUFFIX}")]


def ledger(out: Path, query: str = "SELECT path, status, attempts, reason FROM versions") -> list[tuple[Any, ...]]:
    """Ask the ledger of an output folder."""
    path = out / ".lumen" / "watch.db"
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as database:
        return [tuple(map(_text, row)) for row in database.execute(query)]


def statuses(out: Path) -> dict[str, list[str]]:
    """Return the statuses of all versions of each file."""
    found: dict[str, list[str]] = {}
    for path, status in ledger(out, "SELECT path, status FROM versions ORDER BY id"):
        found.setdefault(path, []).append(status)
    return found


class Watch:
    """A `lumen watch` while it runs; it is killed at the end of the `with` block, if it still does.

    Attributes:
        process: The process.
        events: What it told so far, once `read` or a wait has been called.
    """

    def __init__(
        self,
        place: Place,
        *options: object,
        model: Path | str | None = None,
        settle_s: float = 0.2,
        prefix: Sequence[str] = (),
    ) -> None:
        """Take the options of the command."""
        self.place = place
        self.events: list[Event] = []
        self._log = place.folder / f"events-{time.monotonic_ns()}.jsonl"
        self._read = 0
        words = ["--json", "--log", self._log, "--settle", f"{settle_s * 1000:.0f}ms", "-m", model or place.model]
        command = [*prefix, sys.executable, "-m", "lumen", "watch", place.watched, place.out, *words, *options]
        self._command = list(map(str, command))

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            env=ENVIRONMENT,
            cwd=self.place.folder,  # not another copy of lumen, where that is run from
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def read(self) -> list[Event]:
        """Return all that was told so far."""
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._read += len(line)
                    self.events.append(json.loads(line))
        return self.events

    def named(self, name: str) -> list[Event]:
        """Return the events of a name."""
        return [event for event in self.read() if event["event"] == name]

    def wait(self, condition: Callable[[], object], what: str, patience_s: float | None = None) -> float:
        """Wait until a condition holds, and return the seconds it took."""
        started = time.monotonic()
        while not condition():
            if self.process.poll() is not None:
                _, said = self.process.communicate()
                raise FailedError(f"it ended with {self.process.returncode} while waiting for {what}: {said}")
            if time.monotonic() - started > (patience_s or PATIENCE_S):
                raise FailedError(f"waited in vain for {what}; last: {self.read()[-5:]}")
            time.sleep(0.01)
        return time.monotonic() - started

    def wait_for(self, name: str, count: int = 1, patience_s: float | None = None) -> None:
        """Wait until so many events of a name were told."""
        self.wait(lambda: len(self.named(name)) >= count, f"{count} events {name!r}", patience_s)

    def wait_watching(self) -> None:
        """Wait until it has looked at everything once."""
        self.wait_for("scanned")

    def wait_done(self, names: Iterable[str], patience_s: float | None = None) -> None:
        """Wait until files are done."""
        wanted = set(names)
        self.wait(lambda: wanted <= self.done(), f"{len(wanted)} files", patience_s)

    def done(self) -> set[str]:
        """Return the files that are done."""
        return {event["path"] for event in self.named("done")}

    def stop(self, number: signal.Signals = signal.SIGTERM, patience_s: float = 40) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.end(patience_s)

    def end(self, patience_s: float | None = None) -> int:
        """Wait for its end and return the exit code."""
        self.process.wait(patience_s or PATIENCE_S)
        self.read()
        return self.process.returncode

    def resident_mib(self) -> float:
        """Return its resident memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def cpu_s(self) -> float:
        """Return the CPU time it took so far."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """Return how many files it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


def run_once(place: Place, *options: object, **arguments: Any) -> Watch:
    """Run `lumen watch --oneshot` to its end."""
    with Watch(place, "--oneshot", *options, **arguments) as watch:
        watch.end()
    return watch


def in_namespace(*flags: str) -> list[str]:
    """Return what to put before a command that makes mounts or limits of its own.

    Raises:
        CannotError: That is not allowed here.
    """
    prefix = ["unshare", *flags]
    there = shutil.which("unshare") is not None
    if not there or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        raise CannotError("no right to make namespaces here (unshare)")
    return prefix


def on_small_disk(check: Callable[[Place, int], Facts], place: Place, count: int) -> Facts:
    """Return what a check finds in a process of its own, where the output folder is a disk of `DISK_MB`.

    Raises:
        CannotError: Nothing can be mounted here.
        FailedError: The check failed.
    """
    script = (
        f"import sys; from {__name__} import print_on_small_disk; from {check.__module__} import {check.__name__}; "
        f"print_on_small_disk({check.__name__}, *sys.argv[1:])"
    )
    line = [*in_namespace("-Urm"), sys.executable, "-c", script, str(place.folder), str(count)]
    done = subprocess.run(line, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedError(done.stderr.strip().splitlines()[-1])
    facts: Facts = json.loads(done.stdout.splitlines()[-1])
    return facts


def print_on_small_disk(check: Callable[[Place, int], Facts], folder: str, count: str) -> None:
    """Mount the disk, run a check and print what it finds; with the right to mount."""
    place = Place(folder=Path(folder))
    place.out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", place.out], check=True)
    facts = check(place, int(count))
    subprocess.run(["umount", place.out], check=True)
    print(json.dumps(facts))


@dataclass
class Repeated:
    """Seconds of one thing that was done many times."""

    seconds: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Return the time that this share of them stayed within."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextlib.contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[None]:
    """Have a process stand still for the length of a `with` block."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def _text(value: Any) -> Any:
    return os.fsdecode(value) if isinstance(value, bytes) else value
