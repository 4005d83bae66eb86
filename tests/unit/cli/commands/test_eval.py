"""The options of `lumen eval` are those of the library; columns are named after models and folders."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from lumen.cli.commands.eval import _by_title, _folders, command
from lumen.errors import UsageError
from lumen.evaluation import EvalOptions


def test_defaults_are_those_of_the_library() -> None:
    with command.make_context("eval", ["."]) as context:
        found = {field.name: context.params[field.name] for field in fields(EvalOptions)}
    assert EvalOptions(**found) == EvalOptions()


@pytest.mark.parametrize(
    ("places", "alone", "titles"),
    [
        (["runs/a.onnx"], True, ["output"]),
        (["runs/a.onnx"], False, ["a"]),
        (["lumen-s", "runs/b.onnx"], True, ["lumen-s", "b"]),
        (["x/last.onnx", "y/last.onnx", "z.onnx"], True, ["x/last.onnx", "y/last.onnx", "z"]),
    ],
)
def test_columns_have_short_names_that_differ(places: list[str], alone: bool, titles: list[str]) -> None:
    assert _by_title("--model", places, alone=alone) == dict(zip(titles, places, strict=True))


def test_the_same_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="each folder once"):
        _by_title("folder", [Path("a"), Path("a")], alone=False)


@pytest.mark.parametrize(
    ("options", "low", "expected"),
    [
        ({}, ["low"], ("low", {})),
        ({"results": ["tool"]}, ["low"], ("low", {"tool": "tool"})),
        ({"as_is": True}, ["out"], ("out", {})),
        ({"as_is": True}, ["a", "b"], (None, {"a": "a", "b": "b"})),
        ({"as_is": True, "dark": "low"}, ["out"], ("low", {"output": "out"})),
    ],
)
def test_as_is_the_folders_are_results(
    options: dict[str, object], low: list[str], expected: tuple[str | None, dict[str, str]]
) -> None:
    dark, results = _folders([Path(name) for name in low], {"as_is": False, "results": [], "dark": None} | options)
    assert (dark and str(dark), {title: str(path) for title, path in results.items()}) == expected
