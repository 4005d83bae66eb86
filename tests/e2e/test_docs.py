"""Every page is true: its code runs, its commands, options and extras exist, its tables are whole, its links work."""

from __future__ import annotations

import re
import shlex
import tomllib
from itertools import pairwise, takewhile
from pathlib import Path

import pytest

from lumen.cli.commands import COMMANDS
from lumen.errors import Exit
from tests.conftest import ROOT
from tests.support.docs import PAGES, Page, Section, all_options, lay_out, options_of, own_options

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# How `lumen-s` was trained: the same commands as in docs/training.md, which are run. And repositories of other people.
NOT_RUN = {
    ("lumen/data/lumen-s.md", "Training"),
    *(("benchmarks/peers.md", section.title) for section in PAGES["benchmarks/peers.md"].sections),
}
RUN = [
    section
    for page in PAGES.values()
    for section in page.sections
    if {block.language for block in section.blocks} & {"bash", "python"} and (page.file, section.title) not in NOT_RUN
]
# The table of a page that has a row for every option of a command.
OPTION_TABLES = [("docs/enhance.md", "Options", "enhance"), ("docs/eval.md", "Options", "eval")]
PICTURES = {".jpg", ".png", ".webp"}
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
# What was true of former versions may stand there.
every_page_of_today = pytest.mark.parametrize(
    "page",
    [page for page in PAGES.values() if page.file != "CHANGELOG.md"],
    ids=[f for f in PAGES if f != "CHANGELOG.md"],
)


def pictures_in(folder: Path, *, below: bool) -> set[str]:
    """Return the names, up to the first dot, of the pictures in a folder where a page runs."""
    found = folder.rglob("*.*") if below else folder.glob("*.*")
    return {path.name.partition(".")[0] for path in found if path.suffix in PICTURES and ".lumen" not in path.parts}


def words_of(section: Section) -> list[list[str]]:
    """Return the words of all shell commands of a section."""
    return [shlex.split(command) for block in section.blocks if block.language == "bash" for command in block.commands]


def results(section: Section, folder: Path) -> dict[str, set[str]]:
    """Return the names of all results that the `lumen enhance INPUT... -o OUT` lines of a section promise, by OUT."""
    promised: dict[str, set[str]] = {}
    for words in words_of(section):
        out = words[words.index("-o") + 1] if "-o" in words else "-"
        inputs = list(takewhile(lambda word: not word.startswith("-"), words[2:]))
        is_file = out == "-" or Path(out).suffix in PICTURES
        if words[:2] != ["lumen", "enhance"] or is_file or not inputs or {"--include", "--dry-run"} & {*words}:
            continue
        for place in (folder / name for name in inputs):
            names = pictures_in(place, below="-r" in words) if place.is_dir() else {place.stem}
            promised[out] = promised.get(out, set()) | names
    return promised


def written(section: Section) -> set[str]:
    """Return the files and folders that the lines of a section promise to write."""
    found = {
        (words[0], option, value)
        for words in words_of(section)
        for option, value in pairwise(words)
        if option in {"-o", "--report", "--save"} and "--dry-run" not in words
    }
    return {value for name, _, value in found if name == "lumen" and value != "-"}


def needs_torch(section: Section) -> bool:
    """Return whether it trains or exports; `.ci/run` runs the other sections where torch is not installed."""
    return bool(re.search(r"lumen (train|export-onnx)|import torch", section.text))


def name_of(section: Section) -> str:
    """Return the id of a section."""
    return f"{section.file}: {section.title}{', torch' * needs_torch(section)}"


@pytest.mark.parametrize("section", RUN, ids=name_of)
def test_the_code_runs(section: Section, tmp_path: Path) -> None:
    if needs_torch(section):
        pytest.importorskip("torch")
    is_of_clips = section.file == "docs/video.md"
    if is_of_clips:
        pytest.importorskip("av")
    lay_out(tmp_path, clips=is_of_clips)
    section.run(tmp_path)
    assert [name for name in written(section) if not (tmp_path / name).exists()] == []
    if is_of_clips:
        return  # there are no pictures
    for out, names in results(section, tmp_path).items():
        assert names and pictures_in(tmp_path / out, below=True) == names, out


