"""docs/watch.md is true: its options, events, exit codes and the command of its unit exist."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
from importlib import import_module

import click
import pytest

from lumen.cli.commands.enhance import BATCH_ONLY
from lumen.cli.main import cli
from lumen.errors import Exit
from tests.conftest import ROOT
from tests.support.commands import LINE

DOCS = (ROOT / "docs" / "watch.md").read_text(encoding="utf-8")
EVERYWHERE = {parameter.name for parameter in cli.params}  # a command takes them too, once it has been called
BATCHES = {"inputs", "output", "strict", *BATCH_ONLY, *EVERYWHERE} - {"suffix"}


def command(name: str) -> click.Command:
    found: click.Command = import_module(f"lumen.cli.commands.{name}").command
    return found


def section(title: str) -> str:
    return DOCS.partition(f"## {title}")[2].partition("\n## ")[0]


def spellings(name: str) -> set[str]:
    return {spelling for parameter in command(name).params for spelling in parameter.opts if spelling[:2] == "--"}


def test_the_options_of_pictures_are_those_of_enhance() -> None:
    watch = {parameter.name: parameter.to_info_dict() for parameter in command("watch").params}
    pictures = [parameter for parameter in command("enhance").params if parameter.name not in BATCHES]
    assert len(pictures) > 10
    for parameter in pictures:
        assert parameter.name in watch, f"{parameter.opts} is missing: lumen/cli/options.py"
        assert watch[parameter.name] == parameter.to_info_dict()


def test_the_table_of_options_is_complete() -> None:
    named = set(re.findall(r"^\| `(--[a-z-]+)", section("Options"), re.MULTILINE))
    everywhere = {name for parameter in cli.params for name in parameter.opts} | {"--help"}
    assert named == spellings("watch") - spellings("enhance") - everywhere | {"--json"}


def test_options_in_the_text_exist() -> None:
    known = {name for parameter in (*command("watch").params, *cli.params) for name in parameter.opts}
    known |= {"--time", "--init"}  # of docker
    text = re.sub(r"```.*?```", "", DOCS, flags=re.DOTALL)
    named = set(re.findall(r"`(--?[a-z][a-z-]*)", text))
    assert named
    assert named <= known


def test_defaults_are_those_of_the_command() -> None:
    rows = dict(re.findall(r"^\| `(--[a-z-]+) ([a-z0-9]+)`", section("Options"), re.MULTILINE))
    defaults = {parameter.opts[0]: parameter.default for parameter in command("watch").params}
    assert len(rows) > 5
    assert rows == {name: str(defaults[name]) for name in rows}


def test_every_event_stands_in_the_table() -> None:
    told = set()
    for path in ROOT.glob("lumen/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("self._emit", "self._events.emit"):
                name, *rest = (ast.unparse(argument).strip("'") for argument in (*node.args, ast.Constant("")))
                if name.isalpha() and name != "status" and "debug" not in rest:
                    told.add(name)
    table = {
        name
        for cells in re.findall(r"^\| (`.*?`) \|", section("The log"), re.MULTILINE)
        for name in re.findall(r"`([a-z]+)`", cells)
    }
    assert {"start", "done", "paused"} <= told
    assert told <= table
    assert table - told <= {"failed", "unsupported", "log", "paused"}


def test_the_exit_codes_are_those_of_lumen() -> None:
    cells = re.findall(r"^\| ([\d, ]+) \|", section("The log"), re.MULTILINE)
    assert {int(code) for cell in cells for code in cell.split(",")} == set(map(int, Exit)) - {Exit.INTERNAL}


def test_the_unit_starts_a_command_that_exists() -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(re.findall(r"```ini\n(.*?)```", DOCS, re.DOTALL)[0])
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[0].endswith("/lumen") and words[1] == "watch"
    with command("watch").make_context("watch", words[2:]) as context:
        assert str(context.params["folder"]) in unit["Unit"]["RequiresMountsFor"]
        assert str(context.params["output"]) == unit["Service"]["ReadWritePaths"]
    assert int(unit["Service"]["TimeoutStopSec"]) > 30


@pytest.mark.parametrize("line", re.findall(r"^\d{4}-.*$", DOCS, re.MULTILINE))
def test_the_lines_are_as_they_are_written(line: str) -> None:
    assert LINE.fullmatch(line)
