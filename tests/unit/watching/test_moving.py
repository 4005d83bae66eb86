"""Files that move: nothing is replaced, and what was interrupted is finished."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from lumen.watching.moving import move
from tests.support.watching import write_file


def test_a_file_moves_to_its_place(tmp_path: Path) -> None:
    path = write_file(tmp_path / "in" / "d" / "a.jpg", b"1")
    inode = path.stat().st_ino
    place = move(path, tmp_path / "done", "d/a.jpg")
    assert place == tmp_path / "done" / "d" / "a.jpg"
    assert (place.read_bytes(), place.stat().st_ino, path.exists()) == (b"1", inode, False)


def test_nothing_is_replaced_there(tmp_path: Path) -> None:
    for data in (b"1", b"2", b"3"):
        move(write_file(tmp_path / "a.jpg", data), tmp_path / "done", "a.jpg")
    found = {path.name: path.read_bytes() for path in (tmp_path / "done").iterdir()}
    assert found == {"a.jpg": b"1", "a~2.jpg": b"2", "a~3.jpg": b"3"}


@pytest.fixture
def other_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file can have a second name."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("other_disk")
def test_to_another_disk_a_file_is_copied_with_its_times(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.jpg", b"1")
    os.utime(path, ns=(1, 1_234_567_891))
    place = move(path, tmp_path / "done", "a.jpg")
    assert (place.read_bytes(), place.stat().st_mtime_ns, path.exists()) == (b"1", 1_234_567_891, False)
    assert move(write_file(path, b"2"), tmp_path / "done", "a.jpg").name == "a~2.jpg"
    assert sorted(each.name for each in (tmp_path / "done").iterdir()) == ["a.jpg", "a~2.jpg"]


def test_a_move_that_was_interrupted_is_finished_and_leaves_one_file(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.jpg", b"1")
    (tmp_path / "done").mkdir()
    os.link(path, tmp_path / "done" / "a.jpg")  # the end came before the first name was taken away
    assert move(path, tmp_path / "done", "a.jpg").name == "a.jpg"
    assert [each.name for each in (tmp_path / "done").iterdir()] == ["a.jpg"]
    assert not path.exists()


@pytest.mark.usefixtures("other_disk")
def test_a_copy_that_was_interrupted_is_finished_and_leaves_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tmp_path / "a.jpg", b"1")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only")))
        with pytest.raises(OSError, match="read-only"):
            move(path, tmp_path / "done", "a.jpg")
    assert path.exists()
    assert move(path, tmp_path / "done", "a.jpg").name == "a.jpg"
    assert [each.name for each in (tmp_path / "done").iterdir()] == ["a.jpg"]


@pytest.mark.usefixtures("other_disk")
def test_a_disk_without_modes_and_times_takes_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chmod", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EPERM, "not permitted")))
    path = write_file(tmp_path / "a.jpg", b"1")
    assert move(path, tmp_path / "done", "a.jpg").read_bytes() == b"1"
    assert not path.exists()
