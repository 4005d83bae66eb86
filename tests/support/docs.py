"""The Markdown pages of the project as data, and a folder in which the code on them runs as a reader would run it.

A page is cut into sections at its headings. The blocks of one section run one after the other in the same fresh folder,
so a later block may use what an earlier one has written.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import click
from PIL import Image

from lumen.cli.commands import COMMANDS
from lumen.cli.main import cli
from tests.conftest import ROOT
from tests.support.clips import write_clip
from tests.support.commands import ENVIRONMENT

FILES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")),
    "benchmarks/README.md",
    "benchmarks/peers.md",
    "examples/README.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("lumen/data/*.md")),
)

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")  # it may be wrapped once
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """Code between fences."""

    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block one by one, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        parts = [part for line in lines for part in re.split(r"\s(?:&&|\|)\s", line)]
        return [command for part in parts if (command := shlex.join(shlex.split(part, comments=True)))]


@dataclass(frozen=True)
class Section:
    """A heading, or the start of a page, and the text up to the next heading of any level."""

    file: str
    title: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        """All code of the section."""
        return [Block(*found) for found in _FENCED.findall(self.text)]

    def run(self, folder: Path) -> None:
        """Run the blocks of shell and Python in a folder made by `lay_out`; fail with what a block printed."""
        for block in self.blocks:
            shell = ["bash", "-euxo", "pipefail", "-c", block.text]
            python = [sys.executable, "-W", "error", "-c", block.text]
            line = {"bash": shell, "python": python}.get(block.language)
            if line is not None:
                _run(line, folder)


@dataclass(frozen=True)
class Page:
    """A file, by its path below the root, and its text."""

    file: str
    text: str

    @classmethod
    def read(cls, file: str) -> Self:
        """Return the page of a file."""
        return cls(file, (ROOT / file).read_text(encoding="utf-8"))

    @property
    def prose(self) -> str:
        """All of it but the code between fences."""
        return _FENCED.sub("", self.text)

    @property
    def sentences(self) -> str:
        """The prose on one line, so that what is looked for may stand wherever lines are wrapped."""
        return " ".join(self.prose.split())

    @property
    def inline(self) -> list[str]:
        """The code inside sentences and tables."""
        return [" ".join(text.split()) for text in _INLINE.findall(self.prose)]

    @property
    def sections(self) -> list[Section]:
        """The parts of the page in their order."""
        code = [range(*match.span()) for match in _FENCED.finditer(self.text)]
        headings = [match for match in _HEADING.finditer(self.text) if not any(match.start() in span for span in code)]
        titles = ["", *(match[2] for match in headings)]
        cuts = [0, *(match.start() for match in headings), len(self.text)]
        texts = [self.text[start:end] for start, end in pairwise(cuts)]
        return [Section(self.file, title, text) for title, text in zip(titles, texts, strict=True) if text.strip()]

    @property
    def blocks(self) -> list[Block]:
        """All code between fences."""
        return [block for section in self.sections for block in section.blocks]

    @property
    def anchors(self) -> set[str]:
        """What the headings are called in links, as GitHub makes it of their text."""
        seen: Counter[str] = Counter()
        found = set()
        for section in self.sections:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", section.title).lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return found

    @property
    def links(self) -> list[str]:
        """Targets of all links and pictures that do not leave the repository."""
        targets = _LINK.findall(_INLINE.sub("", self.prose))
        return [target for target in targets if "://" not in target]

    def section(self, title: str) -> Section:
        """Return the section with a title."""
        (found,) = [section for section in self.sections if section.title == title]
        return found

    def lumen_lines(self) -> Iterator[list[str]]:
        """Yield every `lumen COMMAND ...` of blocks and sentences as words, from the command on."""
        shell = [command for block in self.blocks if block.language == "bash" for command in block.commands]
        for line in [*shell, *self.inline]:
            if re.match(r"lumen\s", line):
                words = shlex.split(line)[1:]
                while words and words[0].startswith("-"):  # global options may stand before
                    words.pop(0)
                if words and words[0] != "COMMAND":
                    yield words

    def broken_links(self) -> list[str]:
        """Return the links that lead nowhere: to files that are not there, or to headings that no page has."""
        return [target for target in self.links if not self._leads_somewhere(target)]

    def _leads_somewhere(self, target: str) -> bool:
        name, _, anchor = target.partition("#")
        if not name:
            return anchor in self.anchors
        path = ((ROOT / self.file).parent / name).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            return False
        return not anchor or (path.suffix == ".md" and anchor in Page.read(str(path.relative_to(ROOT))).anchors)


PAGES = {file: Page.read(file) for file in FILES}


def command_of(name: str) -> click.Command:
    """Return a command of `lumen`, with the global options, which it takes too."""
    found = cli.get_command(click.Context(cli), name)
    assert found is not None, name
    return found


def options_of(name: str) -> set[str]:
    """Return all spellings of a command's options."""
    parameters = command_of(name).params
    return {spelling for each in parameters for spelling in (*each.opts, *each.secondary_opts)} | {"--help"}


