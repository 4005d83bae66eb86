"""Recognises scores that were computed wrongly: values that are impossible, or the same whatever the pictures."""

from __future__ import annotations

import csv
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from lumen.errors import DataError
from lumen.evaluation.cells import name_in

WRAPPED_DB: Final = 27.9  # wrapped 8-bit differences: the mean of x * x mod 256 over all x is 105.5
WRAPPED_WITHIN_DB: Final = 1.0
LEAST_PICTURES: Final = 3  # two scores may be there by chance
NAME_LENGTH: Final = 200  # of a column; the time to take one apart grows with its square
TOO_GOOD_DB: Final = 50.0
RANGES: Final = (255.0, 1.0, 65535.0)
BOUNDS: Final = {  # of samples within the data range
    "psnr": (0.0, math.inf),
    "ssim": (-1.0, 1.0),
    "mae": (0.0, sys.float_info.max),
    "mse": (0.0, sys.float_info.max),
}
_RANGES_IN_WORDS = {"psnr": "of at least 0", "ssim": "from -1 to 1", "mae": "of at least 0", "mse": "of at least 0"}
_NOISE = 1e-6  # of computing
_ROUNDED = 0.02  # rounding of printed digits
_COLUMN = re.compile(r"(?:(?P<who>.+?)[\s_./:|-]+)?(?P<what>psnr|ssim|mae|mse)(?:[\s_]*\(?db\)?)?", re.IGNORECASE)


def suspicions(rows: Sequence[Mapping[str, float]], *, data_range: float | None = None) -> list[str]:
    """Return signs that the scores of one method are wrong, one line each.

    Args:
        rows: `psnr`, `ssim`, `mae` and `mse` of each picture, as far as known; PSNR is `inf` for equal pictures.
        data_range: Data range of the PSNR; None if unknown, which adds a check of PSNR against MSE.
    """
    outside = list(_outside(rows))
    rows = [{name: value for name, value in row.items() if _can_be(name, value)} for row in rows]
    found = [*outside, *_wrapped(rows), *_impossible(rows), *_too_good(rows)]
    return found if data_range is not None else [*found, *_other_range(rows)]


def read_scores(path: Path) -> dict[str, list[dict[str, float]]]:
    """Read `psnr`, `ssim`, `mae` and `mse` of each picture from a CSV file, method by method.

    Columns may be named `psnr`, `PSNR (dB)`, or `gamma psnr` if methods stand side by side; a column `method` names the
    method of each row.

    Raises:
        DataError: The file cannot be read, or lacks such columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"expected a CSV file in {path}, got none: {error}") from error
    names = [name for name in (rows[0] if rows else {}) if name and len(name) <= NAME_LENGTH]
    columns = {name: match for name in names if (match := _COLUMN.fullmatch(name.strip()))}
    if not columns:
        there = ", ".join(names) or "none"
        raise DataError(f"expected columns psnr, ssim, mae or mse in {path}, found {there}")
    found: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        by_method: dict[str, dict[str, float]] = {}
        for name, match in columns.items():
            value = _number(row[name])
            if value is not None:
                who = " ".join(filter(None, (name_in(row.get("method") or ""), (match["who"] or "").strip())))
                by_method.setdefault(who, {})[match["what"].lower()] = value
        for who, values in by_method.items():
            found.setdefault(who, []).append(values)
    return found


def _can_be(name: str, value: float) -> bool:
    least, most = BOUNDS.get(name, (-math.inf, math.inf))
    return least - _NOISE <= value <= most + _NOISE  # False for NaN


def _outside(rows: Sequence[Mapping[str, float]]) -> Iterable[str]:
    for name in BOUNDS:
        values = [row[name] for row in rows if name in row]
        wrong = [value for value in values if not _can_be(name, value)]
        if wrong:
            yield (
                f"{name.upper()} is impossible in {len(wrong)} of {len(values)} pictures ({wrong[0]:g} in one): "
                f"expected a number {_RANGES_IN_WORDS[name]}"
            )


def _wrapped(rows: Sequence[Mapping[str, float]]) -> Iterable[str]:
    psnrs = [row["psnr"] for row in rows if "psnr" in row]
    if len(psnrs) >= LEAST_PICTURES and all(abs(psnr - WRAPPED_DB) <= WRAPPED_WITHIN_DB for psnr in psnrs):
        yield (
            f"all {len(psnrs)} pictures are within {WRAPPED_WITHIN_DB:g} dB of {WRAPPED_DB:g}, as any two pictures are "
            "when 8-bit integers are subtracted and wrap around; subtract floats"
        )


def _impossible(rows: Sequence[Mapping[str, float]]) -> Iterable[str]:
    wrong = sum(
        row["mae"] > math.sqrt(row["mse"]) * (1 + 1e-9) + _ROUNDED for row in rows if "mae" in row and "mse" in row
    )
    if wrong:
        yield (
            f"MAE is above the root of MSE in {wrong} of {len(rows)} pictures, which is impossible: "
            "integers wrapped around, or the two have different units"
        )


def _too_good(rows: Sequence[Mapping[str, float]]) -> Iterable[str]:
    high = [row["psnr"] for row in rows if TOO_GOOD_DB < row.get("psnr", 0.0) < math.inf]
    if high:
        yield (
            f"{len(high)} of {len(rows)} pictures are above {TOO_GOOD_DB:g} dB (up to {max(high):.2f}) without being "
            "equal to their reference: unless the input was nearly right already, the data range may be wrong "
            "(255 on samples in [0, 1] adds 48.13 dB)"
        )


def _other_range(rows: Sequence[Mapping[str, float]]) -> Iterable[str]:
    """Find PSNRs that do not follow from their MSE with any usual data range."""
    wrong, apart = 0, 0.0
    for row in rows:
        if row.get("mse", 0.0) > 0 and math.isfinite(row.get("psnr", math.inf)):
            offsets = [row["psnr"] - 10 * math.log10(top * top / row["mse"]) for top in RANGES]
            nearest = min(offsets, key=abs)
            if abs(nearest) > (0.1 + 0.25 / row["mse"] if row["mse"] > 1 else 0.5):  # one printed digit of the MSE
                wrong, apart = wrong + 1, nearest
    if wrong:
        yield (
            f"PSNR does not follow from MSE in {wrong} of {len(rows)} pictures with a data range of 255, 1 or 65535 "
            f"(by {apart:+.2f} dB in one)"
        )


def _number(text: str | None) -> float | None:
    try:
        return float((text or "").strip())
    except ValueError:
        return None
