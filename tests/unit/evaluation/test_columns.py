"""Columns under other rules have names that say whose and which."""

from __future__ import annotations

import pytest

from lumen.evaluation.columns import GT_MEAN, MATCHED, OUTPUT, aim_column, column_title, variant


@pytest.mark.parametrize(
    ("method", "kind", "column", "title"),
    [
        (OUTPUT, GT_MEAN, "gt_mean", "GT-mean"),
        (OUTPUT, MATCHED, "match_brightness", "brightness matched"),
        ("lumen-s", GT_MEAN, "lumen-s gt_mean", "lumen-s GT-mean"),
        ("my tool", MATCHED, "my tool match_brightness", "my tool brightness matched"),
    ],
)
def test_a_variant_is_named_after_its_method(method: str, kind: str, column: str, title: str) -> None:
    assert variant(method, kind) == column
    assert column_title(column) == title


@pytest.mark.parametrize("column", ["input", "output", "a b", "gamma:3"])
def test_other_columns_are_called_what_they_are(column: str) -> None:
    assert column_title(column) == column


def test_a_constant_aim_is_a_method_with_variants() -> None:
    assert aim_column(OUTPUT, 0.43) == "aim 0.43"
    assert variant(aim_column("lumen-s", 0.5), GT_MEAN) == "lumen-s aim 0.5 gt_mean"
    assert column_title("lumen-s aim 0.5 gt_mean") == "lumen-s aim 0.5 GT-mean"
    assert column_title("aim 0.43") == "aim 0.43"


@pytest.mark.parametrize(
    ("column", "title"),
    [
        ("output", "lumen-s"),
        ("gt_mean", "lumen-s GT-mean"),
        ("aim 0.43", "lumen-s aim 0.43"),
        ("aim 0.43 gt_mean", "lumen-s aim 0.43 GT-mean"),
        ("input", "input"),
        ("gamma gt_mean", "gamma GT-mean"),
    ],
)
def test_the_only_method_is_called_by_its_name(column: str, title: str) -> None:
    assert column_title(column, "lumen-s") == title
