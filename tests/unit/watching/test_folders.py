"""Which folders may lie where."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.config import WatchOptions
from lumen.errors import UsageError
from lumen.watching.folders import check_folders, default_output


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
