"""Settings are defaults, checked as on the command line, and read only when named."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from lumen.cli.commands import COMMANDS
from lumen.cli.main import cli, main
from lumen.cli.options import given_options
from lumen.cli.settings import FILE_BYTES, PER_PICTURE, rules_of, settings_given
from lumen.config import EnhanceOptions
from lumen.errors import UsageError

WITH_SETTINGS = ("enhance", "watch", "eval", "train")


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def parsed(path: Path, text: str, *args: str, name: str = "enhance") -> click.Context:
    path.write_text(text, encoding="utf-8")
    return command(name).make_context(name, ["--settings", str(path), *args])


def refused(path: Path, text: str, name: str = "enhance") -> str:
    with pytest.raises(UsageError) as raised:
        parsed(path, text, name=name)
    message = str(raised.value)
    assert message.startswith(f"settings {path}: ") and "\n" not in message
    return message.removeprefix(f"settings {path}: ")


TOML = """
ev = 0.5
max-memory = "1G"
max_pixels = 1000
tile = 256
quality-passes = 4
include = ["*.jpg", "*.png"]
exclude = "x"
shard = "2/3"
follow-links = false
recursive = true
in-place = false
out = "there"
"""


@pytest.mark.parametrize("kind", ["toml", "json"])
def test_values_are_parsed_as_on_the_command_line(tmp_path: Path, kind: str) -> None:
    import tomllib

    text = TOML if kind == "toml" else json.dumps(tomllib.loads(TOML))
    ctx = parsed(tmp_path / f"s.{kind}", text, "photos")
    typed = (
        "--ev 0.5 --max-memory 1G --max-pixels 1000 --tile 256 --quality-passes 4 --include *.jpg --include *.png "
        "--exclude x --shard 2/3 --no-follow-links -r -o there photos"
    )
    by_hand = command("enhance").make_context("enhance", typed.split())
    assert ctx.params == by_hand.params
    assert given_options(ctx) == given_options(by_hand), "rules about what is given together hold too"


def test_values_have_the_spellings_of_the_command_line(tmp_path: Path) -> None:
    text = "ev = '+1 1/3'\nstrength = '50%'\nformat = 'JPEG'\n[[picture]]\nmatch = 'a'\nev = '1/3'\nstrength = '25%'"
    ctx = parsed(tmp_path / "s.toml", text, "photos")
    assert (ctx.params["ev"], ctx.params["strength"], ctx.params["format"]) == (pytest.approx(4 / 3), 0.5, "jpg")
    assert [rule.changes for rule in rules_of(ctx)] == [{"ev": pytest.approx(1 / 3), "strength": 0.25}]


@pytest.mark.parametrize("before", [True, False])
def test_the_command_line_wins(tmp_path: Path, before: bool) -> None:
    (tmp_path / "s.toml").write_text("ev = 0.5\nrecursive = true\nfollow-links = false\ninclude = 'a'\n")
    words = ["--ev", "2", "--include", "b", "--follow-links"]
    named = ["--settings", str(tmp_path / "s.toml")]
    ctx = command("enhance").make_context("enhance", [*words, *named] if before else [*named, *words])
    assert (ctx.params["ev"], ctx.params["include"]) == (2.0, ("b",))
    assert ctx.params["follow_links"] is True and ctx.params["recursive"] is True


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_every_option_of_the_command_can_be_set(tmp_path: Path, name: str) -> None:
    everywhere = {parameter.name for parameter in cli.params} | {"settings"}
    options = [each for each in command(name).params if isinstance(each, click.Option) and each.name not in everywhere]
    for option in options:
        long = max(option.opts, key=len).removeprefix("--")
        value: Any = True
        if isinstance(option.type, click.Choice):
            value = option.type.choices[-1]
        elif not option.is_flag:
            value = {"shard": "1/2", "on-success": "keep", "device": "cpu", "tile": 64}.get(long, 1)
            value = str(tmp_path) if isinstance(option.type, click.Path) and option.type.file_okay is False else value
            value = str(tmp_path) if isinstance(option.type, click.Path) and option.type.exists else value
            value = str(tmp_path / "s.json") if getattr(option.type, "dir_okay", True) is False else value
        required = ["-o", "x"] if name == "train" and long != "out" else []
        ctx = parsed(tmp_path / "s.json", json.dumps({long: value}), *required, name=name)
        source = ctx.get_parameter_source(str(option.name))
        assert source is click.core.ParameterSource.DEFAULT_MAP, long


def test_other_commands_have_no_settings() -> None:
    assert {name for name in COMMANDS if "--settings" in {o for p in command(name).params for o in p.opts}} == {
        *WITH_SETTINGS
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("strenght = 1\nfoo_bar = 2\nev = 1", "got 'strenght' (nearest: strength), 'foo_bar'"),
        ("settings = 'x'", "options of lumen enhance, got 'settings'"),
        ("verbose = true", "got 'verbose'"),
        ("[enhance]\nev = 1", "got 'enhance'"),
        ("ev = 'much'", "ev: expected a number such as 0.5"),
        ("ev = true", "ev: expected text or a number, got True"),
        ("ev = [1]", "ev: expected text or a number"),
        ("ev = 2026-01-01", "ev: expected text or a number"),
        ("ev = 9", "expected --ev between"),
        ("quality = 95.5", "quality: expected a number from 1 to 100, or keep, got '95.5'"),
        ("quality = 101", "quality: expected a number from 1 to 100, or keep, got '101'"),
        ("format = 'bmp'", "format: 'bmp' is not one of"),
        ("recursive = 'yes'", "recursive: expected true or false, got 'yes'"),
        ("max_memory = 1\nmax-memory = 1", "once each, got max-memory with - and with _"),
        ("ev = ", "expected TOML, got something else: "),
        ("ev = 1\nev = 2", "expected TOML"),
        ("picture = 3", "expected picture to be a list of tables"),
        ("picture = [1]", "expected picture to be a list of tables"),
        ("[[picture]]\nev = 1", 'picture 1: expected match with a pattern such as "night/*.jpg", got None'),
        ("[[picture]]\nmatch = ''\nev = 1", "picture 1: expected match"),
        ("[[picture]]\nmatch = 'a'\n[[picture]]\nmatch = 'b'\nevv = 1", "picture 2: expected options that may differ"),
        ("[[picture]]\nmatch = 'a'\nevv = 1", "got 'evv' (nearest: ev)"),
        ("[[picture]]\nmatch = 'a'\nformat = 'png'", "picture 1: expected format outside of it"),
        ("[[picture]]\nmatch = 'a'\nout = 'x'", "picture 1: expected out outside of it"),
        ("[[picture]]\nmatch = 'a'\nev = 'x'", "picture 1: ev: expected a number such as 0.5"),
        ("[[picture]]\nmatch = 'a'\nev = 9", "picture 1: expected --ev between"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path / "s.toml", text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "expected an object with the names of options, got list"),
        ('{"ev": 1, "ev": 2}', "a name stands twice"),
        ("[" * 100_000, "expected JSON"),
        ('{"ev": null}', "ev: expected text or a number, got None"),
        ('{"ev": 1}' + " " * FILE_BYTES, "expected at most"),
        ("\ud800", "expected JSON"),
    ],
)
def test_what_is_wrong_in_json_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError, match=r"^settings ") as raised:
        command("enhance").make_context("enhance", ["--settings", str(path)])
    assert says in str(raised.value)


def test_files_that_are_none_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for name, says in (("pipe.toml", "pipe"), ("none.toml", "cannot read it"), ("s.txt", "ends with .toml or .json")):
        with pytest.raises(UsageError, match=says):
            command("enhance").make_context("enhance", ["--settings", str(tmp_path / name)])


@pytest.mark.parametrize("name", ["eval", "train"])
def test_only_commands_that_write_pictures_know_single_ones(tmp_path: Path, name: str) -> None:
    assert "got 'picture'" in refused(tmp_path / "s.toml", "[[picture]]\nmatch = 'a'\nev = 1", name)


def test_rules_hold_exactly_the_options_of_pictures(tmp_path: Path) -> None:
    assert {field.name for field in fields(EnhanceOptions)} == PER_PICTURE
    text = "[[picture]]\nmatch = 'night/*'\nev = 1\ntile = 128\nallow_8bit = false\n[[picture]]\nmatch = 'b'\nev = 2\n"
    (first, second) = rules_of(parsed(tmp_path / "s.toml", text))
    assert (first.match, first.changes) == ("night/*", {"ev": 1.0, "tile_px": 128, "allow_8bit": False})
    assert (second.match, second.changes) == ("b", {"ev": 2.0})
    (first,) = rules_of(parsed(tmp_path / "s.toml", text, "--ev", "3"))
    assert first.changes == {"tile_px": 128, "allow_8bit": False}, "the command line wins over both"
    assert rules_of(command("enhance").make_context("enhance", [])) == []


def test_wrong_settings_end_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.toml").write_text("strenght = 1")
    assert main(["enhance", "photos", "-o", "out", "--settings", str(tmp_path / "s.toml")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lumen: settings ")


def test_sizes_that_are_numbers_are_exact_and_text_is_as_typed(tmp_path: Path) -> None:
    found = parsed(tmp_path / "s.json", '{"max-memory": 5, "max-pixels": 50}', "in").params
    assert (found["max_memory_bytes"], found["max_pixels"]) == (5, 50)
    with pytest.raises(UsageError, match="max-memory: expected a size with a unit such as 5GB, got 5"):
        parsed(tmp_path / "s.toml", 'max-memory = "5"', "in")


def test_settings_that_are_given_are_told_as_a_file_has_them(tmp_path: Path) -> None:
    """And such a file is read again as the same settings."""
    rule: dict[str, Any] = {"match": "n*", "ev": 0.5, "max-memory": 2_000_000_000, "unchanged": "encode"}
    first = json.dumps({"strength": 0.5, "exclude": ["x*"], "existing": "update", "picture": [rule]})
    line = ("-r", "--no-follow-links", "--ev", "1/4", "--tile", "auto", "--shard", "1/2", "in", "-o", "out")
    found = settings_given(parsed(tmp_path / "first.json", first, *line))
    del rule["ev"]  # what the command line says holds for all
    assert found == {
        "recursive": True,
        "follow-links": False,
        "ev": 0.25,
        "tile": "auto",
        "strength": 0.5,
        "exclude": ["x*"],
        "picture": [rule],
    }
    assert settings_given(parsed(tmp_path / "second.json", json.dumps(found), "in", "-o", "out")) == found
