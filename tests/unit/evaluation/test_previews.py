"""Each scored picture has previews of all that was scored, and maps of the errors."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from lumen.evaluation import previews
from lumen.evaluation.previews import ERROR_TOP, Previews, error_map, preview_titles
from lumen.pages import album
from tests.support.pages import opened
from tests.support.scores import noise, scored

SCORES = {"input": {"psnr": 5.0}, "output": {"psnr": 20.0}}
SIZE = (300, 400)


def test_each_picture_has_its_previews_and_error_maps() -> None:
    found = Previews()
    found.begin(1)
    found.add(scored("a", **SCORES), {"input": noise(1, size=SIZE), "output": noise(2, size=SIZE)}, noise(3, size=SIZE))
    shots = found.album.shots("a")
    assert list(shots) == ["input", "output", "reference", "error output"]
    assert found.album.shots("b") == {}


def test_without_references_there_are_no_error_maps() -> None:
    found = Previews()
    found.begin(1)
    found.add(scored("a", **SCORES), {"input": noise(1), "output": noise(2)}, None)
    assert list(found.album.shots("a")) == ["input", "output"]


def test_deep_pictures_have_previews_of_eight_bits() -> None:
    found = Previews()
    found.begin(1)
    deep = np.full((300, 400, 3), (20 * 257, 90 * 257, 200 * 257), np.uint16)
    found.add(scored("a", **SCORES), {"output": deep}, deep)
    assert np.abs(np.asarray(opened(found.album.shots("a")["output"]), int) - [20, 90, 200]).max() < 8
    assert np.asarray(opened(found.album.shots("a")["error output"])).max() < 60


def test_of_too_many_the_worst_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(album, "MAX_PICTURES", 2)
    found = Previews()
    found.begin(4)
    small = noise(1, size=(20, 20))
    for name, psnr in (("a", 20.0), ("b", 10.0), ("c", 30.0), ("d", 15.0)):
        found.add(scored(name, input={"psnr": 5.0}, output={"psnr": psnr}), {"output": small}, small)
    assert [name for name in "abcd" if found.album.shots(name)] == ["b", "d"]


def test_error_maps_grow_lighter_with_the_error() -> None:
    reference = np.zeros((1, ERROR_TOP + 20, 3), np.uint8)
    picture = reference + np.arange(ERROR_TOP + 20, dtype=np.uint8)[:, None]
    found = error_map(picture, reference)
    assert np.array_equal(found, error_map(reference, picture))
    light = found[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(light[: ERROR_TOP + 1]) > 0).all()
    assert (found[0, ERROR_TOP:] == found[0, -1]).all()


def test_the_legend_has_the_colours_of_the_maps() -> None:
    style = files("lumen.pages").joinpath("page.css").read_text(encoding="utf-8")
    assert ", ".join("#{:02x}{:02x}{:02x}".format(*color) for color in previews._RAMP) in style


def test_the_one_error_map_of_a_single_method_is_called_just_so() -> None:
    assert preview_titles(["input", "error output"]) == {"input": "input", "error output": "error"}
    assert preview_titles(["error a", "error b"]) == {"error a": "error of a", "error b": "error of b"}
