"""Previews stay within their room, whatever the pictures are."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lumen.evaluation import PictureScores, Score
from lumen.pages import album as module
from lumen.pages.album import ERROR_TOP, Album, error_map


def noise(seed: int, size: tuple[int, int] = (300, 400)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def scores(name: str, psnr: float = 20.0) -> PictureScores:
    found = {"input": Score({"psnr": 5.0}), "output": Score({"psnr": psnr})}
    return PictureScores(name=name, width=400, height=300, scores=found)


def opened(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_each_picture_has_its_previews_and_error_maps() -> None:
    book = Album()
    book.begin(1)
    book.add(scores("a"), {"input": noise(1), "output": noise(2)}, noise(3))
    shots = book.shots("a")
    assert list(shots) == ["input", "output", "reference", "error output"]
    assert opened(shots["output"]).size == (400, 300), "small pictures keep their size"
    assert book.shots("b") == {}


def test_without_references_there_are_no_error_maps() -> None:
    book = Album()
    book.begin(1)
    book.add(scores("a"), {"input": noise(1), "output": noise(2)}, None)
    assert list(book.shots("a")) == ["input", "output"]


@pytest.mark.parametrize("total", [100, 1000])
def test_even_noise_stays_within_the_room(total: int) -> None:
    book = Album()
    book.begin(total)
    book.add(scores("a"), {"input": noise(1, (900, 1200)), "output": noise(2, (900, 1200))}, noise(3, (900, 1200)))
    raw = sum(len(url) * 3 / 4 for url in book.shots("a").values())
    assert raw <= module.BUDGET_BYTES / total
    assert min(opened(book.shots("a")["input"]).size) >= 30


def test_deep_pictures_have_previews_of_eight_bits() -> None:
    book = Album()
    book.begin(1)
    deep = np.full((300, 400, 3), (20 * 257, 90 * 257, 200 * 257), np.uint16)
    book.add(scores("a"), {"output": deep}, deep)
    assert np.abs(np.asarray(opened(book.shots("a")["output"]), int) - [20, 90, 200]).max() < 8
    assert np.asarray(opened(book.shots("a")["error output"])).max() < 60


def test_of_too_many_the_worst_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PICTURES", 2)
    book = Album()
    book.begin(4)
    small = noise(1, (20, 20))
    for name, psnr in (("a", 20.0), ("b", 10.0), ("c", 30.0), ("d", 15.0)):
        book.add(scores(name, psnr), {"output": small}, small)
    assert [name for name in "abcd" if book.shots(name)] == ["b", "d"]


def test_error_maps_grow_lighter_with_the_error() -> None:
    reference = np.zeros((1, ERROR_TOP + 20, 3), np.uint8)
    picture = reference + np.arange(ERROR_TOP + 20, dtype=np.uint8)[:, None]
    found = error_map(picture, reference)
    assert np.array_equal(found, error_map(reference, picture))
    light = found[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(light[: ERROR_TOP + 1]) > 0).all()
    assert (found[0, ERROR_TOP:] == found[0, -1]).all()
