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
    base = write_pairs(tmp_path, 1) / "our485"
    low, high = base / "low" / "0.png", base / "high" / "0.png"
    Image.fromarray(scene(0, 40, 40)).save(low)
    with pytest.raises(DataError) as raised:
        load_pairs(tmp_path)
    assert f"pair 0: {low} and {high}: expected equal sizes, got 40x40 and 64x48" in str(raised.value)


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


def test_all_bad_pairs_are_named_at_once(tmp_path: Path) -> None:
    base = spoil(write_pairs(tmp_path, 4) / "our485")
    with pytest.raises(DataError) as raised:
        load_pairs(tmp_path)
    message = str(raised.value)
    assert message.count("pair ") == 3 and "(3 bad in all; mend or remove them, or add --skip-bad)" in message
    assert "1.png: expected equal sizes, got 40x40 and 64x48" in message
    assert f"pair 2: {base / 'low' / '2.png'}: " in message and f" and {base / 'high' / '2.png'}: " in message
    bad: list[str] = []
    assert [pair.name for pair in load_pairs(tmp_path, bad=bad)] == ["3"]
    assert len(bad) == 3


def test_all_bad_photographs_are_named_at_once(tmp_path: Path) -> None:
    high = spoil(write_pairs(tmp_path, 4) / "our485") / "high"
    with pytest.raises(DataError, match=r"high/0\.png: .*high/2\.png: .*2 bad in all"):
        load_photos([high])
    bad: list[str] = []
    assert [photo.name for photo in load_photos([high], bad=bad)] == ["1", "3"]
    assert len(bad) == 2


def test_pictures_smaller_than_a_crop_are_all_named_with_what_would_fit(tmp_path: Path) -> None:
    base = write_pairs(tmp_path, 3) / "our485"
    for side in ("low", "high"):
        Image.fromarray(scene(9, 150, 200)).save(base / side / "1.png")
    with pytest.raises(DataError, match="2 bad in all") as raised:
        load_pairs(tmp_path, crop_px=128)
    told = "expected both sides to be at least data.crop_px=128, got 64x48, or --set data.crop_px=48"
    assert all(f"pair {name}: {base / 'low' / name}.png: {told}" in str(raised.value) for name in "02")
    bad: list[str] = []
    assert [pair.name for pair in load_pairs(tmp_path, bad=bad, crop_px=128)] == ["1"]
    assert [photo.name for photo in load_photos([base / "high"], bad=bad, crop_px=128)] == ["1"]
    assert len(bad) == 4 and len(load_pairs(tmp_path, crop_px=48)) == 3


def test_unreadable_exposures_of_a_sequence_are_all_named(tmp_path: Path) -> None:
    for path, level in (("1/a", 0), ("1/b", 1), ("1/c", 2), ("Label/1", 3)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        Image.fromarray(scene(level)).save(tmp_path / f"{path}.png")
    for name in "ab":
        (tmp_path / "1" / f"{name}.png").write_bytes(b"no picture")
    bad: list[str] = []
    assert [pair.name for pair in load_pairs(tmp_path, bad=bad)] == ["1/c"]
    assert [each.partition(":")[0] for each in bad] == ["pair 1/a", "pair 1/b"]


def spoil(base: Path) -> Path:
    """Damage the picture 0 on one side and 2 on both, and make 1 another size."""
    for path in (base / "high" / "0.png", base / "low" / "2.png", base / "high" / "2.png"):
        path.write_bytes(path.read_bytes()[:60])
    Image.fromarray(scene(0, 40, 40)).save(base / "low" / "1.png")
    return base


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
