"""A file is there whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from lumen.errors import DiskFullError, OutputError, PictureError
from lumen.files import atomic
from lumen.files.atomic import (
    TEMP_SUFFIX,
    Attributes,
    check_writable,
    discard_unfinished,
    make_folder,
    remove_leftovers,
    user_attributes,
    write_atomically,
    writing_in,
)
from lumen.files.inputs import Identity, Parent, hold_folder
from tests.support.files import needs_attributes


def test_the_final_name_appears_in_one_step_and_from_the_same_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[bytes, bool]] = []
    real = Parent.rename

    def watch(self: Parent, name: str, other: str) -> None:
        assert name.startswith(".")
        assert name.endswith(TEMP_SUFFIX)
        seen.append(((self.path / name).read_bytes(), (self.path / other).exists()))
        real(self, name, other)

    monkeypatch.setattr(Parent, "rename", watch)
    write_atomically(tmp_path / "a", b"whole")
    assert seen == [(b"whole", False)]
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_the_bytes_are_flushed_before_the_name_and_the_folder_after(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps: list[str] = []
    real_sync, real_rename = os.fsync, Parent.rename

    def sync(handle: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")  # noqa: PTH112
        real_sync(handle)

    def rename(self: Parent, name: str, other: str) -> None:
        steps.append("rename")
        real_rename(self, name, other)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Parent, "rename", rename)
    write_atomically(tmp_path / "a", b"x")
    assert steps == ["file", "rename", "folder"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_mode_follows_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), OSError(errno.EIO, "Input/output error")])
@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_nothing_is_left_behind(
    step: str, error: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"older")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(*((os, "fsync", fail) if step == "fsync" else (Parent, "rename", fail)))
    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        write_atomically(tmp_path / "a", b"newer")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"older"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_apart(code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic, "_complete", full)
    with pytest.raises(DiskFullError, match=os.strerror(code)):
        write_atomically(tmp_path / "a", b"x")


def test_a_link_in_the_place_of_a_file_fails_that_file_alone(tmp_path: Path) -> None:
    error = atomic.output_error(tmp_path / "a.png", OSError(errno.ELOOP, "Too many levels of symbolic links"))
    assert isinstance(error, PictureError)


def test_a_folder_in_the_way_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_atomically(tmp_path / "a", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_flushed_does_not_matter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = os.fsync

    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise PermissionError(errno.EACCES, "not on this system")
        real(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    write_atomically(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_name_the_file_system_cannot_hold_is_that_files_fault(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="too long"):
        write_atomically(tmp_path / ("x" * 300), b"x")
    for folder in (tmp_path / ("x" * 300) / "y", Path("/proc/none")):  # not that of a picture
        with pytest.raises(OutputError):
            make_folder(folder)
    assert list(tmp_path.iterdir()) == []


def replace(path: Path, data: bytes) -> None:
    """Replace a file as it is done in place."""
    with hold_folder(path.parent) as folder:
        with folder.open(path.name).stream as stream:
            attributes = Attributes.of(stream)
        with writing_in(folder, path.name, attributes=attributes) as file:
            file.write(data)


def test_a_file_can_take_over_what_another_was(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"private")
    old.chmod(0o640)
    attributes = hasattr(os, "setxattr")
    try:
        os.setxattr(old, "user.rating", b"5")
    except (AttributeError, OSError):
        attributes = False
    replace(old, b"newer")
    assert (old.read_bytes(), old.stat().st_mode & 0o777) == (b"newer", 0o640)
    assert not attributes or os.getxattr(old, "user.rating") == b"5"
    if os.geteuid() == 0:
        os.chown(old, 12345, 54321)
        replace(old, b"newest")
        assert (old.stat().st_uid, old.stat().st_gid) == (12345, 54321)


def test_attributes_that_people_gave_a_file_are_found_and_those_of_its_bytes_are_not(tmp_path: Path) -> None:
    needs_attributes(tmp_path)
    old = tmp_path / "old"
    old.write_bytes(b"x")
    for name in ("user.xdg.tags", "user.baloo.rating", "user.mime_type", "user.shatag.sha256"):
        os.setxattr(old, name, b"night")
    with old.open("rb") as stream:
        found = user_attributes(stream)
    assert found == {"user.xdg.tags": b"night", "user.baloo.rating": b"night"}
    write_atomically(tmp_path / "new", b"y", extended=found)
    assert sorted(os.listxattr(tmp_path / "new")) == sorted(found)
    write_atomically(tmp_path / "plain", b"y")
    assert os.listxattr(tmp_path / "plain") == []


def test_attributes_without_end_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"user.{number}" for number in range(100)]
    monkeypatch.setattr(os, "listxattr", lambda _: names, raising=False)
    monkeypatch.setattr(os, "getxattr", lambda *_: bytes(1 << 16), raising=False)
    (tmp_path / "a").touch()
    with (tmp_path / "a").open("rb") as stream:
        assert len(user_attributes(stream)) == 16


def test_rights_of_programs_and_attributes_of_the_system_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"once")
    old.chmod(0o6755)
    there = ["user.rating", "security.capability", "security.selinux", "trusted.x", "system.posix_acl_access"]
    given: list[str] = []
    monkeypatch.setattr(os, "listxattr", lambda _: there, raising=False)
    monkeypatch.setattr(os, "getxattr", lambda _, name: name.encode(), raising=False)
    monkeypatch.setattr(os, "setxattr", lambda _, name, __: given.append(name), raising=False)
    replace(old, b"newer")
    assert old.stat().st_mode & 0o7777 == 0o755
    assert given == ["user.rating", "system.posix_acl_access"]


def test_what_was_private_is_never_open_to_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"private")
    old.chmod(0o600)
    modes = []
    real = os.fsync

    def sync(handle: int) -> None:
        modes.append(os.fstat(handle).st_mode & 0o077)
        real(handle)

    def look(_: object, place: int) -> None:
        modes.append(os.fstat(place).st_mode & 0o077)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(atomic, "_take_over", look)
    replace(old, b"newer")
    assert modes[:2] == [0, 0]


def test_what_cannot_be_taken_over_does_not_matter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"x")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    for name in ("chown", "listxattr", "setxattr"):
        monkeypatch.setattr(os, name, refuse, raising=False)
    replace(old, b"newer")
    assert old.read_bytes() == b"newer"


def test_leftovers_are_removed_by_their_tag(tmp_path: Path) -> None:
    names = [f".a{TEMP_SUFFIX}", f".b.1of2{TEMP_SUFFIX}", f".c.2of2{TEMP_SUFFIX}", f"mine{TEMP_SUFFIX}", ".hidden"]
    for name in names:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, ".1of2")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*names} - {names[1]})
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", f"mine{TEMP_SUFFIX}"]
    remove_leftovers(tmp_path / ("x" * 300))


def test_a_process_that_ends_at_once_leaves_nothing_half_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun, go = threading.Event(), threading.Event()
    real = os.fsync

    def sync(handle: int) -> None:
        begun.set()
        go.wait(10)
        real(handle)

    monkeypatch.setattr(os, "fsync", sync)
    guard = threading.Lock()
    monkeypatch.setattr(atomic, "_guard", guard)
    failed: list[OutputError] = []

    def write() -> None:
        try:
            write_atomically(tmp_path / "a", b"x")
        except OutputError as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(10)
    assert len(list(tmp_path.iterdir())) == 1
    discard_unfinished()
    assert list(tmp_path.iterdir()) == []
    assert guard.locked()  # nothing more can be begun
    go.set()
    writer.join()
    assert failed


def test_a_file_shows_the_time_it_was_given(tmp_path: Path) -> None:
    moment = 1_234_567_890_123_456_789
    write_atomically(tmp_path / "a", b"x", modified_ns=moment)
    assert (tmp_path / "a").stat().st_mtime_ns == moment
    write_atomically(tmp_path / "a", b"y")
    assert (tmp_path / "a").stat().st_mtime_ns > moment


def test_on_disks_that_count_full_seconds_a_file_is_never_older(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real, moment = os.utime, 1_234_567_890_123_456_789
    monkeypatch.setattr(os, "utime", lambda place, ns: real(place, ns=(ns[0], ns[1] // 2_000_000_000 * 2_000_000_000)))
    write_atomically(tmp_path / "a", b"x", modified_ns=moment)
    assert moment <= (tmp_path / "a").stat().st_mtime_ns <= moment + 2_000_000_000


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with a leftover in it, to which `out/cam` is a link."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / f".0{TEMP_SUFFIX}").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cam").symlink_to("../elsewhere")
    return tmp_path / "elsewhere"


def test_below_a_folder_no_link_is_followed(elsewhere: Path, tmp_path: Path) -> None:
    before, out = sorted(elsewhere.iterdir()), tmp_path / "out"
    for name in ("cam/a", "cam/day/a"):
        with pytest.raises(PictureError, match="the folder 'cam' is a link"):
            write_atomically(out / name, b"x", below=out)
    remove_leftovers(out / "cam", below=out)
    assert sorted(elsewhere.iterdir()) == before
    write_atomically(out / "cam" / "a", b"x")  # a folder that is named may be a link
    assert (elsewhere / "a").read_bytes() == b"x"


def test_below_a_folder_that_is_a_link_missing_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    write_atomically(tmp_path / "out" / "cam" / "day" / "a", b"x", below=tmp_path / "out")
    assert (tmp_path / "disk" / "cam" / "day" / "a").read_bytes() == b"x"
    with pytest.raises(ValueError, match="below"):
        write_atomically(tmp_path / "out" / ".." / "a", b"x", below=tmp_path / "out")


def test_a_link_of_the_final_name_is_replaced_itself(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"theirs")
    (tmp_path / "a").symlink_to("victim")
    write_atomically(tmp_path / "a", b"mine")
    assert ((tmp_path / "victim").read_bytes(), (tmp_path / "a").is_symlink()) == (b"theirs", False)


@pytest.mark.parametrize("change", ["none", "mode", "content", "other", "gone"])
def test_only_the_file_that_is_meant_is_replaced(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"older")
    meant = Identity.of(path.stat())
    if change == "mode":
        path.chmod(0o640)
    elif change == "content":
        path.write_bytes(b"edited")
    elif change in ("other", "gone"):
        path.rename(tmp_path / "moved")
        if change == "other":
            path.symlink_to("moved")
    with hold_folder(tmp_path) as folder:
        if change in ("none", "mode"):
            with writing_in(folder, "a", instead_of=meant) as file:
                file.write(b"newer")
            assert path.read_bytes() == b"newer"
        else:
            with pytest.raises((PictureError, FileNotFoundError)), writing_in(folder, "a", instead_of=meant) as file:
                file.write(b"newer")
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    assert not (tmp_path / "moved").exists() or (tmp_path / "moved").read_bytes() == b"older"


def test_whether_a_folder_takes_files_is_known_beforehand_and_nothing_is_left_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "not/yet")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Not a directory"):
        check_writable(tmp_path / "file/folder")

    def refuse(dir: Path) -> NoReturn:  # noqa: A002  # its name
        raise PermissionError(errno.EACCES, f"no right to {dir}")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OutputError, match=f"no right to {re.escape(str(tmp_path))}$"):
        check_writable(tmp_path / "not/yet")
