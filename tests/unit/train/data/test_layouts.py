"""Where the pairs of data sets are found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.errors import DataError
from lumen.train.data.layouts import find_training_pairs
from lumen.train.data.load import load_pairs, name_some
from lumen.train.data.split import split_by_scene
from tests.support.training import darker, scene, tiny_recipe, write_pairs


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_lol_v2(root: Path) -> Path:
    for seed, (half, low, high) in enumerate(
        [("Real_captured", "low00001", "normal00001"), ("Real_captured", "low00002", "normal00002")]
    ):
        write(root / half / "Train" / "Low" / f"{low}.png", darker(scene(seed)))
        write(root / half / "Train" / "Normal" / f"{high}.png", scene(seed))
    for part in ("Train", "Test"):
        write(root / "Synthetic" / part / "Low" / "r1.png", darker(scene(5)))
        write(root / "Synthetic" / part / "Normal" / "r1.png", scene(5))
    return root


def write_sice(part: Path) -> Path:
    for name in ("2", "10"):
        write(part / "Label" / f"{name}.JPG", scene(int(name)))
        for exposure, factor in enumerate((0.4, 0.1, 0.8), start=1):
            write(part / name / f"{exposure}.JPG", darker(scene(int(name)), factor))
    return part


def test_lol_v1_and_plain_pairs(tmp_path: Path) -> None:
    found = find_training_pairs(write_pairs(tmp_path / "lol", 3))
    assert found.layout == "LOL v1" and [pair.name for pair in found.pairs] == ["0", "1", "2"]
    plain = write_pairs(tmp_path / "plain", 2, lol=False)
    assert find_training_pairs(plain).layout == "pairs"
    (plain / "low").rename(plain / "Low")
    (plain / "high").rename(plain / "GT")
    pair = find_training_pairs(plain).pairs[1]
    assert (pair.low, pair.high) == (plain / "Low" / "1.png", plain / "GT" / "1.png")


def test_lol_v2_whole_or_one_half(tmp_path: Path) -> None:
    root = write_lol_v2(tmp_path)
    found = find_training_pairs(root)
    assert found.layout == "LOL v2"
    assert [pair.name for pair in found.pairs] == ["Real_captured/00001", "Real_captured/00002", "Synthetic/r1"]
    assert all("Test" not in str(pair.low) for pair in found.pairs)
    assert [pair.name for pair in find_training_pairs(root / "Real_captured").pairs] == ["00001", "00002"]
    assert [pair.name for pair in find_training_pairs(root / "Synthetic" / "Test").pairs] == ["r1"]
    assert np.array_equal(load_pairs(root, ["Synthetic/r1"])[1].high, scene(1))


def test_common_beginnings_are_kept_where_names_agree(tmp_path: Path) -> None:
    for side in ("low", "high"):
        write(tmp_path / side / "lowland.png", scene(0))
    assert [pair.name for pair in find_training_pairs(tmp_path).pairs] == ["lowland"]


def test_sequences_have_one_label(tmp_path: Path) -> None:
    part = write_sice(tmp_path)
    found = find_training_pairs(part)
    assert found.layout == "SICE" and found.sequences
    assert [pair.name for pair in found.pairs] == ["2/1", "2/2", "2/3", "10/1", "10/2", "10/3"]
    darkest = load_pairs(part)
    assert [pair.name for pair in darkest] == ["2/2", "10/2"]
    every = load_pairs(part, exposures="all")
    assert len(every) == 6 and every[0].high is every[2].high  # one label in memory


def test_the_parts_of_sice_are_kept_apart_and_scenes_without_a_label_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Dataset_Part1", "Dataset_Part2"):
        write_sice(tmp_path / name)
    write(tmp_path / "Dataset_Part1" / "7" / "1.JPG", scene(0))
    assert [pair.name for pair in load_pairs(tmp_path)][::3] == ["Dataset_Part1/2/2", "Dataset_Part2/10/2"]
    assert "have no partner: Dataset_Part1/7" in caplog.text


def test_large_pictures_are_reduced_by_a_whole_factor(tmp_path: Path) -> None:
    write_pairs(tmp_path, 1)
    (pair,) = load_pairs(tmp_path, longest_px=40)
    assert pair.low.shape == pair.high.shape == (24, 32, 3)
    blocks = scene(0).reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(pair.high - blocks).max() <= 1


def test_what_is_no_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found none of them"):
        find_training_pairs(tmp_path)
    (tmp_path / "Label").mkdir()
    with pytest.raises(DataError, match="expected pictures in"):
        find_training_pairs(tmp_path)


def test_long_lists_of_names_are_cut() -> None:
    assert name_some(["a"]) == "a"
    assert name_some([str(i) for i in range(14)]).endswith("11 and 2 more")


def write_brackets(root: Path) -> Path:
    """Two scenes of brackets: one of two dark frames to train on, one of a single frame that is held out."""
    index = []
    for number, (split, frames) in enumerate((("train", 2), ("val", 1))):
        folder, dark = root / f"s{number}", []
        write(folder / "ref_0.png", scene(number))
        for frame in range(frames):
            write(folder / f"dark_{frame}.png", darker(scene(number)))
            dark.append({"file": f"dark_{frame}.png", "ref": "ref_0.png", "mean": 12.0})
        index.append({"id": f"s{number}", "split": split, "dark": dark})
    (root / "index.json").write_text(json.dumps(index))
    return root


def test_brackets_come_with_scenes_and_a_split(tmp_path: Path) -> None:
    found = find_training_pairs(write_brackets(tmp_path))
    assert found.layout == "brackets" and found.clean
    assert [(pair.name, pair.scene, pair.held_out) for pair in found.pairs] == [
        ("s0/dark_0", "s0", False),
        ("s0/dark_1", "s0", False),
        ("s1/dark_0", "s1", True),
    ]
    pairs = load_pairs(tmp_path)
    assert all(pair.clean for pair in pairs)
    assert pairs[0].high is pairs[1].high  # one reference in memory
    split = split_by_scene([*pairs, *load_pairs(write_pairs(tmp_path / "lol", 4))], [], tiny_recipe())
    assert split.val_pairs[0].name == "s1/dark_0"
    assert len(split.val_pairs) >= 3, "beside those that are drawn"


def test_an_index_that_is_none_is_told(tmp_path: Path) -> None:
    for text in ("{", '[{"id": "s0"}]', "3", "[" * 100_000 + "]" * 100_000):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(DataError, match="expected scenes with id, split and dark frames"):
            find_training_pairs(tmp_path)


@pytest.mark.parametrize(
    ("scene", "name"), [("..", "a.png"), ("s0", "../../a.png"), ("/s0", "a.png"), ("s0", "a\0.png")]
)
@pytest.mark.parametrize("side", ["file", "ref"])
def test_an_index_leads_nowhere_else(tmp_path: Path, scene: str, name: str, side: str) -> None:
    frame = {"file": "a.png", "ref": "a.png", side: name}
    (tmp_path / "index.json").write_text(json.dumps([{"id": scene, "split": "train", "dark": [frame]}]))
    with pytest.raises(DataError, match="no place in the folder"):
        find_training_pairs(tmp_path)
