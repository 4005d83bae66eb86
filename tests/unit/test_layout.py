"""The shape of the source: few files at the top, readable sizes, one name for one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.modules import ROOT, module_files

TOP = "__init__ __main__ config doctor errors extras registry spec stages text version"
MODULE_LINES, FUNCTION_LINES = 400, 60
LIBRARIES = (
    "PIL click fsspec imagecodecs jinja2 matplotlib msgspec numpy onnx onnxruntime onnxscript openvino pillow ray "
    "rawpy rich safetensors scipy simplejpeg skimage tensorboard tensorboardX tifffile torch watchdog"
)
# Names that several modules give to their form of one thing.
# Commands, codecs, metadata blocks, engines.
SHARED = {"command", "decode", "encode", "find", "is_sound", "open_session", "why_not_writable"}


def definitions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield the functions and classes at the top of a module."""
    yield from (n for n in module.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef))


def too_long(tree: ast.Module) -> list[str]:
    """Return the functions with more than `FUNCTION_LINES` lines, decorators not counted."""
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return [f.name for f in functions if (f.end_lineno or f.lineno) - f.lineno >= FUNCTION_LINES]


def test_few_files_stand_at_the_top() -> None:
    assert {path.stem for path in (ROOT / "lumen").glob("*.py")} == set(TOP.split())


@pytest.mark.parametrize("name", module_files())
def test_modules_and_functions_are_of_a_size_one_can_read(name: str) -> None:
    text = module_files()[name].read_text(encoding="utf-8")
    assert text.count("\n") <= MODULE_LINES
    assert too_long(ast.parse(text)) == []


def test_a_long_function_would_be_seen() -> None:
    decorator = "@decorate(" + "1,\n" * 99 + ")\n"
    short = "def short():\n" + "    pass\n" * (FUNCTION_LINES - 1)
    long = "class A:\n    def long(self):\n" + "        pass\n" * FUNCTION_LINES
    assert too_long(ast.parse(decorator + short + long)) == ["long"]


def test_a_public_name_stands_for_one_thing() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for module, path in module_files().items():
        for node in definitions(ast.parse(path.read_text(encoding="utf-8"))):
            papers = module.startswith("lumen.models.")  # DAU, SKFF, ... are the names of their papers
            if not (node.name.startswith("_") or node.name in SHARED or papers):
                homes[node.name].append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_no_module_is_named_like_a_library() -> None:
    names = {Path(path).stem for path in module_files().values()}
    assert names & set(LIBRARIES.split()) == set()
