"""Tags of TIFF files that nothing else can hold."""

from __future__ import annotations

import struct
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile

from lumen.codecs.codec import encode_picture
from lumen.codecs.limits import stripped
from tests.support.codecs import read
from tests.support.files import Array, exif, ramp, tags, tiff

PLACE: list[Any] = [(286, 5, 1, (30, 10), True), (287, 5, 1, (7, 2), True)]
COLORS: list[Any] = [(318, 5, 2, (3127, 10000, 329, 1000), True), (319, 5, 6, (64, 100, 33, 100) * 3, True)]
MICROSCOPE: list[Any] = [
    (34118, 2, 0, "AP_MAG = 500 X", True),
    (34680, 2, 0, "[User]\r\nDate=1", True),
    (51123, 2, 0, '{"Binning": 1}', True),
    (50839, 1, 8, b"IJIJinfo", True),
]


def curve(samples: Array) -> Any:
    levels = 2 ** (8 * samples.dtype.itemsize)
    return (301, 3, levels, tuple(np.linspace(0, 65535, levels).astype(int).tolist()), True)


def stored(data: bytes, codes: list[int]) -> list[Any]:
    with tifffile.TiffFile(BytesIO(data)) as file:
        found = file.pages.first.tags
        values = [found.valueof(code) for code in codes]
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in values]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_place_colours_and_microscope_tags_go_through(kind: Any, order: str) -> None:
    samples = ramp(dtype=kind)
    given = [*PLACE, *COLORS, *MICROSCOPE, curve(samples)]
    before = tiff(samples, extratags=given, byteorder=order)
    found = read(before)
    data, told = encode_picture(found, "tiff")
    assert (found.notes, told) == ((), ())
    codes = [row[0] for row in given]
    assert stored(data, codes) == stored(before, codes)
    np.testing.assert_array_equal(read(data).pixels, samples)


def test_no_tag_changes_when_only_the_orientation_is_left_of_the_exif() -> None:
    before = tiff(ramp(), extratags=[curve(ramp()), (274, 3, 1, 6, True)], byteorder=">")
    found = read(before)
    lost = replace(found, metadata=replace(found.metadata, exif=exif(6)[:60]))
    data, _ = encode_picture(lost, "tiff")
    assert stored(data, [301, 274]) == stored(before, [301, 274])


def test_other_formats_keep_the_exif_and_tell_what_they_cannot_hold() -> None:
    found = read(tiff(ramp(), extratags=[*PLACE, *MICROSCOPE, curve(ramp()), (271, 2, 0, "Maker", True)]))
    data, told = encode_picture(found, "jpeg")
    assert set(told) == {
        "the transfer function was left out: jpeg cannot hold it; the picture looks the same",
        "the microscope data was left out: jpeg cannot hold it; the picture looks the same",
    }
    assert tags(read(data).metadata.exif)["maker"] == "Maker"
    assert stripped(found).metadata.extras == ()


def test_tags_that_point_into_the_file_are_told_and_so_are_unknown_ones() -> None:
    given = [(33560, 4, 1, 8, True), (65001, 2, 0, "private", True), (65002, 3, 1, 5, True)]
    found = read(tiff(ramp(), extratags=given))
    assert found.notes == (
        "the microscope data were left out: they point into their file, which measurements need",
        "private tags were left out: 65001, 65002; only the program that wrote them reads them",
    )


def test_a_transfer_function_for_other_levels_is_told() -> None:
    told = (
        "the transfer function was left out: it is for samples as they were stored in the file; few programs use it",
    )
    levels = (301, 3, 16, tuple(range(0, 65536, 4096)), True)
    assert read(tiff(ramp(), extratags=[levels])).notes == told
    assert read(tiff(ramp(channels=1), photometric="miniswhite", extratags=[curve(ramp())])).notes == told


def test_what_cameras_put_beside_the_exif_directory_is_kept() -> None:
    exposure = [(33434, 5, 1, (1, 30), True), (34855, 3, 1, 3200, True)]
    before = tiff(ramp(), extratags=exposure)
    found = read(before)
    data, told = encode_picture(found, "tiff")
    assert (found.notes, told) == ((), ())
    assert stored(data, [33434, 34855]) == stored(before, [33434, 34855]) == [(1, 30), 3200]


def test_nonsense_in_a_carried_tag_costs_itself_alone() -> None:
    data = bytearray(tiff(ramp(), extratags=[(34118, 2, 0, "AP_MAG = 500 X", True)]))
    at = data.index(struct.pack("<HH", 34118, 2))
    struct.pack_into("<HHI", data, at, 34118, 99, 7)
    np.testing.assert_array_equal(read(bytes(data)).pixels, ramp())
