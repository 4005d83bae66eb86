"""EXIF, ICC, XMP and resolution survive every way through the codec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from lumen.codecs.codec import encode_picture, read_picture, write_picture
from lumen.imaging.picture import Metadata
from tests.support.codecs import read
from tests.support.files import RGB, XMP, exif, icc, picture, put, ramp, saved, tags, tiff


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_keep_tag_and_pixels(suffix: str, orientation: int, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    kind = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF"}[suffix]
    source.write_bytes(saved(RGB, kind, exif=b"Exif\0\0" + exif(orientation), quality=95))
    found = read_picture(source)
    assert found.pixels.shape == (37, 53, 3)  # as stored, whatever the tag says
    write_picture(found, target)
    assert tags(read_picture(target).metadata.exif)["orientation"] == orientation
    with Image.open(source) as before, Image.open(target) as after:
        shown = [np.asarray(ImageOps.exif_transpose(image)).astype(int) for image in (before, after)]
    assert shown[0].shape == shown[1].shape
    assert np.abs(shown[0] - shown[1]).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_format_without_exif_gets_turned_pixels(orientation: int, tmp_path: Path) -> None:
    warnings = write_picture(picture(4, exif=exif(orientation)), tmp_path / "a.png")
    assert warnings == ()
    warnings = write_picture(picture(exif=exif(orientation), dpi=(300, 100)), tmp_path / "a.bmp")
    assert warnings == ("the EXIF was left out: bmp cannot hold it; only date, place and camera are missing",)
    with Image.open(tmp_path / "a.png") as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    back = read_picture(tmp_path / "a.bmp")
    assert back.pixels.shape == shown[..., :3].shape
    expected = (100, 300) if orientation >= 5 else (300, 100)
    assert back.metadata.dpi == pytest.approx(expected, rel=1e-2)
    np.testing.assert_array_equal(back.pixels, shown[..., :3])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_metadata_is_kept_to_the_byte(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    facts: dict[str, Any] = {"exif": exif(3), "icc": icc(), "xmp": XMP}
    if suffix != ".webp":
        facts["dpi"] = (300.0, 300.0)
    assert write_picture(picture(**facts), path) == ()
    found = read_picture(path).metadata
    assert (found.exif, found.icc, found.xmp) == (exif(3), icc(), XMP)
    if suffix != ".webp":
        assert found.dpi == pytest.approx((300, 300), rel=1e-3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_moves_between_all_formats(order: str, tmp_path: Path) -> None:
    source = tiff(ramp(dtype=np.uint16), byteorder=order, extratags=[(271, 2, 0, "Maker", True), (274, 3, 1, 8, True)])
    found = read_picture(put(tmp_path, "in.tif", source))
    assert tags(found.metadata.exif)["maker"] == "Maker"
    shallow = replace(found, pixels=(found.pixels >> 8).astype(np.uint8))
    for name in ("a.jpg", "b.tif", "c.webp", "d.png"):
        write_picture(shallow, tmp_path / name)
        shallow = read_picture(tmp_path / name)
        kept = tags(shallow.metadata.exif)
        assert (kept["maker"], kept["orientation"]) == ("Maker", 8)


def test_metadata_too_long_for_a_jpeg_is_a_warning_and_the_orientation_stays(tmp_path: Path) -> None:
    made = picture(exif=exif(6, padding=70_000), xmp=b"x" * 70_000, icc=icc(), format="jpeg")
    warnings = write_picture(made, tmp_path / "a.jpg")
    assert warnings == (
        "the EXIF was left out: it is too long for jpeg; only date, place and camera are missing",
        "the XMP was left out: it is too long for jpeg; only ratings, keywords and edits are missing",
    )
    found = read_picture(tmp_path / "a.jpg").metadata
    assert (tags(found.exif)["orientation"], found.icc, found.xmp) == (6, icc(), None)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize(
    "broken",
    [b"rubbish", b"II*\0\xff\xff\xff\xff", exif()[:60], b"MM\0*" + b"\0" * 10],
    ids=["rubbish", "outside", "cut", "empty"],
)
def test_broken_exif_never_costs_the_picture(suffix: str, broken: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    warnings = write_picture(picture(exif=broken), path)
    assert read_picture(path).pixels.shape == (37, 53, 3)
    assert bool(warnings) is (suffix == ".tif")  # the others carry the block as it is


def test_metadata_an_encoder_refuses_is_left_out_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = Image.Image.save

    def refuse(self: Image.Image, *arguments: Any, **options: Any) -> None:
        if options.get("icc_profile"):
            raise ValueError("bad profile")
        real(self, *arguments, **options)

    monkeypatch.setattr(Image.Image, "save", refuse)
    (warning,) = write_picture(picture(exif=exif(6), icc=b"odd"), tmp_path / "a.jpg")
    assert warning == "the metadata could not be stored (bad profile) and was left out; date and colours may be off"
    assert tags(read_picture(tmp_path / "a.jpg").metadata.exif)["orientation"] == 6


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_malformed_block_still_says_how_a_picture_is_displayed(orientation: int, tmp_path: Path) -> None:
    warnings = write_picture(picture(exif=exif(orientation)[:60]), tmp_path / "a.tif")
    assert warnings == ("the EXIF block is malformed and was left out; only date, place and camera are missing",)
    assert tags(read_picture(tmp_path / "a.tif").metadata.exif)["orientation"] == orientation


def test_faults_of_metadata_are_told_and_cost_nothing() -> None:
    found = read(saved(RGB, "JPEG", icc_profile=b"rubbish" * 40, exif=b"Exif\0\0" + exif()[:60]))
    assert found.notes == (
        "the colour profile is malformed; it is kept as it is, and programs that cannot read it show sRGB",
        "the EXIF block is malformed; it is kept as it is where the format allows, and few programs read it",
    )
    data, warnings = encode_picture(found, "jpeg")
    assert warnings == ()
    assert read(data).metadata == found.metadata
    _, warnings = encode_picture(replace(found, metadata=Metadata(exif=exif()[:60])), "avif")
    assert warnings == (
        "the metadata could not be stored (the EXIF block is malformed) and was left out; date and colours may be off",
    )
