"""Which files are meant, and what they are now."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lumen.watching.ledger.ledger import Ledger
from lumen.watching.observing.tree import Tree
from lumen.watching.versions import Candidate, Version


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "in"
    for name in ("a.jpg", "d/b.PNG", "d/e/c.tif", ".hidden/x.jpg", "out/r.jpg", "skip/s.jpg", "d/n.txt", "d/skip.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    tree = Tree(root, without=[root / "out", tmp_path / "elsewhere"], ignore=["skip", "d/skip.jpg"])
    tree.open()
    return tree


def walked(tree: Tree, below: str = "") -> set[str]:
    return {found.relative for found in tree.walk(below, lambda *_: None, lambda _: None)}


def test_the_tree_yields_what_is_meant(tree: Tree) -> None:
    assert walked(tree) == {"a.jpg", "d/b.PNG", "d/e/c.tif"}
    assert walked(tree, "d/e") == {"d/e/c.tif"}
    for name in ("a.jpg", "d/b.PNG", "d/e/c.tif", "new/f.webp"):
        assert tree.wants(name)
    hidden = ("out/r.jpg", ".hidden/x.jpg", "d/.x.jpg")
    for name in (*hidden, "skip/s.jpg", "skip/t/s.jpg", "d/n.txt", "d/skip.jpg", "jpg"):
        assert not tree.wants(name)


def test_paths_are_those_below_the_folder(tree: Tree) -> None:
    assert tree.relative(str(tree.root)) == ""
    assert tree.relative(str(tree.root / "d" / "x")) == "d/x"
    assert tree.relative(str(tree.root) + "-other/x") is None


def test_what_is_no_plain_file_is_not_there(tree: Tree) -> None:
    (tree.root / "link.jpg").symlink_to(tree.root / "a.jpg")
    assert tree.look("link.jpg") is None
    assert tree.look("d") is None
    assert tree.look("a.jpg/x.jpg") is None
    assert tree.look("nothing.jpg") is None
    facts = (tree.root / "a.jpg").stat()
    assert tree.look("a.jpg") == Version(facts.st_size, facts.st_mtime_ns, facts.st_ino)


def test_a_folder_that_goes_while_it_is_walked_is_no_error_but_the_whole_is(tree: Tree) -> None:
    found = tree.walk("", lambda *_: None, lambda _: None)
    next(found)
    for path in (tree.root / "d" / "e" / "c.tif", tree.root / "d" / "b.PNG"):
        path.unlink()
    (tree.root / "d" / "e").rmdir()
    list(found)
    with pytest.raises(OSError, match="gone"):
        list(Tree(tree.root / "gone").walk("", lambda *_: None, lambda _: None))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_told(tree: Tree) -> None:
    (tree.root / "d").chmod(0)
    told: list[str] = []
    try:
        assert {f.relative for f in tree.walk("", lambda folder, _: told.append(folder), lambda _: None)} == {"a.jpg"}
    finally:
        (tree.root / "d").chmod(0o755)
    assert told == ["d"]


def test_a_link_to_the_folder_is_followed_anew_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "in"
    link.symlink_to(tmp_path / "one")
    tree = Tree(link)
    tree.open()
    assert tree.is_same()
    link.unlink()
    link.symlink_to(tmp_path / "two")
    assert not tree.is_same()
    tree.open()
    assert tree.real == str(tmp_path / "two")


def test_times_and_numbers_that_only_some_disks_have_fit_into_the_ledger(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    facts = os.stat_result((0o100644, 2**64 - 5, 1, 1, 0, 0, 7, 0, 0, 0, 0.0, 0.0, 0.0, 0, 2**63 + 7, 0))
    assert facts.st_mtime_ns > 2**63
    monkeypatch.setattr("lumen.watching.observing.tree.facts_below", lambda *_: facts)
    version = tree.look("a.jpg")
    assert version == Version(size=7, mtime_ns=2**63 - 1, inode=-5)
    ledger = Ledger(tmp_path / "ledger")
    ledger.add({"a.jpg": Candidate(version=version, since=0.0, first_seen=0.0)})
    assert ledger.status_of("a.jpg", version) == "ready"
    ledger.close()


class Damaged:
    """An entry of a folder on a disk that does not even say what it is."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self.name = entry.name

    def is_dir(self, **_: bool) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def stat(self, **_: bool) -> os.stat_result:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_one_damaged_entry_hides_none_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jpg", "bad.jpg", "c.jpg"):
        (tmp_path / name).touch()
    tree = Tree(tmp_path)
    tree.open()
    real = os.scandir

    @contextmanager
    def scan(path: Path) -> Iterator[list[object]]:
        with real(path) as entries:
            yield [Damaged(entry) if entry.name == "bad.jpg" else entry for entry in entries]

    monkeypatch.setattr(os, "scandir", scan)
    found = tree.walk("", lambda folder, _error: pytest.fail(folder), lambda _inode: None)
    assert {each.relative for each in found} == {"a.jpg", "c.jpg"}


def test_a_file_that_seems_to_be_what_it_was_is_looked_at_in_one_step(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = tree.look("d/b.PNG")
    with monkeypatch.context() as patch:
        patch.setattr("lumen.watching.observing.tree.facts_below", lambda *_: pytest.fail("step by step"))
        assert tree.look("d/b.PNG", version) == version
    (tree.root / "d" / "b.PNG").write_bytes(b"another")
    assert tree.look("d/b.PNG", version) == tree.look("d/b.PNG") != version
    (tree.root / "d").rename(tree.root / "old")
    (tree.root / "d").symlink_to(tree.root / "a.jpg")
    assert tree.look("d/b.PNG", version) is None
