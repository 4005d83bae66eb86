"""What a source gives, and what its result is stored as."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.codecs.codec import read_picture, write_picture
from lumen.enhance.pipeline import enhance_file
from lumen.errors import EncodeError
from tests.support.fakes import FakeModels
from tests.support.files import noise


def test_only_a_format_that_the_name_hid_is_kept(tmp_path: Path) -> None:
    deep = tmp_path / "deep.png"
    write_picture(noise(20, 30, "uint16"), deep)
    with pytest.raises(EncodeError, match="8-bit pixels for jpeg"):
        enhance_file(deep, tmp_path / "asked.jpg", FakeModels())
    deep.rename(tmp_path / "lies.jpg")
    (warning,) = enhance_file(tmp_path / "lies.jpg", tmp_path / "out.jpg", FakeModels()).warnings
    assert "png file" in warning
    assert read_picture(tmp_path / "out.jpg").sample == "uint16"
