"""Which folders may lie where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumen.config import WatchOptions
from lumen.errors import UsageError
from lumen.watching.folders import check_folders, check_shown_files, default_output, exposed_folders, outputs_around
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


PAGE, METRICS = '<meta name="application-name" content="lumen watch">', "# HELP lumen_running Whether"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("page", "metrics", "reason"),
    [
        ("in/page.html", None, "--page outside of the watched folder"),
        (None, "in/cam/lumen.prom", "--metrics outside of the watched folder"),
        ("link/page.html", None, "--page outside of the watched folder"),
        ("out/.lumen/page.html", None, "--page outside of .lumen"),
        ("none/page.html", None, "--page in a folder that exists"),
        ("theirs.html", None, "--page to be new or a file that lumen has written"),
        ("scores.html", None, "--page to be new or a file that lumen has written"),
        ("folder.html", None, "--page to be new or a file that lumen has written"),
        ("broken.html", None, "--page to be new or a file that lumen has written"),
        (None, "theirs.prom", "--metrics to be new or a file that lumen has written"),
    ],
)
def test_a_page_or_metrics_in_a_place_of_something_else_are_refused(
    page: str | None, metrics: str | None, reason: str
) -> None:
    for folder in ("in/cam", "out/.lumen", "folder.html"):
        Path(folder).mkdir(parents=True)
    Path("link").symlink_to("in")
    Path("broken.html").symlink_to("in/new.html")
    Path("theirs.html").write_text("<p>my page")
    Path("scores.html").write_text('<meta name="generator" content="lumen 1">')  # of `lumen eval`
    Path("theirs.prom").write_text("up 1")
    files = {"page": page and Path(page), "metrics": metrics and Path(metrics)}
    with pytest.raises(UsageError, match=reason):
        check_shown_files(Path("in"), WatchOptions(output=Path("out"), **files))  # type: ignore[arg-type]


@pytest.mark.usefixtures("here")
def test_a_page_and_metrics_may_be_new_or_there_from_before() -> None:
    Path("out").mkdir()
    options = WatchOptions(output=Path("out"), page=Path("out/page.html"), metrics=Path("lumen.prom"))
    check_shown_files(Path("in"), options)
    Path("out/page.html").write_text(PAGE)
    Path("lumen.prom").write_text(METRICS)
    check_shown_files(Path("in"), options)


@pytest.mark.parametrize("files", [{"page": Path("page.txt")}, {"metrics": Path("lumen.txt")}])
def test_a_page_and_metrics_have_the_suffix_that_others_look_for(files: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match=r"expected --(page FILE\.html|metrics FILE\.prom)"):
        WatchOptions(output=Path("out"), **files)  # type: ignore[arg-type]
