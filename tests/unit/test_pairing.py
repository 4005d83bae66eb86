"""Pairs by name: never by order, and nothing is dropped in silence."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from lumen.errors import NothingToDoError, UsageError
from lumen.pairing import Result, find_pairs, pair_results


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_pairs_by_name_whatever_the_order_suffix_and_case(tmp_path: Path) -> None:
    low = touch(tmp_path / "low", "10.png", "9.JPG", "Scene/B.jpeg")
    high = touch(tmp_path / "high", "9.tif", "10.png", "scene/b.png")
    pairs, problems = find_pairs(low, high)
    assert problems == ()
    assert [(pair.name, pair.low.name, pair.reference.name) for pair in pairs] == [
        ("10", "10.png", "10.png"),
        ("9", "9.JPG", "9.tif"),
        ("Scene/B", "B.jpeg", "b.png"),
    ]


def test_a_name_without_partner_is_a_problem_on_either_side(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "a.png", "b.png"), touch(tmp_path / "high", "a.png", "c.png")
    pairs, problems = find_pairs(low, high)
    assert [pair.name for pair in pairs] == ["a"]
    assert [(problem.name, str(high) in problem.reason) for problem in problems] == [("b", True), ("c", False)]
    assert str(low) in problems[1].reason


def test_the_same_name_in_another_folder_is_another_picture(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "a.png", "x/b.png"), touch(tmp_path / "high", "a.png", "y/b.png")
    pairs, problems = find_pairs(low, high)
    assert [pair.name for pair in pairs] == ["a"]
    assert [problem.name for problem in problems] == ["x/b", "y/b"]


def test_an_ambiguous_name_is_a_problem_that_shows_the_files(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "a.jpg", "a.png", "b.png"), touch(tmp_path / "high", "a.png", "b.png")
    pairs, problems = find_pairs(low, high)
    assert [pair.name for pair in pairs] == ["b"]
    assert "a.jpg, a.png" in problems[0].reason


def test_other_files_and_hidden_folders_are_no_pictures(tmp_path: Path) -> None:
    low = touch(tmp_path / "low", "a.png", "notes.txt", ".lumen/a.png", ".hidden.png")
    pairs, problems = find_pairs(low, touch(tmp_path / "high", "a.png", "Thumbs.db"))
    assert len(pairs) == 1
    assert problems == ()


def test_two_files_pair_whatever_their_names(tmp_path: Path) -> None:
    folder = touch(tmp_path, "dark.jpg", "bright.png")
    pairs, _ = find_pairs(folder / "dark.jpg", folder / "bright.png")
    assert [(pair.name, pair.reference.name) for pair in pairs] == [("dark", "bright.png")]


def test_a_file_and_a_folder_do_not_pair(tmp_path: Path) -> None:
    touch(tmp_path, "dark.jpg", "high/dark.jpg")
    with pytest.raises(UsageError, match="two folders or two files"):
        find_pairs(tmp_path / "dark.jpg", tmp_path / "high")


def test_no_common_name_is_nothing_to_do(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "low1.png", "low2.png"), touch(tmp_path / "high", "normal1.png")
    with pytest.raises(NothingToDoError, match=r"found 2 in .* and 1 in .* none in common"):
        find_pairs(low, high)


def result(place: str, low: str = "low", made: str = "out") -> Result:
    return Result(place=PurePath(place), low=Path(low, place), result=Path(made, place))


def test_results_pair_with_references_of_their_place(tmp_path: Path) -> None:
    high = touch(tmp_path / "high", "a.png", "X/b.tif", "never-asked-for.png")
    pairs, problems = pair_results([result("x/B.webp"), result("a.jpg")], high)
    assert problems == ()
    assert [(pair.name, pair.low, pair.result, pair.reference) for pair in pairs] == [
        ("a", Path("low/a.jpg"), Path("out/a.jpg"), high / "a.png"),
        ("x/B", Path("low/x/B.webp"), Path("out/x/B.webp"), high / "X/b.tif"),
    ]


def test_results_without_one_reference_are_problems(tmp_path: Path) -> None:
    high = touch(tmp_path / "high", "a.png", "b.png", "b.tif", "c.png")
    pairs, problems = pair_results([result("b.jpg"), result("c.jpg"), result("c.png"), result("d.jpg")], high)
    assert pairs == ()
    assert [problem.name for problem in problems] == ["b", "c", "d"]
    assert "found b.png, b.tif" in problems[0].reason
    assert problems[1].reason == "expected one picture of this name in the results, found c.jpg, c.png"
    assert problems[2].reason == f"expected a picture of this name in {high}, found none"
