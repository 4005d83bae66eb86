"""The fences: who may import whom, and what each command loads.

The diagram is in CONTRIBUTING.md. Edges are read from the source, those inside functions too.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import lumen
from tests.support.modules import ROOT, module_files

HEAVY = ("numpy", "PIL", "onnxruntime", "torch", "jinja2", "tifffile", "ray")
TORCH_ROOMS = {"lumen.models", "lumen.train", "lumen_export"}

FACTS = {"lumen.errors", "lumen.config", "lumen.spec", "lumen.text", "lumen.files", "lumen.version"}
PIXELS = {"lumen.imaging", "lumen.color", "lumen.codecs"}
CORE = FACTS | PIXELS | {"lumen.runtime"}
# Room -> the rooms below it. Every room may use its own modules, none the bare `lumen`.
MAY_IMPORT: dict[str, set[str]] = {
    "lumen": CORE | {"lumen.enhance", "lumen.evaluation", "lumen.metrics"},  # for type checkers; loaded on first use
    "lumen.version": set(),
    "lumen.errors": set(),
    "lumen.text": set(),
    "lumen.config": {"lumen.errors"},
    "lumen.spec": {"lumen.errors"},
    "lumen.registry": set(),
    "lumen.data": set(),
    "lumen.extras": {"lumen.errors"},
    "lumen.imaging": (FACTS - {"lumen.files"}) | {"lumen.extras"},
    "lumen.files": {"lumen.errors", "lumen.extras", "lumen.imaging"},
    "lumen.color": FACTS | {"lumen.imaging"},
    "lumen.codecs": FACTS | {"lumen.imaging", "lumen.color", "lumen.extras"},
    "lumen.metrics": FACTS | {"lumen.imaging", "lumen.color", "lumen.extras", "lumen.data"},
    "lumen.runtime": FACTS | {"lumen.data", "lumen.extras"},
    "lumen.stages": set(),
    "lumen.enhance": CORE | {"lumen.stages"},
    "lumen.cluster": CORE | {"lumen.enhance", "lumen.stages", "lumen.extras"},
    "lumen.video": CORE | {"lumen.extras", "lumen.enhance", "lumen.stages"},
    "lumen.batch": CORE | {"lumen.enhance", "lumen.stages", "lumen.cluster", "lumen.video"},
    "lumen.watching": CORE | {"lumen.enhance", "lumen.stages", "lumen.video"},
    "lumen.pages": FACTS,
    "lumen.review": CORE | {"lumen.enhance", "lumen.batch", "lumen.pages"},
    "lumen.evaluation": CORE
    | {"lumen.metrics", "lumen.enhance", "lumen.pages", "lumen.stages", "lumen.cluster", "lumen.video"},
    "lumen.doctor": CORE | {"lumen.extras", "lumen.video"},
    "lumen.models": FACTS | {"lumen.registry"},
    "lumen.train": CORE | {"lumen.metrics", "lumen.registry", "lumen.extras", "lumen.models"},
    "lumen_export": CORE | {"lumen.registry", "lumen.models", "lumen.train"},
}
# What an object offers to Python programs and does nothing of itself: upwards, so only inside functions.
CONVENIENCES = {
    ("lumen.imaging.picture", "lumen.codecs.codec"),  # Picture.save
    ("lumen.imaging.picture", "lumen.codecs.display"),  # a picture in a notebook
}
ABOVE_ALL = {"lumen.cli", "lumen.__main__"}


class Import(NamedTuple):
    source: str  # module that imports
    target: str  # module imported
    lazy: bool  # inside a function, or for type checkers only


def statements(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield each import statement and whether it is lazy."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child, lazy
            else:
                typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                yield from walk(child, lazy or typing or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    yield from walk(tree, False)


@cache
def edges() -> tuple[Import, ...]:
    """Return all imports of one module of the product by another."""
    modules = module_files()
    found = []
    for source, path in modules.items():
        for statement, lazy in statements(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.Import):
                targets = [alias.name for alias in statement.names]
            else:
                base = statement.module or ""
                names = [f"{base}.{alias.name}" for alias in statement.names]
                targets = [name if name in modules else base for name in names]
            found += [Import(source, target, lazy) for target in targets if target in modules]
    return tuple(found)


def room(module: str) -> str:
    """Return the top-level part of the house a module belongs to."""
    parts = module.split(".")
    return parts[0] if parts[0] == "lumen_export" else ".".join(parts[:2])


def test_every_room_stands_in_the_diagram() -> None:
    rooms = {room(module) for module in module_files()}
    assert rooms - set(MAY_IMPORT) - ABOVE_ALL == set()


def test_imports_run_downwards_only() -> None:
    wrong = [
        f"{edge.source} imports {edge.target}"
        for edge in edges()
        if room(edge.source) not in ABOVE_ALL
        and room(edge.target) not in {room(edge.source)} | MAY_IMPORT[room(edge.source)]
        and not (edge.lazy and (edge.source, edge.target) in CONVENIENCES)
    ]
    assert wrong == []


def test_the_diagram_itself_has_no_cycle() -> None:
    below = {name: rooms for name, rooms in MAY_IMPORT.items() if name != "lumen"}
    assert list(TopologicalSorter(below).static_order())


def test_modules_import_each_other_without_cycles() -> None:
    graph: dict[str, set[str]] = {}
    for edge in edges():
        if not edge.lazy:
            graph.setdefault(edge.source, set()).add(edge.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_commands_reach_torch_inside_functions_only() -> None:
    wrong = [
        f"{edge.source} imports {edge.target}"
        for edge in edges()
        if not edge.lazy and room(edge.target) in TORCH_ROOMS and room(edge.source) not in TORCH_ROOMS
    ]
    assert wrong == []


def test_a_forbidden_import_would_be_seen() -> None:
    tree = ast.parse("import torch\ndef f():\n    from lumen import cli\nif TYPE_CHECKING:\n    import lumen.batch\n")
    assert [lazy for _, lazy in statements(tree)] == [False, True, True]


PROBE = f"""
import json, sys
sys.argv = ["lumen", *json.loads(sys.argv[1])]
from lumen.cli.main import main
try:
    code = main()
