"""What is found twice is enhanced once, and only what can be found twice is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.batch.discovery import FoundFolder
from lumen.batch.overlap import Overlap


@pytest.mark.parametrize(
    ("inputs", "lists", "remembered"),
    [
        (["in"], False, 0),
        (["in", "other"], False, 0),
        (["in", "in-too"], False, 0),
        (["in", "in/sub"], False, 2),  # below the inner one
        (["in", "./in/sub/a.jpg"], False, 1),
        (["in", "in"], False, 4),
        (["in"], True, 4),
    ],
)
def test_only_what_several_inputs_can_bring_is_remembered(inputs: list[str], lists: bool, remembered: int) -> None:
    overlap = Overlap(map(Path, inputs), lists=lists, real=False)
    names = ["a.jpg", "b.jpg"]
    for folder in ("in", "in/sub"):
        assert list(overlap.once(FoundFolder(path=Path(folder), names=names)).names) == names
    found = [str(Path(folder, name).absolute()) for folder in ("in", "in/sub") for name in names]
    assert sum(map(overlap.has, found)) == remembered
    if remembered:
        again = overlap.once(FoundFolder(path=Path("in/sub"), names=["a.jpg", "new.jpg"]))
        assert list(again.names) == ["new.jpg"]
        anew = overlap.again().once(FoundFolder(path=Path("in/sub"), names=["a.jpg"]))
        assert list(anew.names) == ["a.jpg"]


@pytest.mark.parametrize(("real", "names"), [(True, []), (False, ["link.jpg"])])
def test_a_link_is_its_target_only_in_place(tmp_path: Path, real: bool, names: list[str]) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    overlap = Overlap([tmp_path / "a.jpg", tmp_path / "link.jpg"], lists=True, real=real)
    overlap.once(FoundFolder(path=tmp_path, names=["a.jpg"]))
    found = overlap.once(FoundFolder(path=tmp_path, names=["link.jpg"], links=frozenset(["link.jpg"])))
    assert list(found.names) == names
