"""Scores that are mistakes of measuring are told; sound ones are not."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lumen.errors import DataError
from lumen.evaluation.suspicions import read_scores, suspicions


def wrapped(seed: int) -> dict[str, float]:
    """Score two pictures of noise by 8-bit subtraction that wraps around."""
    rng = np.random.default_rng(seed)
    first, second = (rng.integers(0, 256, (64, 64), dtype=np.uint8) for _ in range(2))
    difference = first - second
    mse = float((difference * difference).mean())
    return {"psnr": 10 * math.log10(255**2 / mse), "mae": float(difference.mean()), "mse": mse}


def test_wrapped_integers_are_recognised_by_both_signs() -> None:
    lines = suspicions([wrapped(seed) for seed in range(4)], data_range=255)
    assert len(lines) == 2
    assert "27.9" in lines[0] and "wrap" in lines[0]
    assert "root of MSE in 4 of 4" in lines[1]


@pytest.mark.parametrize("psnrs", [[27.9, 27.5], [27.9, 28.2, 29.0], [20.1, 31.0, 24.4], [math.inf, 27.9, 27.9]])
def test_a_few_or_scattered_scores_near_there_are_not(psnrs: list[float]) -> None:
    assert suspicions([{"psnr": psnr} for psnr in psnrs], data_range=255) == []


def test_scores_above_50_are_told_but_equal_pictures_not() -> None:
    (line,) = suspicions([{"psnr": 67.6}, {"psnr": math.inf}, {"psnr": 21.0}], data_range=255)
    assert "1 of 3" in line and "67.60" in line and "48.13" in line


def test_of_foreign_tables_psnr_must_follow_from_mse() -> None:
    right = {"psnr": 20.17, "mse": 625.0}
    assert suspicions([right, {"psnr": 20.17, "mse": 0.00961}]) == []
    (line,) = suspicions([right, {"psnr": 23.17, "mse": 625.0}])
    assert "PSNR does not follow from MSE in 1 of 2" in line and "+3.00" in line
    assert suspicions([{"psnr": 23.17, "mse": 625.0}], data_range=255) == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"psnr": -0.01}, "PSNR"),
        ({"psnr": math.nan}, "PSNR"),
        ({"ssim": 1.001}, "SSIM"),
        ({"ssim": -1.1}, "SSIM"),
        ({"mae": -1.0}, "MAE"),
        ({"mse": math.inf}, "MSE"),
    ],
)
def test_numbers_that_no_picture_can_have_are_told(row: dict[str, float], says: str) -> None:
    (line,) = suspicions([{"psnr": 20.0}, row], data_range=255)
    assert f"{says} is impossible in 1 of {2 if says == 'PSNR' else 1}" in line


def test_the_ends_of_the_ranges_are_possible() -> None:
    rows = [{"psnr": 0.0, "ssim": -1.0, "mae": 255.0}, {"psnr": math.inf, "ssim": 1 + 1e-9, "mae": 0.0, "mse": 0.0}]
    assert suspicions(rows, data_range=255) == []


def test_tables_are_read_method_by_method(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("name,method,PSNR (dB),mae\na,x,20.5,3\na,y,,4\nmean,,n/a,\n", encoding="utf-8")
    assert read_scores(path) == {"x": [{"psnr": 20.5, "mae": 3.0}], "y": [{"mae": 4.0}]}
    path.write_text("name,input psnr,lumen-s_PSNR,lumen-s_MSE\na,7,22,400\nb,8,inf,0\n", encoding="utf-8")
    assert read_scores(path) == {
        "input": [{"psnr": 7.0}, {"psnr": 8.0}],
        "lumen-s": [{"psnr": 22.0, "mse": 400.0}, {"psnr": math.inf, "mse": 0.0}],
    }


def test_cells_that_are_no_number_are_kept_apart_from_those_that_are_nan(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("method,ssim\n'=x,NaN\n'=x,n/a\n'=x,0.5\n", encoding="utf-8")
    (rows,) = read_scores(path).values()
    assert math.isnan(rows[0]["ssim"]) and rows[1:] == [{"ssim": 0.5}]
    assert list(read_scores(path)) == ["=x"]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n", b"a,b\n1,2\n", b"psnr\n", b"\xff\xfe\x00"])
def test_files_without_scores_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scores.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match="expected"):
        read_scores(path)


def test_names_of_columns_that_take_long_to_take_apart_are_passed_over(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text(f"{'-' * 100_000},psnr\n1,2\n")
    assert read_scores(table) == {"": [{"psnr": 2.0}]}
