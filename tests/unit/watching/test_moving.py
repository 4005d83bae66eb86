"""Files that move: nothing is replaced, and what was interrupted is finished."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from lumen.files.inputs import Parent, hold_folder, parent_of
from lumen.watching.moving import hidden_name, remove, seize
from lumen.watching.moving import move as move_seized
from tests.support.watching import write_file


def move(path: Path, folder: Path, relative: str) -> Path:
    """Seize a file, as it was before that, and move it below a folder."""
    there = (folder / relative).parent
    with hold_folder(path.parent) as parent, hold_folder(there, below=folder, make=True) as held:
        seized = seize(parent, path.name, lambda _: True)
        assert seized is not None
        return there / move_seized(parent, seized, held, relative, tag="-tag")


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
        patch.setattr("lumen.watching.moving.remove", lambda *_: (_ for _ in ()).throw(OSError("read-only")))
        with pytest.raises(OSError, match="read-only"):
            move(path, tmp_path / "done", "a.jpg")
    assert path.with_name(hidden_name("a.jpg")).exists()
    assert move(path, tmp_path / "done", "a.jpg").name == "a.jpg"
    assert [each.name for each in (tmp_path / "done").iterdir()] == ["a.jpg"]


@pytest.mark.usefixtures("other_disk")
def test_a_disk_without_modes_and_times_takes_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chmod", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EPERM, "not permitted")))
    path = write_file(tmp_path / "a.jpg", b"1")
    assert move(path, tmp_path / "done", "a.jpg").read_bytes() == b"1"
    assert not path.exists()


@pytest.mark.usefixtures("other_disk")
def test_a_copy_takes_no_rights_of_programs(tmp_path: Path) -> None:
    """It belongs to who runs lumen: a file of anybody must not become a program that runs as that user."""
    path = write_file(tmp_path / "a.jpg", b"1")
    path.chmod(0o6755)
    assert move(path, tmp_path / "done", "a.jpg").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("disk", ["same", "other"])
def test_no_link_in_the_folder_of_moved_files_is_written_through(
    tmp_path: Path, request: pytest.FixtureRequest, disk: str
) -> None:
    if disk == "other":
        request.getfixturevalue("other_disk")
    victim = write_file(tmp_path / "victim", b"precious")
    path = write_file(tmp_path / "a.jpg", b"1")
    old = write_file(tmp_path / "done" / "x").with_name(f".{hashlib.sha256(b'a.jpg').hexdigest()[:16]}.lumen-tmp")
    old.symlink_to(victim)  # the name that a copy had until its end
    place = tmp_path / "done" / "a.jpg"
    place.symlink_to(victim)
    assert move(path, tmp_path / "done", "a.jpg").name == "a~2.jpg"
    assert victim.read_bytes() == b"precious"
    assert sorted(each.name for each in (tmp_path / "done").iterdir()) == ["a.jpg", "a~2.jpg", "x"]


@pytest.mark.parametrize("disk", ["same", "other"])
@pytest.mark.parametrize("other", ["link", "pipe", "file", "written"])
def test_what_takes_the_place_of_a_seized_file_is_not_moved(
    tmp_path: Path, request: pytest.FixtureRequest, disk: str, other: str
) -> None:
    if disk == "other":
        request.getfixturevalue("other_disk")
    victim = write_file(tmp_path / "victim", b"precious")
    path = write_file(tmp_path / "in" / "a.jpg", b"1")
    done = tmp_path / "done"
    with hold_folder(path.parent) as parent, hold_folder(done, make=True) as held:
        seized = seize(parent, path.name, lambda _: True)
        assert seized is not None
        hidden = path.with_name(seized.name)
        if other == "written":
            hidden.write_bytes(b"longer")
        else:
            hidden.rename(tmp_path / "away")
            {"link": lambda: hidden.symlink_to(victim), "pipe": lambda: os.mkfifo(hidden)}.get(
                other, lambda: hidden.write_bytes(b"2")
            )()
        with pytest.raises(OSError, match=r"took its place|link|pipe"):
            move_seized(parent, seized, held, "a.jpg")
        with pytest.raises(OSError, match="took its place"):
            remove(parent, seized)
    assert not list(done.iterdir())
    assert os.path.lexists(hidden)


def test_a_folder_that_becomes_a_link_while_a_file_is_seized_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tmp_path / "in" / "cam" / "a.jpg", b"1")
    private = write_file(tmp_path / "private" / "a.jpg", b"1")
    rename = Parent.rename

    def late(self: Parent, name: str, other: str) -> None:
        path.parent.rename(tmp_path / "in" / ".old")
        path.parent.symlink_to(private.parent)
        rename(self, name, other)

    monkeypatch.setattr(Parent, "rename", late)
    with parent_of(tmp_path / "in", "cam/a.jpg") as parent:
        seized = seize(parent, "a.jpg", lambda _: True)
        assert seized is not None
        remove(parent, seized)
    assert private.exists()
    assert not list((tmp_path / "in" / ".old").iterdir())
