"""docs/training.md is true: its lines run, its tables are complete, its options and keys exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from lumen.cli.main import COMMANDS, main
from tests.conftest import ROOT
from tests.e2e.test_readme import Block, options_of

DOCS = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
BLOCKS = [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", DOCS, re.DOTALL | re.MULTILINE)]
# A real training takes hours: the same lines run with networks and lengths of seconds.
TINY = {
    "data.crop_px": "32",
    "data.batch": "2",
    "optimizer.epochs": "0",
    "optimizer.iterations": "2",
    "optimizer.warmup": "1",
    "brightness.samples": "4",
    "validation.epochs": "0",
    "validation.every": "2",
    "validation.pairs": "1",
    "validation.photos": "1",
}
SMALL = {
    "context-mirnet": "{widths=[8,16], blocks=1, code=8, thumbnail_px=32}",
    "residual": "{groups=1, blocks=1, width=8}",
    "mirnet-keras": "{groups=1, blocks=1, width=8}",
}


def section(title: str) -> str:
    return DOCS.partition(f"## {title}")[2].partition("\n## ")[0]


def shortened(words: list[str]) -> list[str]:
    """Return the words of a `lumen` line, a training made short."""
    if words[1] != "train":
        return words[1:]
    if "--val-split" in words:
        words[words.index("--val-split") + 1] = "1"
    from lumen.train.recipe.recipe import load_recipe

    recipe = load_recipe(words[words.index("--recipe") + 1] if "--recipe" in words else "lumen-s")
    changes = {"network.hyperparameters": SMALL[recipe.network.architecture], **TINY}
    if recipe.brightness.iterations:
        changes["brightness.iterations"] = "2"
    return [*words[1:], *(word for key, value in changes.items() for word in ("--set", f"{key}={value}"))]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the blocks name, which is the current one."""
    references = ROOT / "examples" / "reference"
    for name in ("high", "photos", "pairs/high", "lol/our485/high", "lol/eval15/high"):
        shutil.copytree(references, tmp_path / name)
    for name in ("low", "pairs/low", "lol/our485/low", "lol/eval15/low"):
        (tmp_path / name).mkdir()
        for path in references.iterdir():
            shutil.copy(ROOT / "examples" / path.name, tmp_path / name)
    shutil.copy(ROOT / "examples" / "launch-pad.jpg", tmp_path / "photos" / "street.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_of_ones_own_takes_five_lines() -> None:
    commands = BLOCKS[0].commands
    assert len(commands) == 5
    assert [shlex.split(line)[:2] for line in commands] == [
        ["pip", "install"],
        *(["lumen", name] for name in ("train", "export-onnx", "eval", "enhance")),
    ]


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_run(block: Block, workplace: Path) -> None:
    if block.language == "python":
        subprocess.run([sys.executable, "-W", "error", "-c", block.text], check=True)
        return
    assert block.language == "bash"
    if "--as-is" in block.text:
        shutil.copytree("lol/eval15/low", "autocontrast")  # made by the block before
    for command in block.commands:
        words = shlex.split(command)
        if words[0] == "lumen":
            assert main(shortened(words)) == 0, command
        else:
            assert words[:2] == ["pip", "install"]
    if block == BLOCKS[0]:
        names = {path.stem for path in (workplace / "photos").iterdir()}
        assert {path.stem for path in (workplace / "out").iterdir() if path.is_file()} == names


def test_the_table_of_recipes_is_complete_and_true() -> None:
    from lumen.models import build_network
    from lumen.models.cost import count_parameters
    from lumen.train.recipe.recipe import bundled_recipes, load_recipe

    rows = dict(re.findall(r"^\| `([a-z-]+)` (\|.*)$", section("Recipes"), re.MULTILINE))
    assert rows.keys() == bundled_recipes().keys()
    for name, row in rows.items():
        recipe = load_recipe(name)
        network = build_network(recipe.network.architecture, **recipe.network.hyperparameters)
        optimizer = recipe.optimizer
        length = f"{optimizer.epochs:.0f} epochs" if optimizer.epochs else f"{optimizer.iterations:,} steps"
        kind = {"adam": "Adam", "adamw": "AdamW"}[optimizer.kind]
        rate = f"{kind} {optimizer.rate:.0e}, {optimizer.schedule}".replace("e-0", "e-")
        for fact in (
            f"{count_parameters(network):,}",
            f"| {recipe.data.crop_px} / {recipe.data.batch} |",
            length,
            rate,
            f"| {recipe.validation.pairs} ",
        ):
            assert fact in row, name


def test_options_and_keys_in_the_text_exist() -> None:
    from lumen.train.recipe.recipe import load_recipe

    known = set().union(*map(options_of, COMMANDS)) | {"--no-check", "--nproc-per-node"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", DOCS))
    assert named <= known
    assert {"--val", "--val-split", "--batch", "--recompute", "--resident", "--compile"} <= named
    keys = set(re.findall(r"`(?:--set )?'?((?:network|data|loss|optimizer|validation)\.[a-z0-9_]+)", DOCS))
    assert len(keys) > 8
    plain = load_recipe("residual").to_dict()
    for key in keys:
        part, name = key.split(".")
        assert name in plain[part], key


def test_links_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", DOCS) if "://" not in target]
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []
