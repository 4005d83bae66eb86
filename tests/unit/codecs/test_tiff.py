"""TIFF: tags, pages, strips, and streams in it."""

from __future__ import annotations

import struct
import zlib
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
    assert found.notes == ("a part of the metadata was left out: it is malformed; date or camera may be missing",)
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
    assert found.notes == (
        "the Photoshop layers were left out; the flattened picture was used, and editing them needs the input",
    )
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
@pytest.mark.parametrize(
    ("channels", "photometric", "said"),
    [(2, "minisblack", True), (4, "rgb", True), (5, "separated", True), (2, "minisblack", False)],
)
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
    assert told == ("the extra channel was left out: jpeg cannot hold it; the picture looks the same",)
    assert read(tiff(samples[..., -2:], photometric="minisblack", extrasamples=["unassalpha"])).alpha is not None


def odd_depth(bits: int, channels: int = 3, **options: Any) -> tuple[bytes, np.ndarray[Any, Any]]:
    """Return a TIFF of packed samples, and the shares of white in it."""
    samples = ramp(channels=channels, dtype=np.uint16) >> (16 - bits)
    stored = samples.astype(np.uint8 if bits < 9 else np.uint16)
    return tiff(stored, bitspersample=bits, **options), samples / (2**bits - 1)


@pytest.mark.parametrize("bits", [3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15])
@pytest.mark.parametrize(("channels", "photometric"), [(1, "minisblack"), (1, "miniswhite"), (3, "rgb")])
def test_every_depth_up_to_16_bits_is_read_at_full_range(bits: int, channels: int, photometric: str) -> None:
    data, shares = odd_depth(bits, channels, photometric=photometric)
    found = read(data)
    top = 65_535 if bits > 8 else 255
    assert (found.sample, found.bits) == ("uint16" if bits > 8 else "uint8", bits if bits in (10, 12) else None)
    wanted = (1 - shares if photometric == "miniswhite" else shares) * top
    assert np.abs(found.to_channels() - wanted).max() < 1
    assert found.notes == ()


def test_packed_samples_may_be_compressed_but_not_predicted() -> None:
    plain, _ = odd_depth(12)
    data = bytearray(plain)
    with tifffile.TiffFile(BytesIO(plain)) as file:
        page = file.pages.first
        (at,), (count,) = page.dataoffsets, page.databytecounts
        packed = zlib.compress(plain[at : at + count])
        for code, value in ((259, 8), (273, len(data)), (279, len(packed))):
            tag = page.tags[code]
            struct.pack_into("<I" if tag.dtype == 4 else "<H", data, tag.valueoffset, value)
    np.testing.assert_array_equal(read(bytes(data) + packed).pixels, read(plain).pixels)
    at = plain.index(struct.pack("<HH", 305, 2))  # the program's name makes room
    with pytest.raises(UnsupportedError, match="no predictor beside 12 bits a sample; convert it to 16 bits"):
        read(patched(plain, at, struct.pack("<HHII", 317, 3, 1, 2)))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (ramp(dtype=np.int16), "got signed ones of 16 bits; convert it to unsigned 16 bits"),
        (ramp(dtype=np.int8), "got signed ones of 8 bits"),
        (ramp().astype(np.float16), "got floating-point ones of 16 bits"),
        (ramp().astype(np.uint32), "got unsigned ones of 32 bits"),
        (ramp().astype(np.complex64), "got complex ones of 64 bits"),
    ],
)
def test_samples_that_are_not_read_are_named_with_those_that_are(samples: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=f"expected unsigned samples of 1 to 16 bits, {message}"):
        read(tiff(samples))


def test_channels_of_different_depths_and_too_many_are_named_with_the_remedy() -> None:
    data = tiff(ramp(dtype=np.uint16))
    at = data.index(struct.pack("<3H", 16, 16, 16))
    with pytest.raises(UnsupportedError, match="all of the same depth, got 5, 6, 5 bits; convert it to 8 bits"):
        read(patched(data, at, struct.pack("<3H", 5, 6, 5)))
    five = tiff(ramp(channels=5), photometric="rgb", planarconfig="contig")
    with pytest.raises(UnsupportedError, match="got 5; save it with at most one channel besides its colours"):
        read(five)
    with pytest.raises(UnsupportedError, match="a flat picture, got one of 2 slices; save one of them"):
        read(tiff(np.stack([ramp(channels=1)] * 2), volumetric=True, photometric="minisblack"))