def all_options() -> set[str]:
    """Return all spellings of all options of all commands."""
    return set().union(*map(options_of, COMMANDS))


def own_options(name: str) -> set[str]:
    """Return the long spelling of each option of a command that is not a global one."""
    everywhere = {parameter.name for parameter in cli.params}
    parameters = [each for each in command_of(name).params if each.name not in everywhere]
    return {spelling for each in parameters for spelling in each.opts if spelling.startswith("--")}


def lay_out(folder: Path, *, clips: bool = False) -> None:
    """Put everything into a folder that the blocks of the pages name; clips, which take PyAV, if asked."""
    examples = folder / "examples"
    references = examples / "reference"
    shutil.copytree(ROOT / "examples", examples, copy_function=_copy_smaller)
    pairs = ("", "pairs", "lol/our485", "lol/eval15", "eval15")
    for name in ("photos", "results-of-any-tool", "kodak", *(f"{pair}/high".lstrip("/") for pair in pairs)):
        shutil.copytree(references, folder / name)
    for pair in pairs:
        (folder / pair / "low").mkdir()
        for path in references.iterdir():
            shutil.copy(examples / path.name, folder / pair / "low")
    shutil.copy(examples / "launch-pad.jpg", folder / "photos" / "street.jpg")
    shutil.copy(examples / "otters.jpg", folder / "dark.jpg")
    if clips:
        (folder / "out").mkdir()
        (folder / "recordings").mkdir()
        for name in ("night.mp4", "reference.mp4", "out/night.mp4", "recordings/door.mp4"):
            write_clip(folder / name)
    last = folder / "last-run"
    last.touch()
    os.utime(last, (0, 0))
    _put_commands(folder)


def _copy_smaller(source: str, target: str) -> None:
    """Copy a file; a picture with a third of its side, which the commands are through with the sooner."""
    if not source.endswith(".jpg"):
        shutil.copy(source, target)
        return
    with Image.open(source) as picture:
        picture.reduce(3).save(target, quality=95)


def _put_commands(folder: Path) -> None:
    """Put `lumen` into the PATH, and stand-ins for what changes the environment or starts the tests."""
    python = shlex.quote(sys.executable)
    scripts = {
        "lumen": f'[ "$1" = train ] && exec {python} -m tests.support.short_training "$@"\nexec {python} -m lumen "$@"',
        "python3": '[ "$*" = "-m venv .venv" ]',
        "pip": '[ "$1" = install ]',
        "pytest": "exit 0",
        "pre-commit": '[ "$1" = install ]',
    }
    places = folder / ".venv" / "bin"
    places.mkdir(parents=True)
    (places / "activate").touch()
    for name, text in scripts.items():
        (places / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (places / name).chmod(0o755)


def _run(line: list[str], folder: Path) -> None:
    path = os.pathsep.join([str(folder / ".venv" / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        line,
        cwd=folder,
        env={**ENVIRONMENT, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{line[-1]}\n{done.stdout}{done.stderr}"
