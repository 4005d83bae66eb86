"""The README is true: its code runs, its options and extras exist, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from lumen.cli.main import COMMANDS, cli
from lumen.errors import Exit
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# These change the environment or would start this very test: checked against the project's files instead of run.
NOT_RUN = ("python3 -m venv ", ". .venv/", "pip install ", "pytest")
# A real training takes hours: the same lines run with a recipe of seconds.
TINY = [
    "network.hyperparameters={widths=[8,16], blocks=1, code=8, thumbnail_px=32}",
    "data.crop_px=32",
    "data.batch=2",
    "optimizer.iterations=2",
    "optimizer.warmup=1",
    "brightness.iterations=2",
    "brightness.samples=4",
    "validation.every=1",
    "validation.pairs=1",
    "validation.photos=1",
]


class Block(NamedTuple):
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, one by one."""
        return [part.strip() for line in self.text.splitlines() for part in line.split("&&") if part.strip()]


BLOCKS = [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)]
SHELL = [block for block in BLOCKS if block.language == "bash"]
INLINE = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", README)


def lumen_lines() -> list[list[str]]:
    """Return every `lumen ...` line of the README, in blocks and in running text, as words."""
    lines = [command for block in SHELL for command in block.commands] + INLINE
    return [words for line in lines if (words := shlex.split(line))[:1] == ["lumen"]]


def options_of(command: str) -> set[str]:
    """Return all spellings of a command's options, and the global ones."""
    module, _, attribute = COMMANDS[command][0].partition(":")
    found: click.Command = getattr(import_module(module), attribute)
    return {name for parameter in (*found.params, *cli.params) for name in parameter.opts} | {"--help"}


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with all that the README's blocks name."""
    references = ROOT / "examples" / "reference"
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for name in ("high", "photos", "results-of-any-tool", "pairs/high"):
        shutil.copytree(references, tmp_path / name)
    for name in ("low", "pairs/low"):
        (tmp_path / name).mkdir()
        for path in references.iterdir():
            shutil.copy(ROOT / "examples" / path.name, tmp_path / name)
    shutil.copy(ROOT / "examples" / "launch-pad.jpg", tmp_path / "photos" / "street.jpg")
    return tmp_path


def runnable(command: str) -> list[str]:
    """Return a `lumen ...` line as words for the interpreter, a training made short."""
    words = shlex.split(command)
    assert words[0] == "lumen"
    short = [word for value in TINY for word in ("--set", value)] if words[1] == "train" else []
    return [sys.executable, "-m", *words, *short]


def run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "export")])}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"


def test_every_block_has_a_language_that_is_tested() -> None:
    assert BLOCKS
    assert {block.language for block in BLOCKS} == {"bash", "python"}


def test_the_first_block_installs_and_enhances_and_the_second_tests() -> None:
    assert SHELL[0].commands[-2:] == ["pip install .", "lumen enhance examples -o out"]
    assert SHELL[1].commands[-1] == "pytest"


@pytest.mark.parametrize("block", SHELL)
def test_shell_blocks_run(block: Block, workplace: Path) -> None:
    if "lumen train" in block.text:
        pytest.importorskip("torch")
    for command in block.commands:
        if not command.startswith(NOT_RUN):
            run(runnable(command), workplace)


def test_the_first_block_enhances_every_example(workplace: Path) -> None:
    run(runnable(SHELL[0].commands[-1]), workplace)
    assert {path.name for path in (workplace / "out").glob("*.jpg")} == {
        path.name for path in (ROOT / "examples").glob("*.jpg")
    }


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"])
def test_python_blocks_run(block: Block, workplace: Path) -> None:
    run([sys.executable, "-W", "error", "-c", block.text], workplace)


def test_installs_name_what_the_project_has() -> None:
    installs = [command for block in SHELL for command in block.commands if command.startswith("pip install")]
    installs += [text for text in INLINE if text.startswith("pip install")]
    assert installs
    for command in installs:
        words = shlex.split(command)[2:]
        files = [words[index + 1] for index, word in enumerate(words) if word == "-c"]
        extras = {name for word in words for match in re.findall(r"\[(.+)\]", word) for name in match.split(",")}
        assert all((ROOT / file).is_file() for file in files), command
        assert extras <= PROJECT["optional-dependencies"].keys(), command
        assert any(re.match(r"\.(\[|$)", word) for word in words), command


def test_named_commands_and_options_exist() -> None:
    for words in lumen_lines():
        if len(words) == 1 or words[1] == "COMMAND":
            continue
        assert words[1] in COMMANDS, words
        named = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
        assert named <= options_of(words[1]), words


def test_options_in_running_text_exist() -> None:
    known = set().union(*map(options_of, COMMANDS))
    named = {text.split()[0] for text in INLINE if re.match(r"--?[a-z]", text)}
    assert named
    assert named <= known


def test_the_option_table_of_enhance_is_complete() -> None:
    section = README.partition("## Enhance")[2].partition("\n## ")[0]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", section))
    assert named == {name for name in options_of("enhance") if name.startswith("--")} - {
        "--help",
        *(name for parameter in cli.params for name in parameter.opts),
    }


def test_the_command_table_and_the_exit_codes_are_complete() -> None:
    section = README.partition("## Commands")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `lumen ([a-z-]+)", section, re.MULTILINE)) == set(COMMANDS)
    cells = re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE)
    assert {int(code) for cell in cells for code in cell.split(",")} == set(map(int, Exit))


def test_links_to_files_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
