"""Options that differ from picture to picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Any

import pytest

from lumen.config import EnhanceOptions
from lumen.enhance.picture_rules import PictureOptions, PictureRule

RULES = (
    PictureRule(match="night/*.jpg", changes={"ev": 0.5, "quality": 80}),
    PictureRule(match="b*", changes={"ev": 1.0}),
)


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("day/a.jpg", {}),
        ("night/a.jpg", {"ev": 0.5, "quality": 80}),
        ("Night/deep/A.JPG", {"ev": 0.5, "quality": 80}),
        ("night/b.jpg", {"ev": 1.0, "quality": 80}),
        ("day/b.png", {"ev": 1.0}),
    ],
)
def test_all_rules_that_match_hold_and_later_ones_win(path: str, changes: dict[str, Any]) -> None:
    base = EnhanceOptions(ev=-1.0, strength=0.5)
    options = PictureOptions(base, RULES)
    assert options.changes(PurePath(path)) == changes
    assert options.of(PurePath(path)) == replace(base, **changes)


def test_what_any_rule_reads_is_read_for_scoring() -> None:
    rules = [PictureRule(match="a", changes={"frames": "first"}), PictureRule(match="b", changes={"max_pixels": 9})]
    reading = PictureOptions(EnhanceOptions(max_pixels=5, strict=True), rules).reading()
    assert (reading.frames, reading.max_pixels, reading.strict) == ("first", 9, True)
    assert PictureOptions(EnhanceOptions()).reading() == EnhanceOptions()


def test_the_variants_and_the_record_hold_every_rule() -> None:
    options = PictureOptions(EnhanceOptions(), RULES)
    assert [each.ev for each in options.variants()] == [0.0, 0.5, 1.0]
    assert options.as_list() == [{"match": "night/*.jpg", "ev": 0.5, "quality": 80}, {"match": "b*", "ev": 1.0}]
