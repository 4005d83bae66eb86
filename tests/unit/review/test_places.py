"""Where pages go: nothing of the user is written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.errors import UsageError
from lumen.review.places import PagePlace


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_file_has_its_previews_beside_it_and_a_folder_within_it() -> None:
    file, whole = PagePlace.of(Path("a.html")), PagePlace.of(Path("review"))
    assert (file.page, file.folder, file.numbered(2)) == (
        Path("a.html"),
        Path("a.files"),
        Path("a.files/page-2.html"),
    )
    assert (whole.page, whole.folder, whole.numbered(2)) == (
        Path("review/index.html"),
        Path("review/previews"),
        Path("review/page-2.html"),
    )
    assert [file.beside(file.numbered(number)) for number in (1, 2)] == ["./a.files/", ""]
    assert [whole.beside(whole.numbered(number)) for number in (1, 2)] == ["./previews/"] * 2


def test_links_hold_any_name() -> None:
    assert PagePlace.relative(Path("in/a b?#%\"<'.jpg"), Path("pages/x.html")) == "./../in/a%20b%3F%23%25%22%3C%27.jpg"
    assert PagePlace.relative(Path("in/caf\udce9.jpg"), Path("x.html")) == "./in/caf%E9.jpg"
    assert PagePlace.relative(Path("javascript:alert(1).jpg"), Path("x.html")) == "./javascript%3Aalert%281%29.jpg"


@pytest.mark.parametrize("asked", ["mine.html", "full", "photo.jpg", "in", "out/.lumen/x.html", "out"])
def test_what_is_there_already_is_not_written_over(asked: str) -> None:
    Path("mine.html").write_text("<p>mine")
    Path("photo.jpg").write_text("x")
    for name in ("full", "in"):
        Path(name).mkdir()
        Path(name, "x").touch()
    with pytest.raises(UsageError, match=r"^expected a "):
        PagePlace.of(Path(asked), [Path("in"), Path("out")])


def test_a_page_of_lumen_and_an_empty_folder_may_be_there() -> None:
    Path("old.html").write_text('<!DOCTYPE html><meta name="generator" content="lumen 0.1.0">')
    Path("empty").mkdir()
    assert PagePlace.of(Path("old.html")).page == Path("old.html")
    assert PagePlace.of(Path("empty")).page == Path("empty/index.html")
