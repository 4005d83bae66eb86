"""Files settle in the order of their last change, and not too many at once."""

from __future__ import annotations

from lumen.watching.observing.settling import Settling
from lumen.watching.versions import Version

ONE, TWO = Version(1, 1, 1), Version(2, 1, 1)


def test_files_settle_in_the_order_of_their_last_change() -> None:
    settling = Settling(2.0)
    assert settling.next_due() is None
    settling.see("a", ONE, 0.0, 0.0)
    settling.see("b", ONE, 1.0, 0.0)
    settling.see("a", ONE, 1.5, 0.0)  # unchanged
    assert settling.next_due() == 2.0
    assert [name for name, _ in settling.due(2.0)] == ["a"]
    settling.see("a", TWO, 2.5, 0.0)
    assert [name for name, _ in settling.due(4.0)] == ["b"]
    assert [name for name, _ in settling.due(5.0)] == ["b", "a"]


def test_only_so_many_files_settle_at_once() -> None:
    settling = Settling(2.0, limit=2)
    assert [settling.see(name, ONE, 0.0, 0.0) for name in "abc"] == [True, True, False]
    assert settling.is_full
    assert settling.see("a", TWO, 1.0, 0.0)  # one that is known may change
    settling.drop("b")
    assert settling.see("c", ONE, 1.0, 0.0)


def test_older_files_of_a_folder_that_have_yet_to_settle() -> None:
    settling = Settling(2.0)
    settling.see("cam/b.png", Version(1, 5, 1), now=0.0, wall=0.0)
    assert settling.has_older("cam", 6)
    assert not settling.has_older("cam", 5)
    assert not settling.has_older("", 6)
    settling.drop("cam/b.png")
    assert not settling.has_older("cam", 6)
