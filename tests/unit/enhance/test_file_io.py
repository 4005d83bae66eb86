"""What a source gives, and what its result is stored as."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lumen.codecs.codec import read_picture, write_picture
from lumen.config import EnhanceOptions
from lumen.enhance.file_io import read_source
from lumen.enhance.pipeline import enhance_file
from lumen.errors import DecodeError, EncodeError
from lumen.imaging.formats import Format
from tests.support.fakes import FakeModels
from tests.support.files import noise


def test_only_a_format_that_the_name_hid_is_kept(tmp_path: Path) -> None:
    deep = tmp_path / "deep.png"
    write_picture(noise(20, 30, "uint16"), deep)
    with pytest.raises(EncodeError, match="8-bit pixels for jpeg"):
        enhance_file(deep, tmp_path / "asked.jpg", FakeModels())
    deep.rename(tmp_path / "lies.jpg")
    (warning,) = enhance_file(tmp_path / "lies.jpg", tmp_path / "out.jpg", FakeModels(gain=2.0)).warnings
    assert "png file" in warning
    assert read_picture(tmp_path / "out.jpg").sample == "uint16"


@pytest.mark.parametrize("kind", ["png", "tiff", "bmp", "jpeg", "webp"])
def test_a_picture_that_loses_by_its_name_is_told(kind: Format, tmp_path: Path) -> None:
    write_picture(noise(20, 30), tmp_path / "a.jpg", kind=kind)
    warnings = enhance_file(tmp_path / "a.jpg", tmp_path / "out.jpg", FakeModels()).warnings
    told = f"the input is a {kind} file despite its name; the result is a lossy jpeg"
    assert any(warning.startswith(told) for warning in warnings) is (kind not in ("jpeg", "webp"))
    write_picture(noise(20, 30), tmp_path / "b.png", kind=kind)
    assert enhance_file(tmp_path / "b.png", tmp_path / "asked.jpg", FakeModels()).warnings == ()
    write_picture(replace(noise(20, 30), format="webp", lossless=True), tmp_path / "c.webp")
    assert not any(
        "lossy" in warning for warning in enhance_file(tmp_path / "c.webp", tmp_path / "c2.webp", FakeModels()).warnings
    )


def test_an_opened_stream_is_read_and_the_name_only_tells_the_format(tmp_path: Path) -> None:
    write_picture(noise(20, 30), tmp_path / "a.png")
    with (tmp_path / "a.png").open("rb") as stream:
        (tmp_path / "a.png").unlink()
        assert read_source(tmp_path / "a.png", EnhanceOptions(), stream=stream).width == 30


def test_nothing_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path(os.devnull), tmp_path):
        with pytest.raises(DecodeError, match="not a plain file"):
            read_source(path, EnhanceOptions())