def test_code_that_fails_would_be_seen(tmp_path: Path) -> None:
    lay_out(tmp_path)
    for block in ("```bash\nlumen enhance nothing -o out\ntrue\n```\n", "```python\nimport nothing\n```\n"):
        with pytest.raises(AssertionError, match="nothing"):
            Section("page.md", "wrong", block).run(tmp_path)


@every_page
def test_every_block_has_a_language(page: Page) -> None:
    assert {block.language for block in page.blocks} <= {"bash", "python", "ini", "text", "yaml"}


def test_installs_name_what_the_project_has() -> None:
    shell = [block for page in PAGES.values() for block in page.blocks if block.language == "bash"]
    installs = [command for block in shell for command in block.commands]
    installs += [text for page in PAGES.values() for text in page.inline]
    installs = [text for text in installs if text.startswith("pip install")]
    assert len(installs) > 5
    for command in installs:
        words = shlex.split(command)[2:]
        files = [words[index + 1] for index, word in enumerate(words) if word == "-c"]
        extras = {name for word in words for match in re.findall(r"\[(.+)\]", word) for name in match.split(",")}
        assert all((ROOT / file).is_file() for file in files), command
        assert extras <= PROJECT["optional-dependencies"].keys(), command
        assert any(re.match(r"\.(\[|$)", word) for word in words), command


@every_page_of_today
def test_named_commands_and_options_exist(page: Page) -> None:
    for words in page.lumen_lines():
        assert words[0] in COMMANDS, words
        named = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
        assert named <= options_of(words[0]), words


@every_page_of_today
def test_options_in_sentences_exist(page: Page) -> None:
    files = re.findall(r"`python (\w+/\w+\.py)", page.text)
    files += [f"benchmarks/{name}.py" for name in re.findall(r"`python -m benchmarks\.(\w+)", page.text)]
    scripts = [(ROOT / name).read_text(encoding="utf-8") for name in files]
    of_scripts = {name for text in scripts for name in re.findall(r'"(--[a-z-]+)"', text)}
    named = {word for text in page.inline if text[0] == "-" for word in text.split() if re.match(r"--?[a-z]", word)}
    assert {name.partition("=")[0] for name in named} <= all_options() | of_scripts


def test_the_pages_name_options() -> None:
    """The two tests above look at something."""
    assert sum(1 for page in PAGES.values() for _ in page.lumen_lines()) > 40
    assert sum(text.startswith("--") for page in PAGES.values() for text in page.inline) > 80


@pytest.mark.parametrize(("file", "title", "command"), OPTION_TABLES)
def test_the_table_of_options_is_complete(file: str, title: str, command: str) -> None:
    cells = re.findall(r"^\| (`-.*?`) \|", PAGES[file].section(title).text, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"(?<![\w-])--[a-z0-9-]+", cell)} == own_options(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_named_somewhere(command: str) -> None:
    named = set(
        re.findall(r"(?<![\w-])--[a-z0-9-]+", "".join(PAGES[file].text for file in PAGES if file != "CHANGELOG.md"))
    )
    assert own_options(command) <= named


def test_the_exit_codes_are_complete() -> None:
    section = PAGES["docs/enhance.md"].section("Exit codes").text
    cells = re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE)
    assert {int(code) for cell in cells for code in cell.split(",")} == set(map(int, Exit))


@every_page
def test_links_lead_somewhere(page: Page) -> None:
    assert page.broken_links() == []


@pytest.mark.parametrize("target", ["no.md", "#no-heading", "README.md#no-heading", "../outside.md"])
def test_a_broken_link_would_be_seen(target: str) -> None:
    page = Page("README.md", f"# A `code` heading\n\n[good](#a-code-heading) [bad]({target})\n")
    assert page.broken_links() == [target]


def missing_paths(text: str) -> list[str]:
    """Return the paths into the source tree that a text names and that do not exist."""
    named = re.findall(r"`((?:lumen|export|tests|benchmarks)/[\w./-]+)`", text)
    return [path for path in named if not (ROOT / path).exists()]


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(re.findall(r"`lumen/[\w./-]+`", text)) > 20
    assert missing_paths(text) == []
    assert missing_paths("`lumen/conveyor.py`") == ["lumen/conveyor.py"]
