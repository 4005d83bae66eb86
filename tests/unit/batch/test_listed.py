"""Files and folders that a list names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumen.batch import listed
from lumen.batch.discovery import TreeSearch
from lumen.batch.listed import as_listed, find_listed, gathered, place_of_listed, read_list
from lumen.batch.passed_over import PassedOver
from lumen.config import BatchOptions
from lumen.errors import UsageError
from tests.support.batches import touch

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with pictures (by name only) in `in`."""
    monkeypatch.chdir(tmp_path)
    touch("in/a.jpg", "in/B.JPG", "in/sub/c.png", "in/sub/thumbs/c.png", "in/thumbs/a.jpg")
    return tmp_path


def found(*given: str, out: str = "out") -> list[str]:
    """The places below the output folder."""
    search = TreeSearch.of(BatchOptions(output=Path(out), recursive=True), PassedOver())
    folders = find_listed(as_listed(given), search)
    return [(folder.place / name).as_posix() for folder in folders for name in folder.names]


def test_files_of_a_list_keep_their_path(tmp_path: Path) -> None:
    assert found("in/sub/c.png", "./in/../in/a.jpg", str(tmp_path / "in/B.JPG")) == [
        "in/sub/c.png",
        "in/a.jpg",
        "in/B.JPG",
    ]
    assert place_of_listed(Path("/mnt/disk/a.jpg")) == Path("mnt/disk/a.jpg")
    assert place_of_listed(Path("../a.jpg")) == (tmp_path.parent / "a.jpg").relative_to("/")


def test_folders_of_a_list_are_searched() -> None:
    assert found("in/sub") == ["in/sub/c.png", "in/sub/thumbs/c.png"]


def test_results_of_the_last_run_in_a_list_are_left_out() -> None:
    touch("in/out/a.jpg")
    assert found("in/a.jpg", "in/out/a.jpg", out="in/out") == ["in/a.jpg"]


def test_lists_have_lines_or_nuls() -> None:
    assert list(read_list(b"a.jpg\n\n b c.jpg\r\n\xff.jpg", null=False)) == [
        "a.jpg",
        " b c.jpg",
        os.fsdecode(b"\xff.jpg"),
    ]
    assert list(read_list(b"a.jpg\0new\nline.jpg\0", null=True)) == ["a.jpg", "new\nline.jpg"]
    assert list(read_list(b"\xef\xbb\xbfa.jpg\n", null=False)) == ["a.jpg"]
    assert list(read_list(b"", null=True)) == list(read_list(b"\n", null=False)) == []


@pytest.mark.parametrize(("data", "null"), [(b"a.jpg\0b.jpg\0", False), (b"a.jpg\nb.jpg\n", True)])
def test_lists_of_the_other_kind_are_refused(data: bytes, null: bool) -> None:
    with pytest.raises(UsageError, match="--null"):
        read_list(data, null=null)


def test_files_of_a_list_that_follow_each_other_in_one_folder_come_together() -> None:
    given = ["in/a.jpg", "in/lost.jpg", "in/B.JPG", "in/thumbs/a.jpg", "in/a.jpg"]
    search = TreeSearch.of(BatchOptions(output=Path("out")), PassedOver())
    folders = list(find_listed(as_listed(given), search))
    assert [(folder.place.as_posix(), list(folder.names)) for folder in folders] == [
        ("in", ["a.jpg", "lost.jpg", "B.JPG"]),
        ("in/thumbs", ["a.jpg"]),
        ("in", ["a.jpg"]),
    ]
    assert folders[0].missing == {"lost.jpg"}


@pytest.mark.parametrize("many", [1, 1000])
def test_a_list_is_gathered_by_folders_with_the_same_types(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(listed, "MANY", many)
    Path("in/link.jpg").symlink_to("a.jpg")
    lines = ["in/a.jpg", "in/sub", "in/sub/c.png", "in/link.jpg", "in/sub/lost.jpg", "s3://bucket/in/a.jpg", "x/"]
    there = [line for line in as_listed(lines) if line[2]]
    folders = [folder for folder, *_ in gathered(lines)]
    assert folders == ["in/"] * 3 + ["in/sub/"] * 2 + ["s3://bucket/in/", "x/"]
    assert sorted(line for line in gathered(lines) if line[3] in {given for *_, given in there}) == sorted(there)


def test_a_large_list_is_decoded_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    data = "\r\n".join(f"in/ä {number}.jpg" for number in range(100)).encode() + b"\n\xff\xc3\n"
    whole = list(read_list(data, null=False))
    monkeypatch.setattr(listed, "PIECE_BYTES", 3)
    assert list(read_list(data, null=False)) == whole
    assert len(whole) == 101
    assert whole[-1] == os.fsdecode(b"\xff\xc3")
