"""What lumen does while another user exchanges its files: run `python benchmarks/races.py`, as root, on Linux.

A user who may write into a folder exchanges entries in it (renameat2 with RENAME_EXCHANGE) as fast as the system lets
him, while lumen works on that folder as root. Beside it lies a private folder with pictures of the same names, to which
the links lead. Nothing in there may be opened, published, changed, moved or removed, and nobody may hang. A table says
what was found, and the exit code is 1 where something does not hold.

Kinds:

file-link    A file and a link to a private file.
folder-link  A folder and a link to the private folder.
file-pipe    A file and a pipe to which nobody writes.
result-link  A folder of the output, which belongs to that user, and a link to the private folder.

Commands: `delete`, `move` and `move-far` (to another disk) are `lumen watch` with `--on-success`; `enhance` is
`lumen enhance -r --no-follow-links -o OUT`, and `in-place` is `lumen enhance -r --in-place`, both over and over.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from PIL import Image

from benchmarks.watching.harness import (
    ENVIRONMENT,
    GAIN,
    CannotError,
    Facts,
    FailedError,
    Place,
    Watch,
    pixels,
    require,
    save,
)
from lumen.watching.moving import hidden_name

KINDS = ("file-link", "folder-link", "file-pipe", "result-link")
COMMANDS = ("delete", "move", "move-far", "enhance", "in-place")
NOBODY = 65534
NAMES = [f"{index}.png" for index in range(6)]
PRIVATE = 111  # the value of every sample of the private pictures; others have at most 80
WITHIN_S = 25.0  # to end after SIGTERM
HANGS_S = 60.0  # for one run of `enhance`
PATIENCE_S = 30.0  # more, until something was done: other work may slow it down
FAR = Path("/dev/shm")

_OPEN, _ACCESS, _CHANGES, _FOLDER = 0x20, 0x1, 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200, 0x40000000
_LOST = 0x4000
_EXCHANGE, _HERE = 2, -100
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(one: str, other: str) -> bool:
    """Exchange two entries in one step; return False if one of them is missing."""
    if _libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number != errno.ENOENT:
        raise OSError(number, os.strerror(number), one, None, other)
    return False


class Guard:
    """Tells who touches a folder and its files, with inotify."""

    def __init__(self, folder: Path) -> None:
        self.found: list[str] = []
        self.listed = 0  # how often the names in the folder were read: the event library follows links for its hints
        self._number = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        _libc.inotify_add_watch(self._number, os.fsencode(folder), _OPEN | _ACCESS | _CHANGES)

    def look(self) -> None:
        """Take note of what happened to files in the folder; call it often, or events are lost."""
        with suppress(BlockingIOError):
            while data := os.read(self._number, 1 << 16):
                while data:
                    mask, length = (int.from_bytes(data[at : at + 4], sys.byteorder) for at in (4, 12))
                    name = os.fsdecode(data[16 : 16 + length].rstrip(b"\0"))
                    if mask & _FOLDER and not mask & _CHANGES:
                        self.listed += bool(mask & _OPEN)
                    else:
                        self.found.append("events were lost" if mask & _LOST else f"{name} {mask:#x}")
                    data = data[16 + length :]

    def close(self) -> None:
        os.close(self._number)


class Attacker:
    """Exchanges entries in a process of another user, from the start to the end of a `with` block."""

    def __init__(self, place: Place, kind: str, private: Path) -> None:
        self.kind, self.place = kind, place
        self.exchanges = 0
        self._variants = [save(place.folder / "variants" / name, 1000 + seed).read_bytes() for seed, name in _seeds()]
        self._spare = {"file-pipe": os.mkfifo}.get(kind, lambda path: os.symlink(private, path))  # noqa: PTH211
        if kind == "file-link":
            self._spare = lambda path: os.symlink(private / path[2:], path)  # noqa: PTH211

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            status = 1
            try:
                os.chdir(self.place.out if self.kind == "result-link" else self.place.watched)
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                self._attack(lambda: os.write(writing, b"x"))
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        self._reading = reading
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._child, signal.SIGTERM)
        os.waitpid(self._child, 0)
        os.close(self._reading)

    def count(self) -> int:
        """Take over how many exchanges there were so far."""
        os.set_blocking(self._reading, False)
        with suppress(BlockingIOError):
            while data := os.read(self._reading, 1 << 16):
                self.exchanges += 100 * len(data)
        return self.exchanges

    def _attack(self, tell: Callable[[], object]) -> None:
        chance, count = random.Random(0), 0
        while True:
            if self.kind in ("folder-link", "result-link"):
                done = [self._exchange("cam", ".x")]
            else:
                name = chance.choice(NAMES)
                spare = f".x{name}"
                done = [self._exchange(f"cam/{name}", spare), self._exchange(f"cam/{hidden_name(name)}", spare)]
            for _ in range(sum(done)):
                count += 1
                if count % 100 == 0:
                    tell()
            if chance.random() < 0.01 or not any(done):
                self._supply(chance)
            if chance.random() < 0.002:  # so that files settle now and then
                time.sleep(chance.choice([0.001, 0.01, 0.03, 0.1, 0.3]))

    def _exchange(self, one: str, other: str) -> bool:
        try:
            os.lstat(other)
        except FileNotFoundError:
            with suppress(FileExistsError):
                self._spare(other)
        try:
            return exchange(one, other)
        except OSError:  # a folder was renamed in between
            return False

    def _supply(self, chance: random.Random) -> None:
        """Bring a new picture to its place, wherever that is at the moment."""
        name = chance.choice(NAMES)
        if self.kind == "result-link":
            with suppress(FileExistsError):
                Path("cam").mkdir()
            return
        place = f"cam/{name}"
        if self.kind == "folder-link":
            place = f"cam/{name}" if stat.S_ISDIR(os.lstat("cam").st_mode) else f".x/{name}"
        else:
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(os.lstat(place).st_mode):
                    place = f".x{name}"
        Path(".new").write_bytes(chance.choice(self._variants))
        with suppress(OSError):
            Path(".new").replace(place)


def _seeds() -> Iterator[tuple[int, str]]:
    return ((seed, f"{seed}.png") for seed in range(40))


def race(place: Place, kind: str, command: str, seconds: float) -> Facts:
    """Let one command race with one kind of exchange, and return what was found."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        raise CannotError("it needs root on Linux")
    far = Path(tempfile.mkdtemp(dir=FAR)) if command == "move-far" else place.outside
    if command == "move-far" and far.stat().st_dev == place.folder.stat().st_dev:
        raise CannotError(f"{FAR} is on the same disk")
    private = place.folder / "private"
    private.mkdir(mode=0o700)
    for name in NAMES:
        Image.new("RGB", (64, 48), (PRIVATE, PRIVATE, PRIVATE)).save(private / name)
        save(place.watched / "cam" / name, int(name[0]))
    (place.out / "cam").mkdir(parents=True)
    _give(place.watched)
    if kind == "result-link":
        _give(place.out)
    before, guard = _state(private), Guard(private)
    try:
        with Attacker(place, kind, private) as attacker:
            facts = (
                _enhance(place, command, seconds, guard)
                if command in ("enhance", "in-place")
                else _watch(place, kind, command, seconds, far, guard)
            )
            facts["exchanges"] = attacker.count()
        guard.look()
        facts["listed"] = guard.listed
        require(not guard.found, f"private files were touched: {guard.found[:3]}")
        require(_state(private) == before, "the private folder is as before")
        for folder in (place.out, far, place.watched):
            _require_no_private(folder, links=folder != place.watched and kind != "result-link")
    finally:
        guard.close()
        if far != place.outside:
            shutil.rmtree(far)
    return facts


