from __future__ import annotations

import click
import pytest

from lumen.cli.options import parse_amount, parse_shard, parse_tile


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("17", 17),
        ("512M", 512_000_000),
        ("2GiB", 2 << 30),
        ("1.5g", 1_500_000_000),
        ("64 kb", 64_000),
        ("3Mi", 3 << 20),
    ],
)
def test_amounts(text: str, number: int) -> None:
    assert parse_amount(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "0.0001k", "M", "5T", "five"])
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a number above 0"):
        parse_amount(text)


def test_tiles() -> None:
    assert parse_tile("auto") is None
    assert parse_tile(" 256 ") == 256
    with pytest.raises(click.BadParameter, match="expected auto or a number"):
        parse_tile("-3")


def test_shards() -> None:
    assert parse_shard(" 2/14 ") == (2, 14)
    for text in ("", "2", "a/b", "-1/2", "1/2/3", "1.5/2"):
        with pytest.raises(click.BadParameter, match="expected I/N"):
            parse_shard(text)
