"""What results are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.config import OutputFormat
from lumen.enhance.names import result_name


@pytest.mark.parametrize(
    ("name", "suffix", "kind", "expected"),
    [
        ("a.JPG", "", "same", "a.JPG"),
        ("a.jpg", "-lit", "png", "a-lit.png"),
        ("a.JPEG", "", "jpg", "a.JPEG"),
        ("a.tif", "", "tiff", "a.tif"),
        ("a.png", "", "tiff", "a.tiff"),
        ("a.tar.gz", "-lit", "same", "a.tar-lit.gz"),
        ("IMG.1", "", "png", "IMG.1.png"),
        ("photo", "", "png", "photo.png"),
        ("photo.", "-lit", "png", "photo.-lit.png"),
        (".jpg", "-lit", "same", ".jpg-lit"),
        ("a.gif", "", "same", "a.png"),
    ],
)
def test_names_of_results(name: str, suffix: str, kind: OutputFormat, expected: str) -> None:
    assert result_name(Path("in", name), suffix, kind) == result_name(name, suffix, kind) == expected
