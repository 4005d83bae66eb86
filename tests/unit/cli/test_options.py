from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from lumen.cli.main import cli
from lumen.cli.options import (
    amount_as_typed,
    field_option,
    given_options,
    options_of,
    parse_amount,
    parse_on_success,
    parse_pixels,
    parse_shard,
    parse_size,
    parse_space,
    parse_span,
    parse_tile,
    span_as_typed,
)
from lumen.config import BatchOptions, EnhanceOptions, RuntimeOptions, WatchOptions


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("17", 17),
        ("512M", 512_000_000),
        ("2GiB", 2 << 30),
        ("1.5g", 1_500_000_000),
        ("64 kb", 64_000),
        ("3Mi", 3 << 20),
        ("1T", 10**12),
        ("2 TiB", 2 << 40),
        ("50MP", 50_000_000),
    ],
)
def test_amounts(text: str, number: int) -> None:
    assert parse_amount(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "0.0001k", "M", "5X", "five"])
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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2", 2.0), ("500ms", 0.5), ("1.5s", 1.5), ("2 m", 120.0), ("3min", 180.0), ("1H", 3600.0), ("2d", 172_800.0)],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_span(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0", "-1s", "soon", "1w", "1s2m"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a length of time"):
        parse_span(text)


def test_what_becomes_of_inputs() -> None:
    assert parse_on_success("keep") == ("keep", None)
    assert parse_on_success("delete") == ("delete", None)
    assert parse_on_success("move:a:b") == ("move", Path("a:b"))
    for text in ("move", "move:", "keep:x", "remove", ""):
        with pytest.raises(click.BadParameter, match="move:DIR"):
            parse_on_success(text)


def test_space_may_be_none() -> None:
    assert (parse_space("0"), parse_space("1GiB")) == (0, 1 << 30)


@pytest.mark.parametrize("parse", [parse_size, parse_space])
def test_small_sizes_need_a_unit(parse: Callable[[str], int]) -> None:
    for text in ("5", " 500", "999999", "1.5"):
        with pytest.raises(click.BadParameter, match="expected a size with a unit such as 5GB, got"):
            parse(text)
    assert [parse(text) for text in ("5B", "5k", "5 GB", "1000000")] == [5, 5000, 5 * 10**9, 10**6]


def test_few_pixels_need_a_unit() -> None:
    with pytest.raises(click.BadParameter, match="expected a number of pixels with a unit such as 50MP, got 50"):
        parse_pixels("50")
    assert [parse_pixels(text) for text in ("50MP", "50px", "1000")] == [50_000_000, 50, 1000]


@pytest.mark.parametrize("number", [1, 999, 1000, 1500, 512_000_000, 3_000_000_000, 1 << 30, 10**12])
def test_amounts_are_shown_as_they_are_typed(number: int) -> None:
    assert parse_amount(amount_as_typed(number)) == number


@pytest.mark.parametrize("seconds", [0.5, 2.0, 60.0, 120.0])
def test_lengths_of_time_are_shown_as_they_are_typed(seconds: float) -> None:
    assert parse_span(span_as_typed(seconds)) == seconds


def values_of(name: str, *arguments: str) -> dict[str, Any]:
    """Return what a command makes of a line, by the names of its parameters."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command.make_context(name, [*arguments]).params


@pytest.mark.parametrize("name", ["enhance", "watch"])
@pytest.mark.parametrize("kind", [EnhanceOptions, RuntimeOptions])
def test_without_options_a_command_does_what_the_library_does(name: str, kind: type) -> None:
    assert options_of(kind, values_of(name, "in")) == kind()


def test_the_defaults_of_batches_and_watches_are_those_of_the_library() -> None:
    out = Path("out")
    assert options_of(BatchOptions, values_of("enhance", "in", "-o", "out")) == BatchOptions(output=out)
    watch = values_of("watch", "in", "out")
    assert watch["on_success"] == ("keep", None)
    assert options_of(WatchOptions, watch, on_success="keep") == WatchOptions(output=out)


def test_options_reach_the_fields_of_their_names() -> None:
    values = values_of("enhance", "in", "--tile", "256", "--max-memory", "2k", "--allow-8bit", "--subsampling", "420")
    found = options_of(EnhanceOptions, values, quality=7)
    assert found == EnhanceOptions(tile_px=256, max_memory_bytes=2000, allow_8bit=True, subsampling="420", quality=7)


@pytest.mark.parametrize("command", ["enhance", "watch"])
def test_all_options_take_all_spellings_of_their_kind(command: str) -> None:
    line = ["--strength", "50%", "--shadows", "1 1/2", "--ev", "-1/3", "--format", "JPEG", "--metadata", "Strip"]
    values = values_of(command, "in", *line, "--max-memory", "1T", "--max-pixels", "50MP")
    pictures = options_of(EnhanceOptions, values)
    assert (pictures.strength, pictures.shadows) == (0.5, 1.5)
    assert pictures.ev == pytest.approx(-1 / 3)
    assert (pictures.max_memory_bytes, pictures.max_pixels, pictures.metadata) == (10**12, 50_000_000, "strip")
    assert values["format"] == "jpg"


def test_a_field_that_is_not_there_is_no_option() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        field_option(EnhanceOptions, "--nothing")


def test_options_that_are_given_are_told_from_defaults() -> None:
    context = click.Context(cli)
    command = cli.get_command(context, "enhance")
    assert command is not None
    with command.make_context("enhance", ["in", "-r", "--tile", "auto", "--gt", "."], context) as inner:
        given = given_options(inner)
    assert given == {"inputs": "inputs", "recursive": "--recursive", "tile_px": "--tile", "reference": "--gt"}
