"""A file is there whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lumen.errors import DiskFullError, OutputError, PictureError
from lumen.imaging import atomic
from lumen.imaging.atomic import TEMP_SUFFIX, write_atomically


def test_the_final_name_appears_in_one_step_and_from_the_same_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[bytes, bool]] = []
    real = Path.replace

    def watch(self: Path, target: Path) -> Path:
        assert self.parent == target.parent
        assert self.name.startswith(".")
        assert self.name.endswith(TEMP_SUFFIX)
        seen.append((self.read_bytes(), target.exists()))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    write_atomically(tmp_path / "a", b"whole")
    assert seen == [(b"whole", False)]
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_the_bytes_are_flushed_before_the_name_and_the_folder_after(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(handle: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")  # noqa: PTH112
        real_sync(handle)

    def rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
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
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_nothing_is_left_behind(
    step: str, error: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"older")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(*((os, "fsync", fail) if step == "fsync" else (Path, "replace", fail)))
    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        write_atomically(tmp_path / "a", b"newer")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"older"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_apart(code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic, "_write_through", full)
    with pytest.raises(DiskFullError, match=os.strerror(code)):
        write_atomically(tmp_path / "a", b"x")


def test_a_folder_in_the_way_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_atomically(tmp_path / "a", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_flushed_does_not_matter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "not on this system")

    monkeypatch.setattr(os, "open", refuse)
    write_atomically(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_name_the_file_system_cannot_hold_is_that_files_fault(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="too long"):
        write_atomically(tmp_path / ("x" * 300), b"x")
    with pytest.raises(PictureError, match="too long"):
        atomic.make_folder(tmp_path / ("x" * 300) / "y")
    with pytest.raises(OutputError):
        atomic.make_folder(Path("/proc/none"))
    assert list(tmp_path.iterdir()) == []
