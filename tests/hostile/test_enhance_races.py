"""Entries are exchanged as fast as the system can, while `lumen enhance` works on them."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.commands import command, run, save

RENAME_EXCHANGE = 2
ROUNDS = 2
EXCHANGES = 200  # at least, in all rounds: beside other work a round may have few


def exchange(first: Path, second: Path) -> None:
    """Exchange two names in one step, as `renameat2` does."""
    libc = ctypes.CDLL(None, use_errno=True)
    at_cwd = -100
    if libc.renameat2(at_cwd, bytes(first), at_cwd, bytes(second), RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def exchanging(first: Path, second: Path) -> Iterator[list[int]]:
    """Exchange two names all the time for the length of a `with` block; the list holds how often."""
    ended, counts = threading.Event(), [0]

    def work() -> None:
        while not ended.is_set():
            exchange(first, second)
            counts[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield counts
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: pictures in `in/cam`, and in `private` others of the same names."""
    monkeypatch.chdir(tmp_path)
    for index in range(20):
        save(tmp_path / "in" / "cam" / f"{index:02}.png")
        save(tmp_path / "private" / f"{index:02}.png", size=(20, 30))
    try:
        exchange(tmp_path / "in", tmp_path / "private")
        exchange(tmp_path / "in", tmp_path / "private")
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        pytest.skip(f"names cannot be exchanged in one step here ({sys.platform})")
    return tmp_path


def private(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (place / "private").iterdir()}


@pytest.mark.parametrize("what", ["folder", "file"])
def test_in_place_nothing_elsewhere_is_touched(place: Path, fake_model: Path, what: str) -> None:
    before = private(place)
    cam = place / "in" / "cam"
    if what == "folder":
        (place / "in" / ".other").symlink_to("../private")
        names = (cam, place / "in" / ".other")
    else:
        (cam / ".other").symlink_to("../../private/10.png")
        names = (cam / "10.png", cam / ".other")
    exchanged = rounds = 0
    while rounds < ROUNDS or exchanged < EXCHANGES:
        rounds += 1
        with exchanging(*names) as counts:
            code, _, err = run(
                command("enhance", "in", "-r", "--in-place", "--existing", "overwrite", "-q", model=fake_model)
            )
        exchanged += counts[0]
        assert code in (0, 3, 4), err
        assert private(place) == before
    assert not list(place.rglob("*.lumen-tmp"))


def test_nothing_is_published_and_nothing_written_elsewhere(place: Path, fake_model: Path) -> None:
    before = private(place)
    sizes = {path.stat().st_size for path in (place / "private").iterdir()}
    (place / "in" / ".other").symlink_to("../private")
    (place / "out" / "cam").mkdir(parents=True)
    (place / "out" / ".other").symlink_to("../private")
    exchanged = rounds = 0
    while rounds < ROUNDS or exchanged < EXCHANGES:
        rounds += 1
        with (
            exchanging(place / "in" / "cam", place / "in" / ".other") as counts,
            exchanging(place / "out" / "cam", place / "out" / ".other"),
        ):
            line = command("enhance", "in", "-r", "-o", "out", "--no-follow-links", "-q", model=fake_model)
            code, _, err = run(line)
        exchanged += counts[0]
        # The output may lead to the input while it is planned: then that is refused.
        assert code in (0, 3, 4) or "would overwrite the input" in err, err
        assert private(place) == before
        real = next(path for path in (place / "out").iterdir() if path.is_dir() and not path.is_symlink())
        assert sizes.isdisjoint(path.stat().st_size for path in real.iterdir())
        shutil.rmtree(real)
        real.mkdir()
