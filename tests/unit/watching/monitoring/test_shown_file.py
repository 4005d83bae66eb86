"""A file that others look at: when it is written, what is told, and what a killed process leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.errors import DiskFullError
from lumen.files.atomic import TEMP_SUFFIX
from lumen.watching.monitoring import shown_file
from lumen.watching.monitoring.shown_file import KEEP_S, ShownFile


def test_the_same_is_written_again_only_for_its_time(tmp_path: Path) -> None:
    file = ShownFile(tmp_path / "page.html", lambda _: None)
    texts = iter("abcd")

    def render() -> str:
        return next(texts)

    found = []
    for content, now, at_once in (
        (1, 0, False),
        (1, KEEP_S - 1, False),
        (1, KEEP_S, False),
        (2, KEEP_S, False),
        (2, KEEP_S, True),
    ):
        file.write(content, render, float(now), at_once=at_once)
        found.append(file.path.read_text())
    assert found == ["a", "a", "b", "c", "d"]
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_full_disk_is_told_once_and_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str | None] = []
    file = ShownFile(tmp_path / "page.html", told.append)
    file.write(1, lambda: "whole", 0.0)

    def full(*_: object, **__: object) -> None:
        raise DiskFullError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(shown_file, "write_atomically", full)
        for now in (1.0, 2.0, 3.0):
            file.write(2, lambda: "new", now)
    assert (told, file.path.read_text()) == (["no space left"], "whole")
    file.write(1, lambda: "newer", 4.0)  # what was written last, but nobody knows what is there now
    file.write(1, lambda: "newest", 5.0)
    assert (told, file.path.read_text()) == (["no space left", None], "newer")


def test_a_folder_that_goes_and_comes_back(tmp_path: Path) -> None:
    told: list[str | None] = []
    file = ShownFile(tmp_path / "www" / "page.html", told.append)
    file.write(1, lambda: "a", 0.0)
    assert len(told) == 1 and told[0] is not None and "page.html" in told[0]
    assert not file.path.parent.exists()
    file.path.parent.mkdir()
    file.write(1, lambda: "a", 0.0)
    assert (told[1:], file.path.read_text()) == ([None], "a")


def test_only_its_own_leftovers_are_removed(tmp_path: Path) -> None:
    files = [ShownFile(tmp_path / name, lambda _: None) for name in ("page.html", "other.html")]
    for file in files:
        (tmp_path / f".0123{file._tag}{TEMP_SUFFIX}").touch()
    (tmp_path / f".0123{TEMP_SUFFIX}").touch()
    files[0].clean()
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 2
    assert not any(files[0]._tag in name for name in left)


def test_text_that_is_not_utf_8_is_escaped(tmp_path: Path) -> None:
    file = ShownFile(tmp_path / "page.html", lambda _: None)
    file.write(1, lambda: "caf\udce9", 0.0)
    assert file.path.read_bytes() == rb"caf\udce9"
