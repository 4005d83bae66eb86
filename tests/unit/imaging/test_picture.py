"""The picture's own rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lumen.codecs.codec import read_picture
from lumen.errors import EncodeError, OutputError, UsageError
from lumen.imaging.picture import Metadata, Picture, gray_of
from tests.support.files import exif, icc, picture, ramp, tags


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_go_in_and_out_unchanged(channels: int, dtype: type[np.uint8]) -> None:
    samples = ramp(channels=channels, dtype=dtype)
    made = Picture.from_channels(samples, kind="png", metadata=Metadata())
    np.testing.assert_array_equal(made.to_channels(), samples)
    assert made.pixels.shape == (made.height, made.width, 3) == (37, 53, 3)
    assert made.pixels.flags.c_contiguous


@pytest.mark.parametrize("kind", [str, Path])
def test_a_picture_saves_itself_with_what_it_carries(tmp_path: Path, kind: type[str]) -> None:
    made = picture(exif=exif(6), icc=icc())
    made.save(kind(tmp_path / "a.png"))
    made.save(kind(tmp_path / "a.JPG"), quality=50)
    found = read_picture(kind(tmp_path / "a.png"))
    assert np.array_equal(found.pixels, made.pixels)
    assert found.metadata.icc == made.metadata.icc
    assert tags(found.metadata.exif) == tags(made.metadata.exif)
    assert read_picture(tmp_path / "a.JPG").format == "jpeg"


def test_a_picture_says_why_it_cannot_be_saved(tmp_path: Path) -> None:
    made, deep = picture(), picture(dtype=np.uint16)
    for name in ("a", "a.xyz"):
        with pytest.raises(UsageError, match=rf"ends in one of .jpg, .png, .*, got '.*{name}'"):
            made.save(tmp_path / name)
    for name in ("a.gif", "a.nef"):
        with pytest.raises(EncodeError, match="results are not stored as"):
            made.save(tmp_path / name)
    with pytest.raises(UsageError, match="--quality"):
        made.save(tmp_path / "a.jpg", quality=0)
    with pytest.raises(EncodeError, match="16-bit"):
        deep.save(tmp_path / "a.jpg")
    with pytest.raises(OutputError, match="No such file or directory"):
        made.save(tmp_path / "no folder" / "a.jpg")
    assert list(tmp_path.iterdir()) == []
    deep.save(tmp_path / "a.jpg", allow_8bit=True)


def test_metadata_that_is_lost_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture(icc=icc()).save(tmp_path / "a.bmp")
    assert "a.bmp: the ICC profile was left out" in caplog.text


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_is_exact_on_gray_and_rounds_luma_elsewhere(dtype: type[np.uint8]) -> None:
    top = np.iinfo(dtype).max
    levels = np.arange(top + 1, dtype=dtype).reshape(-1, 16)
    np.testing.assert_array_equal(gray_of(np.repeat(levels[..., None], 3, axis=2)), levels)
    color = ramp(300, 2000, dtype=dtype)  # more than one strip
    expected = color @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray_of(color) - expected).max() <= 0.5 + 1e-6


def test_malformed_pictures_are_refused() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    for wrong in (pixels[..., 0], pixels[..., :2], pixels.astype(np.int16), pixels[:0]):
        with pytest.raises(ValueError, match="expected uint8 or uint16 pixels"):
            Picture(pixels=wrong, format="png")
    for alpha in (np.zeros((5, 4), np.uint8), np.zeros((4, 5), np.uint16)):
        with pytest.raises(ValueError, match="expected uint8 alpha"):
            Picture(pixels=pixels, alpha=alpha, format="png")
