from __future__ import annotations

import pytest

from lumen.text import span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (91, "2 min"), (5000, "83 min"), (6000, "1 h 40 min"), (36000, "10 h 00 min")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text
