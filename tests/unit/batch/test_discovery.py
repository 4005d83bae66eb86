from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest

from lumen.batch.discovery import FoundFolder, TreeSearch, find_folders
from lumen.batch.listed import as_listed, find_listed
from lumen.batch.passed_over import PassedOver
from lumen.batch.plan import plan_jobs
from lumen.config import BatchOptions

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with pictures (by name only) in `in`."""
    monkeypatch.chdir(tmp_path)
    touch("in/a.jpg", "in/B.JPG", "in/sub/c.png", "in/sub/thumbs/c.png", "in/thumbs/a.jpg", "in/thumbs-of-mine.jpg")
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def found(*inputs: str, listed: tuple[str, ...] = (), out: str = "out", **options: tuple[str, ...]) -> list[str]:
    choice = BatchOptions(output=Path(out), recursive=True, **options)  # type: ignore[arg-type]
    search = TreeSearch.of(choice, PassedOver())
    return names(chain(find_folders(map(Path, inputs), search), find_listed(as_listed(map(Path, listed)), search)))


def names(folders: Iterable[FoundFolder]) -> list[str]:
    """The paths below the output folder."""
    found = []
    for folder in folders:
        assert not folder.unreadable
        found += [(folder.place / name).as_posix() for name in folder.names]
    return found


def test_without_patterns_everything_is_taken() -> None:
    assert found("in") == ["B.JPG", "a.jpg", "thumbs-of-mine.jpg", "sub/c.png", "sub/thumbs/c.png", "thumbs/a.jpg"]


@pytest.mark.parametrize(
    ("include", "names"),
    [
        (("*.jpg",), ["B.JPG", "a.jpg", "thumbs-of-mine.jpg", "thumbs/a.jpg"]),  # in every folder, in any case
        (("a.*",), ["a.jpg", "thumbs/a.jpg"]),  # the name alone
        (("sub/*",), ["sub/c.png", "sub/thumbs/c.png"]),  # the path
        (("b.jpg", "*/c.png"), ["B.JPG", "sub/c.png", "sub/thumbs/c.png"]),  # any of them
        (("[ab].jp?",), ["B.JPG", "a.jpg", "thumbs/a.jpg"]),
        (("in/*",), []),  # below the given folder
    ],
)
def test_include_narrows(include: tuple[str, ...], names: list[str]) -> None:
    assert found("in", include=include) == names


@pytest.mark.parametrize(
    ("exclude", "names"),
    [
        (("thumbs",), ["B.JPG", "a.jpg", "thumbs-of-mine.jpg", "sub/c.png"]),  # whole folders, wherever they are
        (("thumbs/",), ["B.JPG", "a.jpg", "thumbs-of-mine.jpg", "sub/c.png"]),
        (("sub/thumbs", "*-of-*"), ["B.JPG", "a.jpg", "sub/c.png", "thumbs/a.jpg"]),
        (("*",), []),
    ],
)
def test_exclude_leaves_out_files_and_folders(exclude: tuple[str, ...], names: list[str]) -> None:
    assert found("in", exclude=exclude) == names


def test_exclude_wins() -> None:
    assert found("in", include=("*.jpg",), exclude=("a*",)) == ["B.JPG", "thumbs-of-mine.jpg"]


def test_patterns_hold_for_single_files_and_lists_too() -> None:
    assert found("in/a.jpg", "in/B.JPG", exclude=("b*",)) == ["a.jpg"]
    assert found(listed=("in/a.jpg", "in/sub/c.png"), exclude=("in/sub/*",)) == ["in/a.jpg"]
    assert found(listed=("in/sub", "in/a.jpg"), exclude=("sub",)) == ["in/a.jpg"]


def test_an_excluded_folder_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("thumbs"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert "sub/c.png" in found("in", exclude=("thumbs",))
    with pytest.raises(AssertionError, match="cannot list: Permission denied"):
        found("in")


def test_in_place_links_are_not_followed() -> None:
    touch("elsewhere/e.jpg")
    Path("in/sub/there").symlink_to(Path("elsewhere").absolute())
    Path("in/link.jpg").symlink_to(Path("elsewhere/e.jpg").absolute())

    search = TreeSearch.of(BatchOptions(in_place=True, recursive=True), PassedOver())
    taken = set(names(search.folders(Path("in"))))
    assert "a.jpg" in taken
    assert taken.isdisjoint({"link.jpg", "sub/there/e.jpg"})
    assert {"link.jpg", "sub/there/e.jpg"} <= set(found("in"))


def test_a_folder_comes_before_its_sub_folders_with_its_names_sorted() -> None:
    search = TreeSearch.of(BatchOptions(output=Path("out"), recursive=True), PassedOver())
    listed = [(str(folder.path), list(folder.names)) for folder in search.folders(Path("in"), Path("place"))]
    assert listed == [
        ("in", ["B.JPG", "a.jpg", "thumbs-of-mine.jpg"]),
        ("in/sub", ["c.png"]),
        ("in/sub/thumbs", ["c.png"]),
        ("in/thumbs", ["a.jpg"]),
    ]
    assert names(search.folders(Path("in/sub"), Path("place"))) == ["place/c.png", "place/thumbs/c.png"]


def test_linked_folders_come_last_and_each_folder_once() -> None:
    touch("elsewhere/e.jpg", "elsewhere/deep/f.jpg", "in/.hidden/h.jpg")
    for link, target in (
        ("in/again", "sub"),  # seen
        ("in/sub/parent", ".."),  # seen
        ("in/away", "../elsewhere"),
        ("in/later", "../elsewhere/deep"),  # seen by then
        ("in/sub/around", "../.."),  # the folder around it, in which nothing is searched twice
        ("in/shown", ".hidden"),
    ):
        Path(link).symlink_to(target)
    real = ["B.JPG", "a.jpg", "thumbs-of-mine.jpg", "sub/c.png", "sub/thumbs/c.png", "thumbs/a.jpg"]
    assert found("in") == [*real, "away/e.jpg", "away/deep/f.jpg", "shown/h.jpg"]
    assert found("in", exclude=("sub",)) == [
        *(name for name in real if not name.startswith("sub/")),
        "again/c.png",
        "again/thumbs/c.png",
        "away/e.jpg",
        "away/deep/f.jpg",
        "shown/h.jpg",
    ]


def test_links_that_lead_into_the_output_folder_are_left_out_as_it_is() -> None:
    touch("out/a.jpg", "out/sub/b.jpg")
    Path("in/sub/one.jpg").symlink_to("../../out/a.jpg")
    Path("in/sub/many").symlink_to("../../out/sub")
    passed_over = PassedOver()
    search = TreeSearch.of(BatchOptions(output=Path("out"), recursive=True), passed_over)
    assert "sub/one.jpg" not in (taken := names(search.folders(Path("in"))))
    assert "sub/many/b.jpg" not in taken
    assert passed_over.links == 1
    other = TreeSearch.of(BatchOptions(output=Path("other"), recursive=True), PassedOver())
    assert {"sub/one.jpg", "sub/many/b.jpg"} <= set(names(other.folders(Path("in"))))


def test_memory_does_not_grow_with_the_files_of_a_tree() -> None:
    """As far as planning goes: what it yields belongs to others."""
    touch(*(f"many/{folder:03}/IMG_{file:03}.jpg" for folder in range(60) for file in range(30)))
    blocks = iter(plan_jobs([Path("many")], BatchOptions(output=Path("out"), recursive=True)).blocks)
    tracemalloc.start()
    try:
        sizes = []
        for number, _ in enumerate(blocks):
            if number in (19, 59):
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert (sizes[1] - sizes[0]) / (40 * 30) < 40