except SystemExit as end:
    code = end.code
print(json.dumps([code or 0, [name for name in {HEAVY} if name in sys.modules]]), file=sys.stderr)
"""


def loaded_by(*args: str | Path, codes: tuple[int, ...] = (0,)) -> set[str]:
    """Run one command in a fresh interpreter, expect an exit code, return the heavy modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([str(arg) for arg in args])],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "export")])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr.rstrip().endswith("]]"), done.stderr
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code in codes, done.stdout + done.stderr
    return set(modules)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders, `low` and `high`, with one picture of the same name."""
    for name, level in (("low", 20), ("high", 40)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((24, 32, 3), level, np.uint8)).save(tmp_path / name / "a.png")
    return tmp_path / "low", tmp_path / "high"


def test_importing_lumen_loads_nothing_heavy() -> None:
    code = f"import sys, lumen, lumen.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_load_on_first_use() -> None:
    missing = [name for name in lumen.__all__ if not hasattr(lumen, name)]
    assert missing == []
    assert set(lumen.__all__) <= set(dir(lumen))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lumen.nothing  # noqa: B018


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_help_loads_nothing_heavy(args: list[str]) -> None:
    assert loaded_by(*args) & set(HEAVY) == set()


@pytest.mark.parametrize("command", ["enhance", "watch", "eval", "train", "export-onnx", "models", "doctor"])
def test_help_of_a_command_never_loads_torch(command: str) -> None:
    assert loaded_by(command, "--help") & {"torch", "onnxruntime"} == set()


def test_enhance_never_loads_torch(folders: tuple[Path, Path], fake_model: Path, tmp_path: Path) -> None:
    loaded = loaded_by("enhance", folders[0], "-o", tmp_path / "out", "--model", fake_model, "--device", "cpu")
    assert "onnxruntime" in loaded
    assert not {"torch", "ray"} & loaded


def test_a_dry_run_opens_no_model(folders: tuple[Path, Path], fake_model: Path, tmp_path: Path) -> None:
    line = ("enhance", folders[0] / "a.png", "-o", tmp_path / "out", "--model", fake_model)
    assert "onnxruntime" not in loaded_by(*line, "--dry-run")


def test_eval_never_loads_torch(folders: tuple[Path, Path], fake_model: Path) -> None:
    loaded = loaded_by("eval", "--gt", folders[1], folders[0], "--model", fake_model, "--device", "cpu")
    assert "onnxruntime" in loaded
    assert not {"torch", "ray"} & loaded


def test_only_pages_load_jinja(folders: tuple[Path, Path], tmp_path: Path) -> None:
    line = ("eval", "--gt", folders[1], folders[0], "--as-is", "--report")
    assert "jinja2" not in loaded_by(*line, tmp_path / "scores.csv")
    assert "jinja2" in loaded_by(*line, tmp_path / "scores.html")


def test_a_format_is_loaded_when_a_file_of_it_comes(
    folders: tuple[Path, Path], fake_model: Path, tmp_path: Path
) -> None:
    line = (
        "enhance",
        folders[0],
        "-o",
        tmp_path / "out",
        "--model",
        fake_model,
        "--device",
        "cpu",
        "--existing",
        "error",
    )
    assert "tifffile" not in loaded_by(*line)
    assert "tifffile" in loaded_by(*line, "--format", "tiff")


@pytest.mark.parametrize("command", ["models", "doctor"])
def test_models_and_doctor_never_load_torch(command: str) -> None:
    assert "torch" not in loaded_by(command, codes=(0, 5))  # doctor ends with 5 where something is missing
