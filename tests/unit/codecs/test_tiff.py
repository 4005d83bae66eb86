"""TIFF: tags, pages, strips, and streams in it."""

from __future__ import annotations

import struct
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile

from lumen.codecs.codec import encode_picture
from lumen.errors import DecodeError, UnsupportedError
from lumen.imaging.picture import Metadata
from tests.support.codecs import read
from tests.support.crafted import patched
from tests.support.files import RGB, icc, ramp, saved, tiff


def with_pointer(target: int | None, behind: bytes = b"") -> bytes:
    """Return a 16-bit TIFF with a profile and an EXIF tag that points to `target`, or behind the file's own end."""
    data = bytearray(tiff(ramp(dtype=np.uint16), iccprofile=icc(), extratags=[(37500, 4, 1, 8, True)]))
    at = data.index(struct.pack("<HHI", 37500, 4, 1))
    struct.pack_into("<HHII", data, at, 0x8769, 4, 1, len(data) if target is None else target)
    return bytes(data) + behind


@pytest.mark.parametrize("fault", ["loop", "entries", "type"])
def test_a_malformed_tag_of_a_tiff_costs_itself_alone(fault: str) -> None:
    (first,) = struct.unpack_from("<I", with_pointer(0), 4)
    nonsense = struct.pack("<HHHII", 1, 5, 99, 1, 0) + bytes(4)  # a tag of a type that there is not
    data = (
        with_pointer(first) if fault == "loop" else with_pointer(None, b"\xff\xff" if fault == "entries" else nonsense)
    )
    found = read(data)
    assert found.metadata.icc == icc()
    np.testing.assert_array_equal(found.pixels, ramp(dtype=np.uint16))
    assert found.notes == ("a part of the metadata was left out: it is malformed",)
    assert read(tiff(ramp(), iccprofile=icc())).notes == ()


def test_a_tiff_stays_where_it_is_on_earth_and_keeps_its_names() -> None:
    place: list[Any] = [(33550, 12, 3, (0.5, 0.5, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 7.1, 50.7, 0.0), True)]
    place += [
        (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 2), True),
        (34737, 2, 0, "WGS 84|", True),
        (269, 2, 0, "a map", True),
    ]
    found = read(tiff(ramp(), extratags=place))
    data, told = encode_picture(found, "tiff")
    assert (found.notes, told) == ((), ())
    with tifffile.TiffFile(BytesIO(data)) as file:
        tags = file.pages.first.tags
        for code, _, _, value, _ in place:
            assert tags.valueof(code) == value


def test_the_layers_of_a_tiff_are_told() -> None:
    layers = b"Adobe Photoshop Document Data Block\0" + bytes(4000)
    found = read(tiff(ramp(), extratags=[(37724, 7, len(layers), layers, True)]))
    assert found.notes == ("the Photoshop layers were left out; the flattened picture was used",)
    assert layers not in encode_picture(found, "tiff")[0]


def chain_of_pages(count: int, *, back_to: int) -> bytes:
    """Return a TIFF whose first directory is followed by `count` ones of previews, the last linked to another."""
    data = bytearray(tiff(ramp()))
    (first,) = struct.unpack_from("<I", data, 4)
    link = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    base = len(data) + len(data) % 2
    struct.pack_into("<I", data, link, base)
    data = data.ljust(base, b"\0")
    for number in range(count):
        following = number + 1 if number + 1 < count else back_to
        data += struct.pack("<HHHIII", 1, 254, 4, 1, 1, base + 18 * following)
    return bytes(data)


def test_a_chain_of_pages_is_followed_so_far_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.codecs.tiff._MOST_PAGES", 200)
    loaded = []
    real = tifffile.TiffPage.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        loaded.append(1)
        real(self, *args, **kwargs)

    monkeypatch.setattr(tifffile.TiffPage, "__init__", counted)
    np.testing.assert_array_equal(read(chain_of_pages(3000, back_to=2500)).pixels, ramp())
    assert len(loaded) <= 200
    monkeypatch.setattr("lumen.codecs.tiff._MOST_PAGES", 3)
    several = saved(RGB, "TIFF", save_all=True, append_images=[RGB] * 5)
    with pytest.raises(UnsupportedError, match="a TIFF of 3 pages or more; take the first"):
        read(several)


def test_a_jpeg_stream_in_a_tiff_may_not_be_larger_than_its_part() -> None:
    data = tiff(ramp(64, 64), compression="jpeg")
    assert read(data).pixels.shape == (64, 64, 3)
    at = data.index(b"\xff\xc0") + 5
    with pytest.raises(DecodeError, match="claims 60000x30000 pixels, more than its part"):
        read(patched(data, at, struct.pack(">HH", 30_000, 60_000)))
    with pytest.raises(DecodeError, match="a JPEG stream in it has no size"):
        read(patched(data, at - 5, b"\xff\xd9"))


def test_jpeg_tiles_and_strips_that_are_sound_are_read() -> None:
    for options in ({"tile": (64, 64)}, {"rowsperstrip": 16}, {"tile": (256, 256)}):
        found = read(tiff(ramp(150, 200), compression="jpeg", **options))
        assert np.abs(found.pixels.astype(int) - ramp(150, 200)).mean() < 6


@pytest.mark.parametrize("packing", ["jpeg2000", "webp", "png"])
def test_tiff_files_packed_as_files_of_their_own_are_refused_by_name(packing: str) -> None:
    data = tiff(ramp(64, 64), compression=packing)
    with pytest.raises(UnsupportedError, match=f"Deflate, LZW, JPEG or not at all, got {packing.upper()}"):
        read(data)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("channels", "photometric"), [(2, "minisblack"), (4, "rgb"), (5, "separated")])
@pytest.mark.parametrize("said", [True, False])
def test_a_channel_that_is_not_said_to_be_opacity_is_carried_along(
    dtype: Any, channels: int, photometric: str, said: bool
) -> None:
    samples = ramp(channels=channels, dtype=dtype)
    data = tiff(samples, photometric=photometric, planarconfig="contig", extrasamples=["unspecified"])
    if not said:
        data = data.replace(struct.pack("<HHI", 338, 3, 1), struct.pack("<HHI", 65000, 3, 1))
    found = read(data)
    assert found.alpha is None
    assert found.extra_channel is not None
    np.testing.assert_array_equal(found.extra_channel, samples[..., -1])
    written, told = encode_picture(replace(found, metadata=Metadata()), "tiff")
    assert told == ()
    with tifffile.TiffFile(BytesIO(written)) as file:
        page = file.pages.first
        assert page.tags.valueof("ExtraSamples") == (0,)
        assert page.samplesperpixel == (2 if channels == 2 else 4)
        np.testing.assert_array_equal(page.asarray()[..., -1], samples[..., -1])
    np.testing.assert_array_equal(found.turned(6).extra_channel, np.rot90(samples[..., -1], -1))
    _, told = encode_picture(replace(found, metadata=Metadata()), "jpeg", allow_8bit=True)
    assert told == ("the extra channel was left out: jpeg cannot hold it",)
    assert read(tiff(samples[..., -2:], photometric="minisblack", extrasamples=["unassalpha"])).alpha is not None
