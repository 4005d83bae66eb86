"""A ledger is of one folder, which may be mounted anew, moved and copied, and not exchanged for another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumen.watching.events import Event, Events
from lumen.watching.ledger.binding import FACT, SAMPLE, Binding
from lumen.watching.ledger.ledger import Ledger
from lumen.watching.observing.tree import Tree
from lumen.watching.versions import Candidate
from tests.support.ledger import NOW, turns
from tests.support.watching import outcome, write_file


class Folders:
    """A ledger and what it says of folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger(path / "out")
        self.told: list[Event] = []

    def refusal(self, name: str, moved_from: Path | None = None) -> str | None:
        tree = Tree(self.path / name)
        tree.open()
        return Binding(self.ledger, tree, Events(self.told.append), moved_from).refusal()

    def fill(self, name: str, count: int, *, start: int = 0) -> None:
        for index in range(start, start + count):
            path = write_file(self.path / name / f"{index}.jpg")
            os.utime(path, (NOW, NOW))

    def do(self, name: str) -> None:
        tree = Tree(self.path / name)
        tree.open()
        found = {each.relative: each.version for each in tree.walk("", lambda *_: None, lambda _: None)}
        self.ledger.add({n: Candidate(version=v, since=0.0, first_seen=NOW) for n, v in found.items()})
        for row in turns(self.ledger):
            self.ledger.finish(outcome(row.key, "done", NOW))


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Folders]:
    folders = Folders(tmp_path)
    folders.fill("in", 10)
    assert folders.refusal("in") is None
    folders.do("in")
    yield folders
    folders.ledger.close()


def test_the_same_path_is_the_same_folder(folders: Folders) -> None:
    (folders.path / "in").rename(folders.path / "away")
    (folders.path / "in").mkdir()  # as after another mount
    assert folders.refusal("in") is None
    assert folders.told == []


def test_a_folder_without_the_pictures_is_refused(folders: Folders) -> None:
    folders.fill("other", 5)  # half of them
    refusal = folders.refusal("other")
    assert refusal is not None and "5 of the last 10 pictures are the same" in refusal
    assert f"--moved-from {folders.path / 'in'}" in refusal
    assert folders.told == []


def test_a_folder_with_most_of_the_pictures_is_the_same(folders: Folders) -> None:
    folders.fill("other", 6)
    assert folders.refusal("other") is None
    assert [event.facts["path"] for event in folders.told] == [str(folders.path / "other")]
    assert folders.ledger.fact(FACT) == str(folders.path / "other")


def test_pictures_of_the_same_names_are_not_the_pictures(folders: Folders) -> None:
    for index in range(10):
        write_file(folders.path / "other" / f"{index}.jpg")  # another time
    assert folders.refusal("other") is not None


def test_what_a_person_says_is_believed_of_that_folder_alone(folders: Folders) -> None:
    (folders.path / "other").mkdir()
    assert folders.refusal("other", folders.path / "elsewhere") is not None
    assert folders.refusal("other", folders.path / "in") is None
    for path in (folders.path / "in").iterdir():
        path.unlink()
    assert folders.refusal("in", folders.path / "in") is not None  # it is bound to the other one now


def test_a_link_to_the_folder_is_accepted(folders: Folders) -> None:
    (folders.path / "link").symlink_to("in")
    assert folders.refusal("link") is None
    assert folders.told == []


def test_a_second_mount_of_the_folder_is_accepted(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    (folders.path / "mount").mkdir()
    assert folders.refusal("mount") is not None
    monkeypatch.setattr(Path, "samefile", lambda *_: True)
    assert folders.refusal("mount") is None
    assert folders.told == []


def test_a_link_in_the_place_of_the_folder_is_not_it(folders: Folders) -> None:
    (folders.path / "in").rename(folders.path / "away")
    (folders.path / "other").mkdir()
    (folders.path / "in").symlink_to("other")
    assert folders.refusal("in") is not None
    assert folders.refusal("other") is not None
    assert folders.refusal("away") is None  # as its pictures tell


@pytest.mark.parametrize("fact", [None, 7, ["in"]])
def test_an_earlier_ledger_has_the_path_that_was_named(folders: Folders, fact: object) -> None:
    folders.ledger.write_facts(**{FACT: fact, "input": str(folders.path / "in")})
    (folders.path / "other").mkdir()
    assert folders.refusal("other") is not None
    assert folders.refusal("in") is None
    assert folders.ledger.fact(FACT) == str(folders.path / "in")


def test_a_name_that_is_no_text_is_recorded(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    name = os.fsdecode(b"caf\xe9")
    folders.fill(name, 1)
    folders.do(name)
    assert folders.refusal(name) is None
    (tmp_path / "other").mkdir()
    refusal = folders.refusal("other")
    assert refusal is not None and "\\udce9" in refusal
    folders.ledger.close()


def test_only_the_last_pictures_are_looked_at(folders: Folders) -> None:
    assert len(folders.ledger.last_done(SAMPLE)) == 10
    assert len(folders.ledger.last_done(3)) == 3
