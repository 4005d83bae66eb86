"""The one rule for all folder walks: which names are pictures, and what patterns take or leave out."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest

from lumen.files.patterns import Selection, exact_pattern, is_hidden, is_picture_name


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPG", "a.b.Tiff", "a b.jpg", "a..jpg", os.fsdecode(b"\xff.jpg"), "a\n.jpg"]
)
def test_pictures_are_known_by_their_suffix_in_any_case(name: str) -> None:
    assert is_picture_name(name)
    assert not is_picture_name(f".{name}")  # hidden, as uploads are while they last


@pytest.mark.parametrize("name", ["jpg", ".jpg", "a.jpg.part", "a.psd", "a.jpg.", "a", "a.", "ajpg", ""])
def test_other_names_are_no_pictures(name: str) -> None:
    assert not is_picture_name(name)


def test_hidden_names_begin_with_a_dot() -> None:
    assert [name for name in (".a", "a.", "a.b", ".") if is_hidden(name)] == [".a", "."]


def test_patterns_match_names_with_newlines_and_no_utf8() -> None:
    odd = os.fsdecode(b"new\nline\xff.jpg")
    selection = Selection(include=["new*.jpg"])
    assert selection.takes(Path(odd))
    assert selection.takes(Path("sub", odd))
    assert not selection.takes(Path("x", "a.jpg"))


@pytest.mark.parametrize(
    "name", ["a.jpg", "day/a.jpg", "[1]/*?.jpg", "a\nb.jpg", "caf\udce9.jpg", "!x.jpg", "[!x].jpg"]
)
def test_an_exact_pattern_means_one_file(name: str) -> None:
    others = [PurePath(other) for other in ("x/" + name, name.upper(), name + "x", name.replace("*", "xx") + "/")]
    selection = Selection([exact_pattern(PurePath(name))])
    assert selection.takes(PurePath(name))
    assert not any(selection.takes(other) for other in others if other != PurePath(name))
