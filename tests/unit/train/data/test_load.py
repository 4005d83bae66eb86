"""Pairs and photographs, read from their folders."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.errors import DataError
from lumen.train.data.load import load_pairs, load_photos
from tests.support.damage import photo, zeros_within
from tests.support.training import darker, scene, write_pairs


@pytest.mark.parametrize("lol", [True, False])
def test_pairs_are_matched_by_name(tmp_path: Path, lol: bool) -> None:
    pairs = load_pairs(write_pairs(tmp_path, 3, lol=lol), exclude=("1",))
    assert [pair.name for pair in pairs] == ["0", "2"]
    assert np.array_equal(pairs[1].high, scene(2))
    assert np.array_equal(pairs[1].low, darker(scene(2)))


def test_a_missing_partner_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    base = write_pairs(tmp_path, 3) / "our485"
    (base / "low" / "2.png").unlink()
    assert [pair.name for pair in load_pairs(tmp_path)] == ["0", "1"]
    assert "left out, because they have no partner: 2" in caplog.text
    for name in ("0", "1"):
        (base / "low" / f"{name}.png").rename(base / "low" / f"other{name}.png")
    with pytest.raises(DataError, match="same name on both sides"):
        load_pairs(tmp_path)


def test_pairs_of_different_sizes_are_refused(tmp_path: Path) -> None:
    Image.fromarray(scene(0, 40, 40)).save(write_pairs(tmp_path, 1) / "our485" / "low" / "0.png")
    with pytest.raises(DataError, match="pair 0: expected equal sizes, got 40x40 and 64x48"):
        load_pairs(tmp_path)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    path = write_pairs(tmp_path, 2) / "our485" / "low" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"low/1\.png: the png file is damaged"):
        load_pairs(tmp_path)


def test_a_picture_with_gaps_is_named(tmp_path: Path) -> None:
    low = write_pairs(tmp_path, 2) / "our485" / "low"
    (low / "1.png").unlink()
    (low / "1.jpg").write_bytes(zeros_within(photo()))
    with pytest.raises(DataError, match=r"low/1\.jpg: .*damaged"):
        load_pairs(tmp_path)
    (low / "2.jpg").write_bytes(photo()[:-2])  # lacks only its end
    with pytest.raises(DataError, match=r"low/1\.jpg"):
        load_photos([low])
    (low / "1.jpg").unlink()
    assert [photograph.name for photograph in load_photos([low])] == ["0", "2"]


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data"):
        load_pairs(tmp_path)
    with pytest.raises(DataError, match="found none"):
        load_pairs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected pictures"):
        load_photos([tmp_path / "empty"])


@pytest.mark.parametrize("kind", ["pipe", "huge"])
def test_the_darkest_of_a_sequence_is_looked_for_among_anything(tmp_path: Path, kind: str) -> None:
    (tmp_path / "Label").mkdir()
    (tmp_path / "1").mkdir()
    Image.fromarray(scene(0)).save(tmp_path / "Label" / "1.png")
    Image.fromarray(darker(scene(0))).save(tmp_path / "1" / "1.png")
    if kind == "pipe":
        os.mkfifo(tmp_path / "1" / "2.png")
    else:
        data = bytearray((tmp_path / "1" / "1.png").read_bytes())
        data[16:24] = (60_000).to_bytes(4) * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
        (tmp_path / "1" / "2.png").write_bytes(data)
    with pytest.raises(DataError, match=r"1/2\.png: "):
        load_pairs(tmp_path)
