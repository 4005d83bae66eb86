"""README.md is true: two lines do what they say, and every command is there."""

from __future__ import annotations

import re
from pathlib import Path

from lumen.cli.commands import COMMANDS
from tests.conftest import ROOT
from tests.support.docs import PAGES, Section, lay_out

README = PAGES["README.md"]
SHELL = [block for block in README.blocks if block.language == "bash"]
TO_USE = "python3 -m venv .venv && . .venv/bin/activate && pip install . && lumen enhance examples -o out\n"
TO_DEVELOP = "pip install -c constraints.txt -e '.[train,dev]' && pytest\n"


def test_every_block_has_a_language_that_is_tested() -> None:
    assert {block.language for block in README.blocks} == {"bash", "python"}


def test_the_first_line_installs_and_enhances_and_another_tests() -> None:
    assert SHELL[0].text == TO_USE
    assert TO_DEVELOP in [block.text for block in SHELL]


def test_the_first_line_enhances_every_example(tmp_path: Path) -> None:
    lay_out(tmp_path)
    Section("README.md", "", f"```bash\n{TO_USE}```\n").run(tmp_path)
    assert {path.name for path in (tmp_path / "out").glob("*.jpg")} == {
        path.name for path in (ROOT / "examples").glob("*.jpg")
    }


def test_the_command_table_is_complete() -> None:
    section = README.section("Commands").text
    assert set(re.findall(r"^\| `lumen ([a-z-]+)", section, re.MULTILINE)) == set(COMMANDS)


def test_every_page_is_linked() -> None:
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= set(README.links)