def _watch(place: Place, kind: str, command: str, seconds: float, far: Path, guard: Guard) -> Facts:
    then = "delete" if command == "delete" else f"move:{far / 'done'}"
    options = ("--on-success", then, "--failed-dir", far / "bad", "--rescan", "1s", "--retries", 2)
    with Watch(place, *options, "--incomplete-timeout", "1s", "--min-free", 0, settle_s=0.03) as watch:
        watch.wait_watching()
        end, supplied = time.monotonic() + seconds, 0
        while time.monotonic() < end or not (watch.named("done") or time.monotonic() > end + PATIENCE_S):
            require(watch.process.poll() is None, f"it ended with {watch.process.returncode}")
            if kind == "result-link":  # the inputs are not attacked
                supplied += 1
                save(place.watched / "cam" / NAMES[supplied % len(NAMES)], supplied)
            guard.look()
            time.sleep(0.1)
        began = time.monotonic()
        require(watch.stop(patience_s=WITHIN_S) == 0, "exit 0")
        facts = {"ended_s": round(time.monotonic() - began, 1)}
        for name in ("done", "failed", "deferred", "retire"):
            facts[name] = len(watch.named(name))
    require(facts["done"], "something was done")
    return facts


def _enhance(place: Place, command: str, seconds: float, guard: Guard) -> Facts:
    where = (
        ["--in-place"] if command == "in-place" else ["--no-follow-links", "-o", place.out, "--existing", "overwrite"]
    )
    line = [sys.executable, "-m", "lumen", "enhance", place.watched, "-r", *where, "-m", place.model, "--json"]
    facts: Facts = {"runs": 0, "done": 0, "failed": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end or not (facts["done"] or time.monotonic() > end + PATIENCE_S):
        try:
            said = subprocess.run(
                list(map(str, line)),
                env=ENVIRONMENT,
                cwd=place.folder,
                capture_output=True,
                timeout=HANGS_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise FailedError(f"it hangs for {HANGS_S:g} s") from None
        require(said.returncode in (0, 3, 4), f"it ended with {said.returncode}: {said.stderr.decode()[-300:]}")
        facts["runs"] += 1
        guard.look()
        statuses = [json.loads(row).get("status") for row in said.stdout.splitlines()]
        facts["done"] += statuses.count("done")
        facts["failed"] += statuses.count("failed")
    require(facts["done"], f"something was done: {said.stdout[-300:]!r} {said.stderr[-300:]!r}")
    return facts


def _require_no_private(folder: Path, *, links: bool) -> None:
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where, name)
            facts = path.lstat()
            if stat.S_ISLNK(facts.st_mode):
                require(not links, f"a link was brought to {path}")
            elif stat.S_ISREG(facts.st_mode) and path.suffix == ".png" and facts.st_size:
                with suppress(OSError):  # half written
                    shown = set(np.unique(pixels(path)))
                    require(not shown & {PRIVATE, PRIVATE * GAIN} or len(shown) > 1, f"a private picture is at {path}")


def _give(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


def _state(folder: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in folder.iterdir():
        facts = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[path.name] = (facts.st_ino, facts.st_mtime_ns, facts.st_uid, facts.st_mode, facts.st_nlink, digest)
    return found


@contextmanager
def _place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="lumen-race-") as folder:
        Path(folder).chmod(0o755)
        yield Place.make(Path(folder))


def check(kind: str, command: str, seconds: float) -> Facts:
    """Run one race; `holds` is true, false, or None where it cannot be run."""
    holds: bool | None = True
    with _place() as place:
        try:
            facts = race(place, kind, command, seconds)
        except FailedError as error:
            holds, facts = False, {"fault": str(error)}
        except CannotError as error:
            holds, facts = None, {"not here": str(error)}
    return {"kind": kind, "command": command, "holds": holds, **facts}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each kind, shared by its commands")
    parser.add_argument("--kinds", default=",".join(KINDS), help="such as file-link,file-pipe")
    parser.add_argument("--commands", default=",".join(COMMANDS), help="such as delete,in-place")
    parser.add_argument("--json", action="store_true", help="one object a line")
    arguments = parser.parse_args()
    commands, exchanges, holds = arguments.commands.split(","), 0, True
    for kind in arguments.kinds.split(","):
        for command in commands:
            if (kind, command) == ("result-link", "in-place"):
                continue  # there is no output
            found = check(kind, command, arguments.seconds / len(commands))
            holds &= found["holds"] is not False
            exchanges += found.get("exchanges", 0)
            verdict = {True: "holds", False: "FAILS", None: "not here"}[found["holds"]]
            facts = "; ".join(
                f"{key}: {value}" for key, value in found.items() if key not in ("kind", "command", "holds")
            )
            print(json.dumps(found) if arguments.json else f"{kind:12} {command:9} {verdict:9} {facts}", flush=True)
    if not arguments.json:
        print(f"{exchanges} exchanges")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