@pytest.mark.parametrize("count", [2, 1500])
@pytest.mark.parametrize("tag", [256, 257, 259, 262, 277, 284])
def test_many_numbers_in_place_of_one_are_told_without_the_words_of_a_library(tag: int, count: int) -> None:
    data = tiff(ramp())
    at = next(place for kind in (3, 4) if (place := data.find(struct.pack("<HHI", tag, kind, 1))) > 0)
    data = patched(data, at, struct.pack("<HHII", tag, 4, count, len(data) + len(data) % 2))
    with pytest.raises(DecodeError, match=r"truncated: (a directory in it is malformed|its \w+ is not a number)$"):
        read(data.ljust(len(data) + len(data) % 2, b"\0") + b"\1\0\0\0" * count)


@pytest.mark.parametrize("tag", [254, 257])
def test_many_numbers_on_a_further_page_are_called_so_too(tag: int) -> None:
    first = tiff(ramp())
    first += bytes(len(first) % 2)
    values = struct.pack("<1500I", *range(1500))
    entries = [(256, 4, 1, 8), (257, 4, 1, 8), (278, 4, 1, 8)]
    entries = sorted([*(each for each in entries if each[0] != tag), (tag, 4, 1500, len(first))])
    page = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *each) for each in entries) + bytes(4)
    (at,) = struct.unpack_from("<I", first, 4)
    link = at + 2 + 12 * struct.unpack_from("<H", first, at)[0]
    with pytest.raises(DecodeError, match="damaged or truncated: a directory in it is malformed"):
        read(patched(first, link, struct.pack("<I", len(first) + len(values))) + values + page)


def test_a_fourth_channel_of_rgb_without_a_word_is_opacity() -> None:
    samples = ramp(channels=4)
    data = bytearray(tiff(samples, extrasamples=["unassalpha"]))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    tags = [data[at + 2 + 12 * number : at + 14 + 12 * number] for number in range(count)]
    kept = [tag for tag in tags if struct.unpack_from("<H", tag)[0] != 338]
    assert len(kept) == count - 1
    data[at : at + 2 + 12 * count] = struct.pack("<H", count - 1) + b"".join(kept) + bytes(12)
    found = read(bytes(data))
    assert found.alpha is not None
    np.testing.assert_array_equal(found.alpha, samples[..., 3])
    assert found.extra_channel is None


@pytest.mark.parametrize(("told", "opaque"), [("unassalpha", False), ("unspecified", True)])
def test_a_palette_with_a_further_channel_is_read(told: str, opaque: bool) -> None:
    samples, colormap = ramp(channels=2), np.arange(3 * 256, dtype=np.uint16).reshape(3, 256) * 85
    palette = (320, 3, colormap.size, tuple(map(int, colormap.ravel())), True)
    data = bytearray(tiff(samples, planarconfig="contig", extrasamples=[told], extratags=[palette]))
    struct.pack_into("<H", data, data.index(struct.pack("<HHI", 262, 3, 1)) + 8, 3)
    found = read(bytes(data))
    np.testing.assert_array_equal(found.pixels, (colormap >> 8).T[samples[..., 0]])
    assert (found.alpha is None, found.extra_channel is not None) == (opaque, opaque)
    plane = found.extra_channel if opaque else found.alpha
    np.testing.assert_array_equal(plane, samples[..., 1])


def test_too_large_a_number_of_bytes_does_not_make_plain_samples_truncated() -> None:
    data = bytearray(tiff(ramp(), rowsperstrip=len(ramp())))
    at = data.index(struct.pack("<HHI", 279, 4, 1))
    struct.pack_into("<I", data, at + 8, 1 << 25)
    np.testing.assert_array_equal(read(bytes(data)).pixels, ramp())
    (start,) = struct.unpack_from("<I", data, data.index(struct.pack("<HHI", 273, 4, 1)) + 8)
    with pytest.raises(DecodeError, match="ends before its picture does"):
        read(bytes(data[: start + ramp().nbytes - 1]))


def test_a_file_without_a_directory_is_told() -> None:
    with pytest.raises(DecodeError, match="no picture in it"):
        read(b"II*\0\0\0\0\0" + bytes(8))
