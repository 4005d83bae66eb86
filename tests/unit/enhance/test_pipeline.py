from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lumen.codecs.codec import read_picture, write_picture
from lumen.enhance.pipeline import enhance_file, enhance_picture
from lumen.errors import DecodeError, UsageError
from lumen.imaging.picture import Metadata
from tests.support.fakes import FakeModels
from tests.support.files import exif, noise, tags, with_thumbnail


def test_the_dark_thumbnail_of_the_input_is_dropped() -> None:
    dark = with_thumbnail(exif(6), b"\xff\xd8 dark \xff\xd9")
    source = replace(noise(20, 30), metadata=Metadata(exif=dark, xmp=b"kept"))
    found = enhance_picture(source, FakeModels()).metadata
    assert found.exif is not None
    assert b"dark \xff" in dark and b"dark \xff" not in found.exif
    assert tags(found.exif) == tags(exif(6))
    assert found.xmp == b"kept"


def test_files_are_enhanced_into_other_files(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    write_picture(noise(20, 30), source)
    result = enhance_file(source, target, FakeModels(gain=2.0))
    assert (result.width, result.height, result.warnings) == (30, 20, ())
    assert np.array_equal(read_picture(target).pixels, read_picture(source).pixels * 2)
    with pytest.raises(UsageError, match="other than the input"):
        enhance_file(source, source, FakeModels())


def test_a_damaged_file_leaves_no_target(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(DecodeError):
        enhance_file(tmp_path / "a.png", tmp_path / "b.png", FakeModels())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
