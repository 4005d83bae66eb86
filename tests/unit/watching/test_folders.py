"""Which folders may lie where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumen.config import WatchOptions
from lumen.errors import UsageError
from lumen.watching.folders import check_folders, default_output, exposed_folders, outputs_around
from lumen.watching.observing.mounts import Mount


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_results_go_beside_the_watched_folder_by_default(here: Path) -> None:
    assert default_output(Path("in")) == here / "in-enhanced"
    assert default_output(Path("in/")) == here / "in-enhanced"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("output", "archive", "failed"),
    [
        ("in", None, None),
        (".", None, None),
        ("out", "in", None),
        ("out", "out", None),
        ("out", "out/done", None),
        ("done/out", "done", None),
        ("out", None, "in"),
        ("out", None, "out"),
        ("out", "done", "done"),
    ],
)
def test_layouts_that_would_overwrite_are_refused(output: str, archive: str | None, failed: str | None) -> None:
    options = WatchOptions(
        output=Path(output),
        on_success="move" if archive else "keep",
        archive=Path(archive) if archive else None,
        failed_dir=Path(failed) if failed else None,
    )
    with pytest.raises(UsageError, match="elsewhere"):
        check_folders(Path("in"), options)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("output", "archive"), [("out", "done"), ("in/out", "in/done"), ("in/out", "done")])
def test_layouts_that_are_safe(output: str, archive: str) -> None:
    check_folders(Path("in"), WatchOptions(output=Path(output), on_success="move", archive=Path(archive)))


def test_there_must_be_a_folder_to_watch(here: Path) -> None:
    (here / "file").touch()
    for name in ("nothing", "file"):
        with pytest.raises(UsageError, match="expected a folder to watch"):
            check_folders(Path(name), WatchOptions(output=Path("out")))


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize(
    ("mode", "output", "exposed"),
    [(0o755, "in/out", False), (0o777, "in/out", True), (0o1777, "in/out", False), (0o777, "out", False)],
)
def test_an_output_in_a_folder_that_others_may_write_is_told(here: Path, mode: int, output: str, exposed: bool) -> None:
    (here / "in").chmod(mode)
    assert exposed_folders(Path("in"), WatchOptions(output=Path(output))) == ([here / output] if exposed else [])


def test_a_folder_that_is_mounted_twice_is_one_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system tells of `mount --bind in/sub out`, and of `mount --bind out in/sub`."""
    (here / "out").mkdir()
    disk = Mount(point="/", kind="ext4", device="254:0")
    for point, root in (("out", "in/sub"), ("in/sub", "out")):
        bound = Mount(point=str(here / point), kind="ext4", device="254:0", root=str(here / root))
        monkeypatch.setattr("lumen.watching.folders.read_mounts", lambda bound=bound: [disk, bound])
        with pytest.raises(UsageError, match="mounted twice"):
            check_folders(Path("in"), WatchOptions(output=Path("out")))
        with pytest.raises(UsageError, match="mounted twice"):
            check_folders(Path("in"), WatchOptions(output=Path("out/deeper")))
    monkeypatch.setattr("lumen.watching.folders.read_mounts", lambda: [disk])
    check_folders(Path("in"), WatchOptions(output=Path("out")))


def test_outputs_of_other_watchers_around_the_own_one_are_found(here: Path) -> None:
    options = WatchOptions(output=Path("out/yard"))
    assert outputs_around(options) == []
    (here / "out" / ".lumen").mkdir(parents=True)
    (here / "out" / ".lumen" / "watch.db").touch()
    assert outputs_around(options) == [here / "out"]
    assert outputs_around(WatchOptions(output=Path("out"))) == []
