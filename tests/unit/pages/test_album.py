"""Previews stay within their room, whatever the pictures are."""

from __future__ import annotations

import pytest

from lumen.pages import album as module
from lumen.pages.album import Album
from tests.support.pages import opened
from tests.support.scores import noise


def test_small_pictures_keep_their_size() -> None:
    book = Album()
    book.begin(1)
    book.add("a", 0.0, {"before": noise(1, size=(300, 400)), "after": noise(2, size=(300, 400))})
    shots = book.shots("a")
    assert list(shots) == ["before", "after"]
    assert opened(shots["after"]).size == (400, 300)
    assert "a" in book and "b" not in book and book.shots("b") == {}


@pytest.mark.parametrize("total", [100, 1000])
def test_even_noise_stays_within_the_room(total: int) -> None:
    book = Album()
    book.begin(total)
    pictures = {name: noise(seed, size=(900, 1200)) for seed, name in enumerate(("before", "after", "truth", "error"))}
    book.add("a", 0.0, pictures, small=("error",))
    raw = sum(len(url) * 3 / 4 for url in book.shots("a").values())
    assert raw <= module.BUDGET_BYTES / total
    assert min(opened(book.shots("a")["before"]).size) >= 30


def test_what_shows_less_takes_less_room() -> None:
    book = Album()
    book.begin(100)
    book.add("a", 0.0, {"before": noise(1, size=(900, 1200)), "error": noise(1, size=(900, 1200))}, small=("error",))
    error, before = (len(book.shots("a")[what]) for what in ("error", "before"))
    assert error < module.SMALL_SIDE**2 * before * 1.1


def test_of_too_many_those_of_the_smallest_rank_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PICTURES", 2)
    book = Album()
    book.begin(4)
    small = {"it": noise(1, size=(20, 20))}
    for name, rank in (("a", 20.0), ("b", 10.0)):
        assert book.wants(rank)
        book.add(name, rank, small)
    assert not book.wants(30.0)
    assert book.wants(15.0)
    book.add("c", 30.0, small)  # as if another thread had been faster
    book.add("d", 15.0, small)
    assert [name for name in "abcd" if name in book] == ["b", "d"]
