"""Pairs by name: never by order, and nothing is dropped in silence."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from lumen.errors import NothingToDoError, UsageError
from lumen.evaluation.pairs import Matching, Pair, Result, find_pairs, pair_results


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names(pair: Pair) -> tuple[str, str]:
    assert pair.low is not None and pair.reference is not None
    return pair.low.name, pair.reference.name


def test_pairs_by_name_whatever_the_order_suffix_and_case(tmp_path: Path) -> None:
    low = touch(tmp_path / "low", "10.png", "9.JPG", "Scene/B.jpeg")
    high = touch(tmp_path / "high", "9.tif", "10.png", "scene/b.png")
    pairs, problems, _ = find_pairs(low, high)
    assert problems == ()
    assert [(pair.name, *names(pair)) for pair in pairs] == [
        ("10", "10.png", "10.png"),
        ("9", "9.JPG", "9.tif"),
        ("Scene/B", "B.jpeg", "b.png"),
    ]


def test_a_name_without_partner_is_a_problem_on_either_side(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "a.png", "b.png"), touch(tmp_path / "high", "a.png", "c.png")
    pairs, problems, _ = find_pairs(low, high)
    assert [pair.name for pair in pairs] == ["a"]
    assert [(problem.name, str(high) in problem.reason) for problem in problems] == [("b", True), ("c", False)]
    assert str(low) in problems[1].reason


def test_the_same_name_in_another_folder_is_another_picture(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "a.png", "x/b.png"), touch(tmp_path / "high", "a.png", "y/b.png")
    pairs, problems, _ = find_pairs(low, high)
    assert [pair.name for pair in pairs] == ["a"]
    assert [problem.name for problem in problems] == ["x/b", "y/b"]


def test_an_ambiguous_name_is_a_problem_that_shows_the_files(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "a.jpg", "a.png", "b.png"), touch(tmp_path / "high", "a.png", "b.png")
    pairs, problems, _ = find_pairs(low, high)
    assert [pair.name for pair in pairs] == ["b"]
    assert "a.jpg, a.png" in problems[0].reason


def test_other_files_and_hidden_folders_are_no_pictures(tmp_path: Path) -> None:
    low = touch(tmp_path / "low", "a.png", "notes.txt", ".lumen/a.png", ".hidden.png")
    pairs, problems, _ = find_pairs(low, touch(tmp_path / "high", "a.png", "Thumbs.db"))
    assert len(pairs) == 1
    assert problems == ()


def test_two_files_pair_whatever_their_names(tmp_path: Path) -> None:
    folder = touch(tmp_path, "dark.jpg", "bright.png")
    pairs, _, _ = find_pairs(folder / "dark.jpg", folder / "bright.png")
    assert [(pair.name, *names(pair)) for pair in pairs] == [("dark", "dark.jpg", "bright.png")]


def test_a_file_and_a_folder_do_not_pair(tmp_path: Path) -> None:
    touch(tmp_path, "dark.jpg", "high/dark.jpg")
    with pytest.raises(UsageError, match="two folders or two files"):
        find_pairs(tmp_path / "dark.jpg", tmp_path / "high")


def test_no_common_name_is_nothing_to_do(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "cat.png", "dog.png"), touch(tmp_path / "high", "owl.png")
    with pytest.raises(NothingToDoError, match=r"found 2 in .* and 1 in .* none in common; --pair REGEX pairs"):
        find_pairs(low, high)


def result(place: str, low: str = "low", made: str = "out") -> Result:
    return Result(place=PurePath(place), low=Path(low, place), result=Path(made, place))


def test_results_pair_with_references_of_their_place(tmp_path: Path) -> None:
    high = touch(tmp_path / "high", "a.png", "X/b.tif", "never-asked-for.png")
    pairs, problems, _ = pair_results([result("x/B.webp"), result("a.jpg")], high)
    assert problems == ()
    assert [(pair.name, pair.low, pair.results["output"], pair.reference) for pair in pairs] == [
        ("a", Path("low/a.jpg"), Path("out/a.jpg"), high / "a.png"),
        ("x/B", Path("low/x/B.webp"), Path("out/x/B.webp"), high / "X/b.tif"),
    ]


def test_results_without_one_reference_are_problems(tmp_path: Path) -> None:
    high = touch(tmp_path / "high", "a.png", "b.png", "b.tif", "c.png")
    pairs, problems, _ = pair_results([result("b.jpg"), result("c.jpg"), result("c.png"), result("d.jpg")], high)
    assert pairs == ()
    assert [problem.name for problem in problems] == ["b", "c", "d"]
    assert "found b.png, b.tif" in problems[0].reason
    assert problems[1].reason == "expected one picture of this name in the results, found c.jpg, c.png"
    assert problems[2].reason == f"expected a picture of this name in {high}, found none"


def test_groups_of_a_pattern_pair_names_that_differ(tmp_path: Path) -> None:
    """As in LOL-v2, whose references have names of their own."""
    low = touch(tmp_path / "low", "low00002.png", "LOW00001.PNG", "extra.png")
    high = touch(tmp_path / "high", "normal00001.png", "normal00002.png", "normal00003.png")
    pairs, problems, _ = find_pairs(low, high, matching=Matching(pattern=r"^(?:low|normal)(\d+)$"))
    assert [names(pair) for pair in pairs] == [("LOW00001.PNG", "normal00001.png"), ("low00002.png", "normal00002.png")]
    assert [(problem.name, "--pair" in problem.reason) for problem in problems] == [
        ("extra", True),
        ("normal00003", False),
    ]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(", "regular expression"),
        ("(" * 5000 + ")" * 5000, "regular expression"),
        ("(a){99999999999999999999}", "regular expression"),
        (r"\d+", "a group in --pair"),
    ],
    ids=len,
)
def test_patterns_that_say_nothing_are_refused(pattern: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Matching(pattern=pattern)
    with pytest.raises(UsageError, match="got both"):
        Matching(pattern=r"(\d)", gt_per_folder=True)


def test_one_reference_serves_a_folder(tmp_path: Path) -> None:
    """As in SICE: named as the folder, or in a folder of that name."""
    low = touch(tmp_path / "low", "1/1.JPG", "1/2.JPG", "2/1.JPG", "3/1.JPG", "loose.jpg")
    high = touch(tmp_path / "high", "1.JPG", "2/label.png", "9.jpg")
    pairs, problems, _ = find_pairs(low, high, matching=Matching(gt_per_folder=True))
    assert [(pair.name, names(pair)[1]) for pair in pairs] == [("1/1", "1.JPG"), ("1/2", "1.JPG"), ("2/1", "label.png")]
    assert [problem.name for problem in problems] == ["3/1", "9", "loose"]
    assert "in a folder" in problems[2].reason


def test_several_folders_pair_where_all_have_a_picture(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "a.png", "b.png"), touch(tmp_path / "high", "a.png", "b.png")
    made = {"one": touch(tmp_path / "one", "a.jpg", "b.jpg"), "two": touch(tmp_path / "two", "A.webp")}
    pairs, problems, _ = find_pairs(low, high, made)
    assert [(pair.name, {who: path.name for who, path in pair.results.items()}) for pair in pairs] == [
        ("a", {"one": "a.jpg", "two": "A.webp"})
    ]
    assert [(problem.name, problem.reason) for problem in problems] == [
        ("b", f"expected a picture of this name in {made['two']}, found none")
    ]


def test_without_references_every_picture_is_taken(tmp_path: Path) -> None:
    pairs, problems, _ = find_pairs(touch(tmp_path / "low", "a.png", "b.png"), None)
    assert [(pair.name, pair.reference) for pair in pairs] == [("a", None), ("b", None)]
    assert problems == ()


@pytest.mark.parametrize(
    ("low", "high", "pattern"),
    [
        (["low00001", "LOW00002"], ["normal00001", "normal00002"], "^(?:normal|low)(.+)$"),
        (["a", "b"], ["a_gt", "b_gt"], "^(.+?)(?:_gt)?$"),
        (["a_low", "flow_low"], ["a_high", "flow_high"], "^(.+?)(?:_high|_low)$"),
        (["a-input", "b-input"], ["a-gt", "b-gt"], "^(.+?)(?:-input|-gt)$"),
        (["low_a", "low_b"], ["high_a", "high_b"], "^(?:high_|low_)(.+)$"),
        (["1low", "2low"], ["1", "2"], r"^(.+?)(?:(?<=\d)low)?$"),
        (["x/low1", "y/low1"], ["x/normal1", "y/normal1"], "^(.*/)?(?:normal|low)(.+)$"),
        (["low1", "lowland"], ["1", "lowland2"], r"^(?:low(?=\d))?(.+)$"),
        (["a_ground_truth"], ["a_low light"], "^(.+?)(?:_ground_truth|_low light)$"),
    ],
)
def test_usual_beginnings_and_endings_pair_by_themselves(
    tmp_path: Path, low: list[str], high: list[str], pattern: str
) -> None:
    """And the rule, given as --pair, does the same."""
    sides = touch(tmp_path / "l", *(f"{name}.png" for name in low)), touch(tmp_path / "h", *(f"{n}.png" for n in high))
    pairs, problems, rule = find_pairs(*sides)
    assert f"'{pattern}'" in rule
    assert len(pairs) == len(low) - ("lowland" in low)
    given = find_pairs(*sides, matching=Matching(pattern=pattern))
    assert (given.pairs, given.problems) == (pairs, problems)


def test_exact_names_come_first_and_the_rule_is_proposed_for_the_rest(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "l", "a.png", "1_low.png", "x.png"), touch(tmp_path / "h", "a.png", "1_high.png")
    pairs, problems, rule = find_pairs(low, high)
    assert [names(pair) for pair in pairs] == [("a.png", "a.png")]
    assert rule == "by name"
    assert ["; --pair '^(.+?)(?:_high|_low)?$' would pair them" in problem.reason for problem in problems] == [
        True,
        True,
        False,
    ]


def test_a_rule_that_is_not_one_to_one_is_not_used(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "l", "a_low.png", "a_dark.png"), touch(tmp_path / "h", "a_gt.png")
    with pytest.raises(NothingToDoError, match=r"none in common; --pair REGEX pairs"):
        find_pairs(low, high)


def test_words_that_only_begin_alike_are_no_beginnings(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "l", "lowland.png", "inn.png"), touch(tmp_path / "h", "land.png", "n.png")
    with pytest.raises(NothingToDoError, match=r"none in common; --pair REGEX pairs"):
        find_pairs(low, high)


@pytest.mark.parametrize(
    ("low", "high", "pattern"),
    [
        (["dsc_1", "dsc_2"], ["photo 1", "photo 2"], r"(\d+)$"),
        (["1a", "2a"], ["1b", "2b"], r"^(\d+)"),
        (["x/a", "x/b"], ["y/a", "y/b"], "([^/]+)$"),
    ],
)
def test_a_pattern_that_would_pair_them_is_proposed(
    tmp_path: Path, low: list[str], high: list[str], pattern: str
) -> None:
    sides = touch(tmp_path / "l", *(f"{name}.png" for name in low)), touch(tmp_path / "h", *(f"{n}.png" for n in high))
    with pytest.raises(NothingToDoError) as raised:
        find_pairs(*sides)
    assert str(raised.value).endswith(f"none in common; --pair '{pattern}' would pair them")
    assert len(find_pairs(*sides, matching=Matching(pattern=pattern)).pairs) == 2


@pytest.mark.parametrize(
    ("high", "other", "pattern"),
    [
        (["cat", "dog"], ["cat_zz", "dog_zz"], "^(.+?)(?:_zz)?$"),
        (["cat_kind", "dog_kind"], ["cat_zz", "dog_zz"], "^(.+?)(?:_kind|_zz)?$"),
        (["cat", "dog"], ["zz-Cat", "zz-Dog"], "^(?:zz-)?(.+?)$"),
        (["x_cat", "x_dog"], ["cat_y", "dog_y"], "^(?:x_)?(.+?)(?:_y)?$"),
        (["cat", "dog"], ["cat.jpg", "dog.jpg"], r"^(.+?)(?:\.jpg)?$"),
        (["cat", "dog", "cow"], ["cat_zz", "dog_zz"], "^(.+?)(?:_zz)?$"),
        (["1", "2", "10"], ["0001", "0002", "0010"], r"^0*(\d+)$"),
        (["img1", "img2"], ["img_0001", "img_0002"], r"^\D*0*(\d+)\D*$"),
        (["s1_1", "s1_2"], ["s01 f001", "s01 f002"], r"^\D*0*(\d+)\D+0*(\d+)\D*$"),
        (["a/1", "a/2"], ["run/a/1", "run/a/2"], "([^/]+)$"),
        (["a/1", "b/1"], ["run/a/1", "run/b/1"], "^(?:run/)?(.+?)$"),
        (["cat", "dog"], ["run 2/cat_zz", "run 2/dog_zz"], "^(?:run 2/)?(.+?)(?:_zz)?$"),
        (["cat", "dog"], ["cat/result", "dog/result"], "^(.+?)(?:/result)?$"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_two_tools_that_name_their_results_in_their_own_way_get_a_pattern_that_works(
    tmp_path: Path, high: list[str], other: list[str], pattern: str
) -> None:
    def side(name: str, names: list[str]) -> Path:
        return touch(tmp_path / name, *(f"{each}.png" for each in names))

    results = {"one": side("one", high), "two": side("two", other)}
    with pytest.raises(NothingToDoError) as raised:
        find_pairs(None, side("high", high), results)
    assert str(raised.value).endswith(f"none in common; --pair '{pattern}' would pair them")
    assert len(find_pairs(None, tmp_path / "high", results, Matching(pattern=pattern)).pairs) == len(other)


def test_no_pattern_cuts_words_or_numbers(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "l", "cats.png", "dogs.png"), touch(tmp_path / "h", "cat.png", "dog.png")
    with pytest.raises(NothingToDoError, match=r"none in common; --pair REGEX pairs"):
        find_pairs(low, high)
    low, high = touch(tmp_path / "l2", "100.png", "200.png"), touch(tmp_path / "h2", "1.png", "2.png")
    with pytest.raises(NothingToDoError, match=r"none in common; --pair REGEX pairs"):
        find_pairs(low, high)


def test_a_name_that_stands_twice_is_said_instead_of_none_in_common(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "low", "a.jpg", "a.png", "b.png"), touch(tmp_path / "high", "a.png")
    with pytest.raises(NothingToDoError) as raised:
        find_pairs(low, high)
    assert str(raised.value) == f"expected one picture of this name in {low}, found a.jpg, a.png"


def test_a_rule_holds_for_folders_of_results_too(tmp_path: Path) -> None:
    low, high = touch(tmp_path / "l", "low1.png", "low2.png"), touch(tmp_path / "h", "normal1.png", "normal2.png")
    pairs, problems, rule = find_pairs(low, high, {"other": touch(tmp_path / "o", "1.jpg", "2.jpg")})
    assert problems == ()
    assert [(*names(pair), pair.results["other"].name) for pair in pairs] == [
        ("low1.png", "normal1.png", "1.jpg"),
        ("low2.png", "normal2.png", "2.jpg"),
    ]
    assert "'low' or 'normal' at the beginning" in rule


def test_results_pair_by_the_same_rules(tmp_path: Path) -> None:
    high = touch(tmp_path / "high", "normal1.png", "normal2.png")
    pairs, problems, rule = pair_results([result("low1.jpg"), result("low2.jpg")], high)
    assert problems == ()
    assert [pair.reference for pair in pairs] == [high / "normal1.png", high / "normal2.png"]
    assert "at the beginning" in rule
    _, problems, _ = pair_results([result("x1.jpg"), result("x2.jpg")], touch(tmp_path / "other", "y1.png", "y2.png"))
    assert all(problem.reason.endswith(r"--pair '(\d+)$' of lumen eval would pair them") for problem in problems)


@pytest.mark.parametrize(
    ("matching", "words"),
    [
        (Matching(), "by name"),
        (Matching(pattern=r"(\d+)"), r"by the groups of --pair '(\d+)' in their names"),
        (Matching(gt_per_folder=True), "one reference for all pictures of a folder"),
    ],
)
def test_the_rule_is_said(tmp_path: Path, matching: Matching, words: str) -> None:
    low, high = touch(tmp_path / "low", "1/1.png"), touch(tmp_path / "high", "1/1.png")
    assert find_pairs(low, high, matching=matching).rule == words
