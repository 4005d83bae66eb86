"""Camera raw data: developed upright in 16 bits, never written."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from lumen.codecs import exif
from lumen.codecs.codec import read_picture, write_picture
from lumen.color.icc import srgb_profile
from lumen.errors import EncodeError, UnsupportedError
from tests.support.codecs import needs_raw, nothing_installed, read
from tests.support.crafted import dng
from tests.support.files import XMP, put, tags
from tests.support.files import exif as exif_block


@needs_raw
@pytest.mark.parametrize(("turn", "shape"), [(1, (64, 96)), (3, (64, 96)), (6, (96, 64)), (8, (96, 64))])
def test_raw_is_developed_upright_in_16_bits(turn: int, shape: tuple[int, int], tmp_path: Path) -> None:
    found = read_picture(put(tmp_path, "a.dng", dng(orientation=turn)))
    assert found.pixels.shape == (*shape, 3)
    assert (found.sample, found.format) == ("uint16", "raw")
    assert exif.orientation(found.metadata.exif) == 1
    assert tags(found.metadata.exif)["maker"] == "Maker"
    assert found.metadata.icc == srgb_profile()
    assert len(np.unique(found.pixels)) > 256
    assert found.notes == ()


@needs_raw
def test_raw_is_known_by_its_content_and_never_written(tmp_path: Path) -> None:
    assert read(dng()).format == "raw"
    assert write_picture(read(dng()), tmp_path / "a") == ()
    assert (tmp_path / "a").read_bytes()[:2] == b"II"
    with pytest.raises(EncodeError, match="results are not stored as raw"):
        write_picture(read(dng()), tmp_path / "a.dng")
    with pytest.raises(UnsupportedError, match=r"at most 0\.006 megapixels"):
        read(dng(), max_pixels=6000)


def test_raw_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_installed(monkeypatch)
    for data in (dng(), b"FUJIFILMCCD-RAW 0201", b"IIU\0" + b"\0" * 60, b"\0\0\0\x18ftypcrx " + b"\0" * 60):
        with pytest.raises(UnsupportedError, match=r"camera raw data needs rawpy; .*lumen-enhance\[raw\]"):
            read(data)


def test_raw_files_of_canons_first_kind_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UnsupportedError, match="camera raw data needs rawpy"):
        read(b"II\x1a\0\0\0HEAPCCDR" + bytes(100))


@needs_raw
def test_raw_keeps_its_xmp_and_takes_the_exposure_from_the_preview_if_it_stands_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = dng()
    found = read(dng(xmp=XMP))
    assert found.metadata.xmp == XMP
    preview = exif_block(1)
    monkeypatch.setattr("lumen.codecs.raw._exif_of_preview", lambda _: preview)
    assert read(plain).metadata.exif == preview
    monkeypatch.setattr("lumen.codecs.raw._exif_of_preview", lambda _: None)
    assert read(plain).metadata.exif == found.metadata.exif
