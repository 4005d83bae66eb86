"""The help of every command: its options in groups, each of them once."""

from __future__ import annotations

import re
from collections import Counter

import click
import pytest

from lumen.cli.commands import COMMANDS
from lumen.cli.help import ADVANCED, GROUPS, GroupedCommand
from lumen.cli.main import cli, main


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_stands_in_one_group(name: str) -> None:
    everywhere = {parameter.opts[-1] for parameter in cli.params} - {"--version"}
    options = [each.opts[-1] for each in command(name).params if isinstance(each, click.Option)]
    listed = " ".join(GROUPS[name].values()).split()
    assert Counter(listed) == Counter(set(options) - everywhere)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_the_groups_in_their_order(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    headings = [line.removesuffix(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == [*GROUPS[name], "Every command"]
    shown = [line.split()[0] for line in lines if line.startswith("  -")]
    assert len(shown) == len(set(shown)) == sum(isinstance(each, click.Option) for each in command(name).params) + 1


@pytest.mark.parametrize("name", COMMANDS)
def test_values_are_named_by_what_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    options = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  -")]
    assert not [line for line in options if re.search(r" (INTEGER|FLOAT|PATH)\b", line)], "click's own words"


def test_the_columns_of_all_groups_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--help"]) == 0
    rows = [re.match(r"  -\S+(?: \S+)*  +", line) for line in capsys.readouterr().out.splitlines()]
    assert len({row.end() for row in rows if row}) == 1


def test_an_option_that_the_table_forgets_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GROUPS, "models", {})
    subject = GroupedCommand("models", params=[click.Option(["--new"], is_flag=True)], add_help_option=False)
    text = subject.get_help(click.Context(subject))
    assert f"{ADVANCED}:\n  --new" in text
