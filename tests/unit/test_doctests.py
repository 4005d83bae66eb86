"""Every example in a docstring is true."""

from __future__ import annotations

import doctest
from importlib import import_module
from importlib.util import find_spec

import pytest

from tests.support.modules import module_files

PROMPT = ">>> "
# What cannot be imported without an extra, by the beginning of its name.
NEEDED = {"lumen.models": "torch", "lumen.train": "torch", "lumen_export": "torch"}


@pytest.mark.parametrize("name", module_files())
def test_examples_are_true(name: str) -> None:
    missing = [each for prefix, each in NEEDED.items() if name.startswith(prefix) and not find_spec(each)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    result = doctest.testmod(import_module(name))
    assert result.failed == 0
    assert (result.attempted > 0) is (PROMPT in module_files()[name].read_text(encoding="utf-8"))


def test_there_are_examples() -> None:
    with_examples = [name for name, path in module_files().items() if PROMPT in path.read_text(encoding="utf-8")]
    assert len(with_examples) >= 9
    assert {"lumen.enhance.enhancer", "lumen.imaging.formats"} <= set(with_examples)


def test_an_example_that_is_false_would_be_seen() -> None:
    def wrong() -> None:
        """Say something false.

        >>> 1 + 1
        3
        """

    (test,) = doctest.DocTestFinder().find(wrong, "wrong")
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None).failed == 1
