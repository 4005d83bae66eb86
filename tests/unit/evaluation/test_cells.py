"""Names in cells are text, and come back as they were."""

from __future__ import annotations

import pytest

from lumen.evaluation.cells import as_text, name_in


@pytest.mark.parametrize("name", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n"])
def test_formulas_become_text_and_names_again(name: str) -> None:
    assert as_text(name) == f"'{name}"
    assert name_in(as_text(name)) == name


@pytest.mark.parametrize("name", ["", "a", "a=b", "'a", "'", "1-2"])
def test_other_names_stay(name: str) -> None:
    assert as_text(name) == name == name_in(name)
